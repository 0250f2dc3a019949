/** The two pages, of web/ to dist/web: the client for whoever asks, the console for whoever serves. */
import { resolve } from "node:path";
import { defineConfig } from "vite";

const web = resolve(import.meta.dirname ?? ".", "web");

/** Notes for bundlers are of no use to browsers. Licences stay. */
const output = { comments: { annotation: false } };

/** What the worker needs at once is one file: in several it is larger, compressed. */
const AT_ONCE = { groups: [{ name: "client", tags: ["$initial" as const] }] };

export default defineConfig({
  root: web,
  // Pages may lie under any path.
  base: "./",
  // Where package.json's `imports` has the platform of all browsers.
  resolve: { alias: { "#platform": resolve(web, "page/platform.ts") } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es", rolldownOptions: { output: { ...output, codeSplitting: AT_ONCE } } },
  build: {
    outDir: resolve(web, "../dist/web"),
    emptyOutDir: true,
    target: "es2022",
    // Strict policies of content take no inlined files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output,
      input: { index: resolve(web, "index.html"), console: resolve(web, "console.html") },
    },
  },
});
