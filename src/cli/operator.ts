/** The operator's port: probes, metrics, and the console with what it shows. Not for users: it is opened by `--health` alone. */
import type { IncomingMessage, ServerResponse } from "node:http";
import * as v from "valibot";
import { boundedServer } from "../channels/http.ts";
import type { Sites } from "../channels/sites.ts";
import { type Status, statusSchema } from "../console/status.ts";
import type { Study } from "../console/study.ts";
import type { Address } from "./address.ts";
import {
  answerText,
  type Handler,
  listenAt,
  ownSitesOnly,
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
  sites: Sites,
): Promise<Address | null> {
  if (health === undefined) return null;
  const open = probesOf(telemetry);
  const own = routesOf(shown);
  const page = await consolePage();
  const pages = ownSitesOnly((request, response) => {
    answer(own[pathOf(request) ?? ""] ?? page, request, response);
  }, sites);
  const server = boundedServer((request, response) => {
    setAll(response, HEADERS);
    answer(open[pathOf(request) ?? ""] ?? pages, request, response);
  });
  const address = await listenAt(server, health, "--health");
  server.unref();
  return address;
}

type Route = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A fault of ours, which a probe must not take the service down with, is the answer then. */
function answer(route: Route, request: IncomingMessage, response: ServerResponse): void {
  Promise.resolve(route(request, response)).catch(() => response.writeHead(500).end());
}

/** For machines, by whatever name they know this one. */
function probesOf(telemetry: Telemetry): Readonly<Record<string, Route>> {
  return {
    __proto__: null as never,
    "/livez": (_request, response) => answerText(response, 200, "alive\n"),
    "/readyz": (_request, response) =>
      telemetry.isReady ? answerText(response, 200, "ready\n") : answerText(response, 503, "not ready\n"),
    "/metrics": async (_request, response) => {
      const metrics = await telemetry.metrics();
      if (metrics === null) return answerText(response, 501, "metrics need a package: npm install prom-client\n");
      response.writeHead(200, { "content-type": metrics.type }).end(metrics.text);
    },
  };
}

/** For the console. */
function routesOf({ status, studies }: Console): Readonly<Record<string, Route>> {
  return {
    __proto__: null as never,
    "/": (_request, response) => void response.writeHead(302, { location: "console" }).end(),
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
