/** WebSocket channels at a path of an HTTP server: Node's side of websocket.ts. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Socket } from "../platform/platform.ts";
import type { Channel } from "./channel.ts";
import { acceptWeb, MOST_RECORD_BYTES, type WebOptions } from "./websocket.ts";

/** Where parties take channels, beside what else their HTTP server has. */
export const CHANNEL_PATH = "/mpc";
/** Connections whose keys are not proved yet: each costs some milliseconds, and up to a record of memory. */
const MOST_UNPROVEN = 128;

export interface WebListener {
  /** No new connections; those that are there go on. */
  stop(): void;
  /** Those that are there are cut as well. */
  close(): void;
}

/**
 * Takes channels at `CHANNEL_PATH` of `server`. Whoever is not trusted, or does not finish the handshake in time, is cut. Pages of any
 * origin may connect: nothing here goes by cookies, and each channel proves its own key.
 */
export function listenWeb(server: Server, onChannel: (channel: Channel) => void, options: WebOptions): WebListener {
  // Deflate would tell what is sent by its length, and masked values have nothing to deflate.
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MOST_RECORD_BYTES, perMessageDeflate: false });
  let unproven = 0;
  const upgrade = (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    // Node has taken its own listener off: without one, a peer that resets the connection would end the process.
    raw.on("error", () => {});
    if (request.url !== CHANNEL_PATH) return refuse(raw, "404 Not Found");
    if (unproven >= MOST_UNPROVEN) return refuse(raw, "503 Service Unavailable");
    unproven++;
    let counted = true;
    const proven = () => {
      if (counted) unproven--;
      counted = false;
    };
    // Also where the upgrade itself fails.
    raw.once("close", proven);
    sockets.handleUpgrade(request, raw, head, (socket) => {
      acceptWeb(socket as unknown as Socket, { ...options, address: request.socket.remoteAddress })
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
