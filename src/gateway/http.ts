/** The gateway's HTTP: who may ask, what is read, how it is answered. Nothing of a request is logged. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError } from "./errors.ts";

/** A prompt is at most some hundred kilobytes. */
const MOST_BODY = 4e6;
/** Names by which this machine alone is reached. */
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/**
 * Refuses who came by another name than this gateway's: pages of other origins, also those whose own name was made to lead here.
 * @throws ApiError
 */
export function checkHost({ headers: { host, origin } }: IncomingMessage, allowed: readonly string[]): void {
  const names = [...LOOPBACK, ...allowed];
  const isOurs = (url: string) => URL.canParse(url) && names.includes(new URL(url).hostname);
  if (host === undefined || !isOurs(`http://${host}`))
    throw forbidden("this gateway is not reached by that name: see --allow-host");
  if (origin !== undefined && !isOurs(origin)) throw forbidden("pages of other origins may not ask this gateway");
}

function forbidden(message: string): ApiError {
  return new ApiError(message, { status: 403, code: "forbidden" });
}

/** @throws ApiError unless one of these keys is shown; without keys everybody may ask. */
export function checkKey({ headers: { authorization } }: IncomingMessage, keys: readonly string[]): void {
  if (keys.length === 0) return;
  const shown = digest(/^Bearer (.+)$/.exec(authorization ?? "")?.[1] ?? "");
  // All of them, so that the time tells nothing of which one it is.
  const known = keys.filter((key) => timingSafeEqual(digest(key), shown));
  if (known.length === 0)
    throw new ApiError("this gateway wants one of its API keys: Authorization: Bearer KEY", {
      status: 401,
      type: "authentication_error",
      code: "invalid_api_key",
    });
}

/** Who asks, as far as that is told: those who show one key are one. */
export function accountOf({ headers: { authorization = "" } }: IncomingMessage): string {
  return digest(authorization).toString("hex");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The JSON that a request brings. @throws ApiError for what is none, or too much. */
export async function jsonOf(request: IncomingMessage): Promise<unknown> {
  // A page's plain form is asked for without the browser's leave: JSON is not.
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    throw new ApiError("a request is JSON: set content-type: application/json", { status: 415 });
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_BODY) throw new ApiError(`a request has at most ${MOST_BODY} bytes`, { status: 413 });
    parts.push(part);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  } catch (cause) {
    throw new ApiError("the request is no JSON in UTF-8", { status: 400, cause });
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return;
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Server-sent events, as OpenAI's clients read them. */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** One event; the first one sends the headers. */
  send(event: unknown): void {
    if (!this.#response.headersSent)
      this.#response.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        connection: "keep-alive",
      });
    this.#response.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  end(): void {
    this.#response.end("data: [DONE]\n\n");
  }
}

/** Aborted when whoever asked goes away before the answer is whole. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) gone.abort(new Error("whoever asked went away"));
  });
  return gone.signal;
}
