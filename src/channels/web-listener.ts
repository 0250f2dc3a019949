/** WebSocket channels at a path of an HTTP server: Node's side of websocket.ts. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Socket } from "../platform/platform.ts";
import { sourceOf } from "./accounts.ts";
import { Arrivals } from "./arrivals.ts";
import type { Channel } from "./channel.ts";
import { isByOwnName, isByOwnPage, type Sites } from "./sites.ts";
import { acceptWeb, MOST_RECORD_BYTES, type WebOptions } from "./websocket.ts";

/** Where parties take channels, beside what else their HTTP server has. */
export const CHANNEL_PATH = "/mpc";
/** Connections whose keys are not proved yet, of all and of one source: each costs some milliseconds, and up to a record of memory. */
const [MOST_UNPROVEN, MOST_UNPROVEN_EACH] = [256, 32];

export interface WebListenerOptions extends WebOptions {
  /** Whose pages may open channels; this machine's own and those of its own address unless given. */
  readonly sites?: Sites;
}

export interface WebListener {
  /** No new connections; those that are there go on. */
  stop(): void;
  /** Those that are there are cut as well. */
  close(): void;
}

/**
 * Takes channels at `CHANNEL_PATH` of `server`. Whoever is not trusted, or does not finish the handshake in time, is cut. Nothing
 * here goes by cookies, and each channel proves its own key; but a page could use its reader's browser to reach what only that reaches,
 * so that pages of other sites are refused unless they are named (sites.ts).
 */
export function listenWeb(
  server: Server,
  onChannel: (channel: Channel) => void,
  options: WebListenerOptions,
): WebListener {
  // Deflate would tell what is sent by its length, and masked values have nothing to deflate.
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MOST_RECORD_BYTES, perMessageDeflate: false });
  const arrivals = new Arrivals(MOST_UNPROVEN, MOST_UNPROVEN_EACH);
  const { sites = {} } = options;
  const upgrade = (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    // Node has taken its own listener off: without one, a peer that resets the connection would end the process.
    raw.on("error", () => {});
    if (request.url !== CHANNEL_PATH) return refuse(raw, "404 Not Found");
    if (!isByOwnName(request.headers, sites) || !isByOwnPage(request.headers, sites))
      return refuse(raw, "403 Forbidden");
    const address = request.socket.remoteAddress;
    const proven = arrivals.add(sourceOf(address), () => raw.destroy());
    // Also where the upgrade itself fails.
    raw.once("close", proven);
    sockets.handleUpgrade(request, raw, head, (socket) => {
      acceptWeb(socket as unknown as Socket, { ...options, address })
        .finally(proven)
        .then(onChannel, () => {});
    });
  };
  server.on("upgrade", upgrade);
  const stop = () => void server.removeListener("upgrade", upgrade);
  return {
    stop,
    close() {
      stop();
      for (const socket of sockets.clients) socket.terminate();
    },
  };
}

/** Answers, and lets go of whoever does not close. */
function refuse(raw: Duplex, status: string): void {
  raw.once("finish", () => raw.destroy());
  raw.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
}
