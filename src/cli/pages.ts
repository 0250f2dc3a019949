/** The built pages over HTTP: their files, and the headers that keep a page to what came with it. */
import { readdir, readFile } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HttpHandler } from "../channels/http.ts";
import { isByOwnName, isByOwnPage, type Sites } from "../channels/sites.ts";
import { portOf } from "../channels/tcp.ts";
import { type Address, parseAddress } from "./address.ts";
import { Failure } from "./failure.ts";

const PAGES = fileURLToPath(new URL("../web", import.meta.url));

export type Handler = HttpHandler;
export type Headers = Readonly<Record<string, string>>;

/** The HTML of a page. @throws UsageError when the pages were not built. */
export async function pageHtml(name: "index.html" | "console.html"): Promise<string> {
  return readFile(join(PAGES, name), "utf8").catch((cause: unknown) => {
    throw new Failure("the pages are not built: run npm run build", { cause });
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

/**
 * A page's HTML at the paths given, and the files that it loads; nothing else of the folder, the other page least of all.
 * All is read now and served from memory: an upgrade under a running service takes nothing away, and a request is a look into
 * a table, with no path or range of a peer's making.
 */
export async function pageHandler(html: string, paths: readonly string[], headers: Headers): Promise<Handler> {
  const files = await loadedFiles();
  const page: LoadedFile = { type: "text/html; charset=utf-8", cache: "no-cache", plain: Buffer.from(html) };
  for (const path of paths) files.set(path, page);
  return (request, response) => {
    const file = files.get(pathOf(request) ?? "");
    if (file === undefined) return answerText(response, 404, "nothing is here\n");
    setAll(response, headers);
    answerFile(file, request, response);
  };
}

interface LoadedFile {
  readonly type: string;
  readonly cache: string;
  readonly plain: Buffer;
  /** As scripts/compress-web.mjs made them. */
  readonly br?: Buffer;
  readonly gzip?: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** The icon, and all assets, whose names change with their content. */
async function loadedFiles(): Promise<Map<string, LoadedFile>> {
  const files = new Map<string, LoadedFile>();
  const load = async (path: string, cache: string) => {
    const type = TYPES[extname(path)];
    if (type === undefined) return;
    const read = (end: string) => readFile(join(PAGES, path + end)).catch(() => undefined);
    const [plain, br, gzip] = await Promise.all([read(""), read(".br"), read(".gz")]);
    if (plain !== undefined) files.set(path, { type, cache, plain, br, gzip });
  };
  const assets = await readdir(join(PAGES, "assets")).catch(() => []);
  await Promise.all([
    load("/icon.svg", "no-cache"),
    ...assets.map((name) => load(`/assets/${name}`, "public, max-age=31536000, immutable")),
  ]);
  return files;
}

function answerFile(file: LoadedFile, request: IncomingMessage, response: ServerResponse): void {
  const accepted = String(request.headers["accept-encoding"] ?? "");
  const encoding = (["br", "gzip"] as const).find((name) => file[name] !== undefined && accepted.includes(name));
  const body = (encoding && file[encoding]) ?? file.plain;
  response.writeHead(200, {
    "content-type": file.type,
    "content-length": body.length,
    "cache-control": file.cache,
    vary: "accept-encoding",
    ...(encoding === undefined ? {} : { "content-encoding": encoding }),
  });
  response.end(body);
}

/** Answers by `handler` who asks by a name of this machine, on no other site's page; others are told how to be let in. */
export function ownSitesOnly(handler: Handler, sites: Sites): Handler {
  return (request, response) => {
    if (!isByOwnName(request.headers, sites))
      answerText(response, 403, "this machine is not known by that name here: its operator names it with --names\n");
    else if (!isByOwnPage(request.headers, sites))
      answerText(response, 403, "that page may not ask here: the operator names it with --origins\n");
    else handler(request, response);
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
    server.once("error", (cause) =>
      reject(new Failure(`cannot listen at ${text}: give another address to ${option}`, { cause })),
    );
    server.listen(port, host, resolve);
  });
  return { host, port: portOf(server) };
}
