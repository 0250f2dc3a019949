/** The operator's port: probes, metrics, and the console with what it shows. Not for users: it is opened by `--health` alone. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import * as v from "valibot";
import { type Status, statusSchema } from "../console/status.ts";
import type { Study } from "../console/study.ts";
import type { Address } from "./address.ts";
import {
  answerText,
  bounded,
  type Handler,
  listenAt,
  pageHandler,
  pageHeaders,
  pageHtml,
  pathOf,
  setAll,
} from "./pages.ts";
import type { Telemetry } from "./telemetry.ts";

/** What the console shows of a service. */
export interface Console {
  readonly status: () => Promise<Status>;
  readonly studies: Study | null;
}

const HEADERS = pageHeaders(["'self'"], { computes: false });
const PAGE_PATHS = /^\/(console|icon\.svg|assets\/.*)$/;

/** Opens the port, if one was asked for. @throws UsageError when it cannot be opened. */
export async function listenForOperator(
  health: string | undefined,
  telemetry: Telemetry,
  shown: Console,
): Promise<Address | null> {
  if (health === undefined) return null;
  const routes = routesOf(telemetry, shown);
  const page = await consolePage();
  const server = bounded(
    createServer((request, response) => {
      setAll(response, HEADERS);
      const route = routes[pathOf(request) ?? ""] ?? page;
      // A fault of ours, which a probe must not take the service down with.
      Promise.resolve(route(request, response)).catch(() => response.writeHead(500).end());
    }),
  );
  const address = await listenAt(server, health, "--health");
  server.unref();
  return address;
}

type Route = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

function routesOf(telemetry: Telemetry, { status, studies }: Console): Readonly<Record<string, Route>> {
  return {
    __proto__: null as never,
    "/": (_request, response) => void response.writeHead(302, { location: "console" }).end(),
    "/livez": (_request, response) => answerText(response, 200, "alive\n"),
    "/readyz": (_request, response) =>
      telemetry.isReady ? answerText(response, 200, "ready\n") : answerText(response, 503, "not ready\n"),
    "/metrics": async (_request, response) => {
      const { type, text } = await telemetry.metrics();
      response.writeHead(200, { "content-type": type }).end(text);
    },
    // Parsed once more: what the schema does not name does not leave.
    "/status": async (_request, response) => answerJson(response, v.parse(statusSchema, await status())),
    "/studies": (_request, response) =>
      studies === null ? answerText(response, 404, "no --studies were given\n") : answerJson(response, studies),
  };
}

/** The console's page and files; where they were not built, probes and metrics work without them. */
async function consolePage(): Promise<Handler> {
  let page: Handler;
  try {
    page = await pageHandler(await pageHtml("console.html"), ["/console"], HEADERS);
  } catch (error) {
    return (_request, response) => answerText(response, 404, `${(error as Error).message}\n`);
  }
  return (request, response) => {
    if (PAGE_PATHS.test(pathOf(request) ?? "")) page(request, response);
    else answerText(response, 404, "try /console, /livez, /readyz, /metrics or /status\n");
  };
}

function answerJson(response: ServerResponse, content: unknown): void {
  const headers = { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" };
  response.writeHead(200, headers).end(JSON.stringify(content));
}
