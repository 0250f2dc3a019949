/** HTTP for browsers: channels over WebSocket, and the page with the keys that it trusts. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sirv from "sirv";
import type { Channel } from "../channels/channel.ts";
import { portOf } from "../channels/tcp.ts";
import { CHANNEL_PATH, listenWeb } from "../channels/web-listener.ts";
import { type Address, parseAddress } from "./address.ts";
import { fingerprint, type KeyOptions, madeIn, pinnedForBrowsers } from "./keys.ts";
import { deadlineMs, type NetworkOptions } from "./network.ts";
import { start } from "./processes.ts";
import { print, printJson, UsageError } from "./terminal.ts";

/** What `serve` and `deal` are told about browsers. */
export interface BrowserOptions extends KeyOptions {
  /** host:port to listen at; none without. */
  readonly web?: string;
  /** PEM files, for https: and wss:. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** A party as the page is told of it. */
interface PartyAddress {
  readonly url: string;
  readonly key: string;
}

/** What ships with the page: the only parties that it speaks to, and whose keys they have. */
export interface PageParties {
  readonly server: PartyAddress;
  readonly dealer: PartyAddress;
}

export interface BrowserListener {
  readonly address: Address;
  readonly secure: boolean;
  stop(): void;
  close(): void;
}

const PAGES = fileURLToPath(new URL("../web", import.meta.url));
const PLACE = '<script type="application/json" id="parties">null</script>';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Listens for browsers: their channels, and requests of the page, if `parties` are given.
 * @throws UsageError without a key, or when the address or the certificate cannot be used.
 */
export async function listenForBrowsers(
  options: NetworkOptions & BrowserOptions & { readonly web: string },
  peer: "client" | "peer",
  onChannel: (channel: Channel) => void,
  parties: PageParties | null,
): Promise<BrowserListener> {
  const security = await pinnedForBrowsers(options);
  const { server, secure } = await serverOf(options, parties === null ? nothing : await pageOf(parties));
  const channels = listenWeb(server, onChannel, { peer, deadlineMs: deadlineMs(options), security });
  const address = await listening(server, options.web, "--web");
  return {
    address,
    secure,
    stop() {
      channels.stop();
      server.close();
    },
    close() {
      channels.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Of a listener, as a browser writes it. */
export function webUrl({ address: { host, port }, secure }: Pick<BrowserListener, "address" | "secure">): string {
  return `http${secure ? "s" : ""}://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}/`;
}

async function serverOf(
  { tlsCert, tlsKey }: BrowserOptions,
  handler: Handler,
): Promise<{ server: Server; secure: boolean }> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError("give both --tls-cert and --tls-key, or neither");
  if (tlsCert === undefined) return { server: createServer(handler), secure: false };
  try {
    const [cert, key] = [await readFile(tlsCert), await readFile(tlsKey!)];
    return { server: createTlsServer({ cert, key, minVersion: "TLSv1.2" }, handler), secure: true };
  } catch {
    throw new UsageError("the files of --tls-cert and --tls-key are not a certificate and its key, as PEM");
  }
}

async function listening(server: Server, text: string, option: string): Promise<Address> {
  const { host, port } = parseAddress(text);
  await new Promise<void>((resolve, reject) => {
    server.once("error", () => reject(new UsageError(`cannot listen at ${text}: give another address to ${option}`)));
    server.listen(port, host, resolve);
  });
  return { host, port: portOf(server) };
}

const nothing: Handler = (_request, response) => {
  response.writeHead(404, { "content-type": "text/plain" }).end("this address is for the page's channels\n");
};

/** The page's files; its HTML with the parties in it. @throws UsageError when they were not built. */
async function pageOf(parties: PageParties): Promise<Handler> {
  const page = Buffer.from(await pageHtml(parties));
  const headers = headersFor(parties);
  const files = sirv(PAGES, {
    etag: true,
    brotli: true,
    gzip: true,
    setHeaders: (response) => setAll(response, headers),
  });
  return (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://page");
    if (pathname === "/" || pathname === "/index.html") {
      setAll(response, headers);
      response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" }).end(page);
    } else if (pathname.startsWith("/assets/") || pathname === "/icon.svg") files(request, response);
    else response.writeHead(404, { "content-type": "text/plain" }).end("nothing is here\n");
  };
}

/** @throws UsageError when the pages were not built. */
async function pageHtml(parties: PageParties): Promise<string> {
  const html = await readFile(join(PAGES, "index.html"), "utf8").catch(() => {
    throw new UsageError("the pages are not built: run npm run build");
  });
  // As in HTML's own script data: nothing in it may end the element.
  const json = JSON.stringify(parties).replaceAll("<", "\\u003c");
  if (!html.includes(PLACE)) throw new Error("the page has no place for its parties: it is of another release");
  return html.replace(PLACE, () => PLACE.replace("null", () => json));
}

function setAll(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

/** The page runs what came with it alone, and speaks to its parties alone. */
function headersFor({ server, dealer }: PageParties): Readonly<Record<string, string>> {
  const origins = [server, dealer].map(({ url }) => (/^wss?:/.test(url) ? new URL(url).origin : "'self'"));
  const policy = [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' data:",
    "worker-src 'self'",
    `connect-src 'self' ${[...new Set(origins)].join(" ")}`,
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

export interface WebCommandOptions extends BrowserOptions {
  readonly listen: string;
  readonly server?: string;
  readonly dealer?: string;
  readonly json?: boolean;
}

/** `web`: the page for parties that run elsewhere; or with nothing named, a demonstration on this machine. */
export async function web(model: string | undefined, options: WebCommandOptions): Promise<void> {
  if (options.server === undefined && options.dealer === undefined) return demonstration(model ?? "demo", options);
  if (options.server === undefined || options.dealer === undefined || model !== undefined)
    throw new UsageError("give --server and --dealer of a running service, or a model to start one here");
  const parties = {
    server: partyOf(options.server, options.serverKey, "server", "--server"),
    dealer: partyOf(options.dealer, options.dealerKey, "dealer", "--dealer"),
  };
  const { server, secure } = await serverOf(options, await pageOf(parties));
  tell(webUrl({ address: await listening(server, options.listen, "--listen"), secure }), options);
}

/** A party from its address for browsers and its key. @throws UsageError */
export function partyOf(
  text: string,
  key: string | undefined,
  peer: "server" | "dealer",
  option: string,
): PartyAddress {
  if (key === undefined) throw new UsageError(`the page must know the ${peer}'s key: give --${peer}-key FINGERPRINT`);
  const url = /^wss?:\/\//.test(text) ? text : `ws://${text}`;
  if (!URL.canParse(url)) throw new UsageError(`${option} takes wss://host or ws://host:port, not "${text}"`);
  const at = new URL(url);
  if (at.pathname === "/") at.pathname = CHANNEL_PATH;
  return { url: at.href, key: fingerprint(key, `--${peer}-key`) };
}

/** Dealer, server and page on this machine, with keys that live as long as they do. */
async function demonstration(model: string, options: WebCommandOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mpcformer-"));
  const stops: (() => void)[] = [() => void rm(folder, { recursive: true, force: true })];
  const end = () => {
    for (const stop of stops) stop();
    setTimeout(() => process.exit(0), 200);
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  try {
    const [dealerKey, serverKey] = [join(folder, "dealer"), join(folder, "server")];
    const fingerprints = { dealer: await madeIn(dealerKey), server: await madeIn(serverKey) };
    const own = ["--listen", "127.0.0.1:0"];
    const dealer = await start(["deal", "--key", dealerKey, ...own, "--web", "127.0.0.1:0"]);
    stops.push(dealer.stop);
    const dealers = ["--dealer", dealer.address, "--dealer-key", fingerprints.dealer];
    const pages = ["--dealer-web", `ws://${dealer.web}${CHANNEL_PATH}`, "--web", options.listen];
    const server = await start(["serve", model, "--key", serverKey, ...own, ...dealers, ...pages, "--warm", "32"]);
    stops.push(server.stop);
    tell(`http://${server.web}/`, options);
  } catch (error) {
    for (const stop of stops) stop();
    throw error;
  }
}

function tell(url: string, { json }: { readonly json?: boolean }): void {
  if (json) printJson({ page: url });
  else print(`the page is at ${url}, until Ctrl+C`);
}
