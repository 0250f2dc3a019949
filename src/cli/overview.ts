/** A service's status, put together from what its parts say of themselves. */
import { basename, resolve } from "node:path";
import type {
  Common,
  CompiledLength,
  CostShare,
  DealerStatus,
  HelperStatus,
  ServerStatus,
  Status,
} from "../console/status.ts";
import type { DealerService } from "../parties/dealer.ts";
import type { HelperService } from "../parties/helper.ts";
import { peakRssMb } from "../parties/meter.ts";
import type { ServerService } from "../parties/server.ts";
import type { Plan } from "../program/plan.ts";
import { longestText, type ModelSpec } from "../program/spec.ts";
import type { Program } from "../program/steps.ts";
import { costOf, type StepCost } from "../protocols/cost.ts";
import { VERSION } from "./release.ts";
import type { Telemetry } from "./telemetry.ts";

/** The console's reader does not wait longer for a store. */
const STORE_MS = 1000;

export interface ShownModel {
  /** As the operator gave it; of a path, the last part is shown. */
  readonly name: string;
  readonly spec: ModelSpec;
  readonly plan: Plan;
}

/** What reads a server's status. */
export function serverStatus(
  service: ServerService,
  telemetry: Telemetry,
  model: ShownModel,
  { studies, store }: { readonly studies: boolean; readonly store: boolean },
): () => Promise<Status> {
  const shown = modelOf(model);
  return async () => ({
    role: "server",
    ...commonOf(service, telemetry, studies),
    model: shown,
    material: { bytes: service.materialBytes, most: service.mostMaterialBytes },
    store,
    compiled: await compiledOf(service),
  });
}

/** What reads a dealer's status. */
export function dealerStatus(service: DealerService, telemetry: Telemetry): () => Promise<Status> {
  return async (): Promise<DealerStatus> => ({
    role: "dealer",
    ...commonOf(service, telemetry, false),
    maskedWeights: service.maskedWeights,
  });
}

/** What reads a helper's status. */
export function helperStatus(service: HelperService, telemetry: Telemetry): () => Promise<Status> {
  return async (): Promise<HelperStatus> => ({ role: "helper", ...commonOf(service, telemetry, false) });
}

function commonOf({ admission }: Pick<ServerService, "admission">, telemetry: Telemetry, studies: boolean): Common {
  const { running, waiting, connections, keysAtWork } = admission;
  const { limits } = admission;
  return {
    release: VERSION,
    now: Date.now(),
    uptimeSeconds: process.uptime(),
    ready: telemetry.isReady,
    memory: { resident: process.memoryUsage.rss(), peak: peakRssMb() * 2 ** 20 },
    load: {
      running,
      waiting,
      connections,
      keysAtWork,
      // Field by field: a limit that is new there is not told by itself.
      limits: {
        running: limits.running,
        waiting: limits.waiting,
        each: limits.each,
        perMinute: limits.perMinute,
        connections: limits.connections,
        connectionsEach: limits.connectionsEach,
      },
    },
    ...telemetry.activity.numbers,
    studies,
  };
}

function modelOf({ name, spec, plan }: ShownModel): ServerStatus["model"] {
  const { architecture, layers, hidden, heads, intermediate, vocabulary, problem, labels } = spec;
  const { gelu, softmax, embedding, answer } = spec;
  return {
    name: basename(resolve(name)).slice(0, 200),
    activation: spec.blocks.activation,
    ...{ architecture, layers, hidden, heads, intermediate, vocabulary, problem, labels },
    longest: longestText(spec),
    ...{ gelu, softmax, embedding, answer },
    margin: plan.margin,
  };
}

async function compiledOf(service: ServerService): Promise<CompiledLength[]> {
  const programs = await service.compiledNow();
  const all = await Promise.all(
    programs.map(async ({ program, stock }) => ({ ...costs(program), stock: await answered(stock) })),
  );
  return all.sort((a, b) => a.length - b.length || a.turns - b.turns);
}

/** What a store counts; null when it fails, or takes too long. */
async function answered(count: () => Promise<number | null>): Promise<number | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), STORE_MS);
  });
  try {
    return await Promise.race([count().catch(() => null), late]);
  } finally {
    clearTimeout(timer);
  }
}

const KNOWN = new WeakMap<Program, Omit<CompiledLength, "stock">>();

/** Adds a program's steps up once. */
function costs(program: Program): Omit<CompiledLength, "stock"> {
  const known = KNOWN.get(program);
  if (known !== undefined) return known;
  const { shape, online, offline, setup, macs, steps } = costOf(program);
  const { length, turns, scoring, temperature } = shape;
  const made = {
    ...{ length, turns, scoring, temperature },
    flights: online.flights,
    toServer: online.bytes.client_to_server,
    toClient: online.bytes.server_to_client,
    offline: offline.bytes.dealer_to_server + offline.bytes.client_to_server,
    setup: setup.bytes.server_to_dealer,
    macs,
    byLayer: sharesBy(steps, ({ label }) => layerOf(label)),
    byGroup: sharesBy(steps, ({ group }) => group),
  };
  KNOWN.set(program, made);
  return made;
}

/** "layer.3.attention.output" -> "layer 3"; "embeddings.norm" -> "embeddings". */
function layerOf(label: string): string {
  const [first, second] = label.split(".");
  return first === "layer" ? `layer ${second}` : first;
}

/** Costs of steps by a name, in the order of their first step. */
function sharesBy(steps: readonly StepCost[], nameOf: (step: StepCost) => string): CostShare[] {
  const shares = new Map<string, CostShare>();
  for (const step of steps) {
    const name = nameOf(step);
    const so = shares.get(name) ?? { name, toServer: 0, toClient: 0, offline: 0, macs: 0 };
    shares.set(name, {
      name,
      toServer: so.toServer + step.online.client_to_server,
      toClient: so.toClient + step.online.server_to_client,
      offline: so.offline + step.offline.dealer_to_server + step.offline.client_to_server,
      macs: so.macs + step.macs,
    });
  }
  return [...shares.values()];
}
