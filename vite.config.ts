/** The two pages, of web/ to dist/web: the client for whoever asks, the console for whoever serves. */
import { resolve } from "node:path";
import { defineConfig } from "vite";

const web = resolve(import.meta.dirname ?? ".", "web");

export default defineConfig({
  root: web,
  // Pages may lie under any path.
  base: "./",
  // As package.json's `imports`, of the sources.
  resolve: { alias: { "#platform": resolve(web, "../src/platform/web.ts") } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  build: {
    outDir: resolve(web, "../dist/web"),
    emptyOutDir: true,
    target: "es2022",
    // Strict policies of content take no inlined files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: resolve(web, "index.html"), console: resolve(web, "console.html") },
    },
  },
});
