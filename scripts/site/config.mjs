// VitePress's settings. scripts/build-site.mjs copies this file beside the pages that it has gathered.
import { readFileSync } from "node:fs";

const { title, navigation } = JSON.parse(readFileSync(new URL("navigation.json", import.meta.url), "utf8"));

export default {
  title,
  description: "Private Transformer inference by secure multi-party computation",
  lang: "en",
  base: process.env.SITE_BASE ?? "/",
  // Pages are Markdown alone: a `<` in a text is a `<`.
  markdown: { html: false },
  vite: { logLevel: "warn", build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Tour", link: "/guide/tour" },
      { text: "Architecture", link: "/architecture" },
      { text: "Threat model", link: "/threat-model" },
      { text: "API", link: "/api/ask" },
    ],
    sidebar: navigation,
  },
};
