/** The built pages over HTTP: their files, and the headers that keep a page to what came with it. */
import { readFile } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sirv from "sirv";
import { portOf } from "../channels/tcp.ts";
import { type Address, parseAddress } from "./address.ts";
import { UsageError } from "./terminal.ts";

const PAGES = fileURLToPath(new URL("../web", import.meta.url));

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;
export type Headers = Readonly<Record<string, string>>;

/** The HTML of a page. @throws UsageError when the pages were not built. */
export async function pageHtml(name: "index.html" | "console.html"): Promise<string> {
  return readFile(join(PAGES, name), "utf8").catch(() => {
    throw new UsageError("the pages are not built: run npm run build");
  });
}

/** The path that is asked for; null where there is none, as in "//". */
export function pathOf(request: IncomingMessage): string | null {
  try {
    return new URL(request.url ?? "/", "http://page").pathname;
  } catch {
    return null;
  }
}

/** Headers of a page that runs what came with it alone, and speaks to `connect` alone. */
export function pageHeaders(connect: readonly string[], { computes }: { readonly computes: boolean }): Headers {
  const policy = [
    "default-src 'none'",
    `script-src 'self'${computes ? " 'wasm-unsafe-eval'" : ""}`,
    "style-src 'self'",
    "img-src 'self' data:",
    ...(computes ? ["worker-src 'self'"] : []),
    `connect-src ${[...new Set(connect)].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    "content-security-policy": policy.join("; "),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
}

/** A page's HTML at the paths given, and the files that it loads. Nothing else of the folder, the other page least of all. */
export function pageHandler(html: string, paths: readonly string[], headers: Headers): Handler {
  const page = Buffer.from(html);
  const files = sirv(PAGES, {
    etag: true,
    brotli: true,
    gzip: true,
    setHeaders: (response) => setAll(response, headers),
  });
  return (request, response) => {
    const path = pathOf(request);
    if (path !== null && paths.includes(path)) {
      setAll(response, headers);
      response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" }).end(page);
    } else if (path?.startsWith("/assets/") || path === "/icon.svg") files(request, response);
    else answerText(response, 404, "nothing is here\n");
  };
}

export function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" }).end(text);
}

export function setAll(response: ServerResponse, headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

/** Begins to listen at an option's host:port. @throws UsageError */
export async function listenAt(server: Server, text: string, option: string): Promise<Address> {
  const { host, port } = parseAddress(text);
  await new Promise<void>((resolve, reject) => {
    server.once("error", () => reject(new UsageError(`cannot listen at ${text}: give another address to ${option}`)));
    server.listen(port, host, resolve);
  });
  return { host, port: portOf(server) };
}
