/** HTTP for browsers: channels over WebSocket, and the page with the keys that it trusts. */

import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import type { Channel } from "../channels/channel.ts";
import { boundedServer, type Certificate } from "../channels/http.ts";
import type { Sites } from "../channels/sites.ts";
import { CHANNEL_PATH, listenWeb } from "../channels/web-listener.ts";
import type { PinnedAddress, PinnedParties } from "../parties/connect.ts";
import { type Address, shownAddress } from "./address.ts";
import { Failure, UsageError } from "./failure.ts";
import { fingerprint, type PeerName, pinnedForBrowsers } from "./keys.ts";
import { deadlineMs } from "./network.ts";
import type { ServiceOptions } from "./options.ts";
import {
  answerText,
  type Handler,
  type Headers,
  listenAt,
  ownSitesOnly,
  pageHandler,
  pageHeaders,
  pageHtml,
} from "./pages.ts";

/** How a listener for browsers is certified. */
export type CertificateOptions = Pick<ServiceOptions, "tlsCert" | "tlsKey" | "names" | "origins">;

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
  options: ServiceOptions & { readonly web: string },
  peer: "client" | "peer",
  onChannel: (channel: Channel) => void,
  parties: PinnedParties | null,
): Promise<BrowserListener> {
  const security = await pinnedForBrowsers(options);
  const { server, secure, sites } = await serverOf(options, parties === null ? nothing : await pageOf(parties));
  const channels = listenWeb(server, onChannel, { peer, deadlineMs: deadlineMs(options), security, sites });
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

/** Of a listener with the page, as a browser writes it. */
export function webUrl({ address, secure }: Pick<BrowserListener, "address" | "secure">): string {
  return `http${secure ? "s" : ""}://${shownAddress(reachable(address))}/`;
}

/** Of a listener without it: what the page of another one is told. */
export function channelUrl({ address, secure }: Pick<BrowserListener, "address" | "secure">): string {
  return `ws${secure ? "s" : ""}://${shownAddress(reachable(address))}${CHANNEL_PATH}`;
}

/** From this machine, where a listener takes all of its addresses. */
function reachable({ host, port }: Address): Address {
  if (host === "0.0.0.0") return { host: "127.0.0.1", port };
  return { host: host === "::" ? "::1" : host, port };
}

/** The HTTP server of --listen or --web. @throws UsageError for a certificate that cannot be used. */
export async function serverOf(
  { tlsCert, tlsKey, names, origins }: CertificateOptions,
  handler: Handler,
): Promise<{ server: Server; secure: boolean; sites: Sites }> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError("give both --tls-cert and --tls-key, or neither");
  if (tlsCert === undefined) {
    const sites = { names, origins };
    return { server: boundedServer(ownSitesOnly(handler, sites)), secure: false, sites };
  }
  try {
    const certificate: Certificate = { cert: await readFile(tlsCert), key: await readFile(tlsKey!) };
    const parsed = new X509Certificate(certificate.cert);
    const sites = { names, origins, certified: (name: string) => parsed.checkHost(name) !== undefined };
    return { server: boundedServer(ownSitesOnly(handler, sites), certificate), secure: true, sites };
  } catch (cause) {
    const why = "the files of --tls-cert and --tls-key are not a certificate and its key, as PEM";
    throw new Failure(why, { cause });
  }
}

const nothing: Handler = (_request, response) => {
  answerText(response, 404, "the page is not here: its channels are, at /mpc; serve --dealer-web has both\n");
};

/** The page's files; its HTML with the parties in it. @throws UsageError when they were not built. */
export async function pageOf(parties: PinnedParties): Promise<Handler> {
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
