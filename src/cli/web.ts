/** HTTP for browsers: channels over WebSocket, and the page with the keys that it trusts. */
import { rmSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Channel } from "../channels/channel.ts";
import { CHANNEL_PATH, listenWeb } from "../channels/web-listener.ts";
import type { PinnedAddress, PinnedParties } from "../parties/connect.ts";
import type { Address } from "./address.ts";
import { fingerprint, type KeyOptions, madeIn, type PeerName, pinnedForBrowsers } from "./keys.ts";
import { deadlineMs, type NetworkOptions } from "./network.ts";
import {
  answerText,
  bounded,
  type Handler,
  type Headers,
  listenAt,
  pageHandler,
  pageHeaders,
  pageHtml,
} from "./pages.ts";
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

export interface BrowserListener {
  readonly address: Address;
  readonly secure: boolean;
  stop(): void;
  close(): void;
}

const PLACE = '<script type="application/json" id="parties">null</script>';

/**
 * Listens for browsers: their channels, and requests of the page, if `parties` are given.
 * @throws UsageError without a key, or when the address or the certificate cannot be used.
 */
export async function listenForBrowsers(
  options: NetworkOptions & BrowserOptions & { readonly web: string },
  peer: "client" | "peer",
  onChannel: (channel: Channel) => void,
  parties: PinnedParties | null,
): Promise<BrowserListener> {
  const security = await pinnedForBrowsers(options);
  const { server, secure } = await serverOf(options, parties === null ? nothing : await pageOf(parties));
  const channels = listenWeb(server, onChannel, { peer, deadlineMs: deadlineMs(options), security });
  const address = await listenAt(server, options.web, "--web");
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
  if (tlsCert === undefined) return { server: bounded(createServer(handler)), secure: false };
  try {
    const [cert, key] = [await readFile(tlsCert), await readFile(tlsKey!)];
    return { server: bounded(createTlsServer({ cert, key, minVersion: "TLSv1.2" }, handler)), secure: true };
  } catch {
    throw new UsageError("the files of --tls-cert and --tls-key are not a certificate and its key, as PEM");
  }
}

const nothing: Handler = (_request, response) => {
  answerText(response, 404, "this address is for the page's channels\n");
};

/** The page's files; its HTML with the parties in it. @throws UsageError when they were not built. */
async function pageOf(parties: PinnedParties): Promise<Handler> {
  const html = await pageHtml("index.html");
  // As in HTML's own script data: nothing in it may end the element.
  const json = JSON.stringify(parties).replaceAll("<", "\\u003c");
  if (!html.includes(PLACE)) throw new Error("the page has no place for its parties: it is of another release");
  const filled = html.replace(PLACE, () => PLACE.replace("null", () => json));
  return pageHandler(filled, ["/", "/index.html"], headersFor(parties));
}

/** The page speaks to its parties alone. */
function headersFor({ server, dealer, helper }: PinnedParties): Headers {
  const origins = [server, dealer, ...(helper === undefined ? [] : [helper])].map(({ url }) =>
    /^wss?:/.test(url) ? new URL(url).origin : "'self'",
  );
  return pageHeaders(["'self'", ...origins], { computes: true });
}

export interface WebCommandOptions extends BrowserOptions {
  readonly listen: string;
  readonly server?: string;
  readonly dealer?: string;
  readonly helper?: string;
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
    ...helperOf(options.helper, options.helperKey, "--helper"),
  };
  const { server, secure } = await serverOf(options, await pageOf(parties));
  tell(webUrl({ address: await listenAt(server, options.listen, "--listen"), secure }), options);
}

/** The helper of a page, if one is named. @throws UsageError */
export function helperOf(
  text: string | undefined,
  key: string | undefined,
  option: string,
): Pick<PinnedParties, "helper"> {
  return text === undefined ? {} : { helper: partyOf(text, key, "helper", option) };
}

/** A party from its address for browsers and its key. @throws UsageError */
export function partyOf(text: string, key: string | undefined, peer: PeerName, option: string): PinnedAddress {
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
  // Keys do not stay behind, however this ends.
  const stops: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })];
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
    // Here it has another name than at the server.
    if (error instanceof UsageError) throw new UsageError(error.message.replace("--web", "--listen"));
    throw error;
  }
}

function tell(url: string, { json }: { readonly json?: boolean }): void {
  if (json) printJson({ page: url });
  else print(`the page is at ${url}, until Ctrl+C`);
}
