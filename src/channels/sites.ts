/**
 * Which web pages may ask here. A browser asks whatever address a page tells it to, also one that only its own machine or network
 * reaches; it says which name it looked up (Host) and whose page asks (Origin). Other programs may say anything: they need no browser.
 */
import type { IncomingHttpHeaders } from "node:http";

export interface Sites {
  /** Names by which this machine is known, beside addresses and names without a dot, which nobody can give away outside. */
  readonly names?: readonly string[];
  /** Origins of other pages that may ask, as "https://page.example"; "*" is all. */
  readonly origins?: readonly string[];
  /** Whether a certificate of this machine holds for a name: a browser has checked it then. */
  readonly certified?: (name: string) => boolean;
}

/**
 * Whether a request came by a name of this machine: else a page has had its own name resolved to this address (DNS rebinding), and would
 * read the answer as its own.
 */
export function isByOwnName({ host }: Pick<IncomingHttpHeaders, "host">, { names = [], certified }: Sites): boolean {
  const name = hostnameOf(`http://${host ?? ""}`);
  if (name === null) return host === undefined;
  return isLocal(name) || !name.includes(".") || names.includes(name) || certified?.(name) === true;
}

/** Whether no page asks, or one that may: this machine's own, one of this address, or one that is named. */
export function isByOwnPage(headers: Pick<IncomingHttpHeaders, "host" | "origin">, { origins = [] }: Sites): boolean {
  const { host, origin } = headers;
  if (origin === undefined || origins.includes("*") || origins.includes(origin)) return true;
  const name = hostnameOf(origin);
  return name !== null && (LOOPBACK.test(name) || new URL(origin).host === host);
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost|.+\.localhost)$/;

function isLocal(name: string): boolean {
  return LOOPBACK.test(name) || /^\d+\.\d+\.\d+\.\d+$/.test(name) || name.startsWith("[");
}

function hostnameOf(url: string): string | null {
  try {
    return new URL(url).hostname || null;
  } catch {
    return null;
  }
}
