/** Three processes on this machine, joined by a network of a bench's choice. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lengthsOf } from "../parties/shapes.ts";
import type { TokenizedText } from "../program/spec.ts";
import { BENCH_BOUNDS } from "./costs.ts";
import { UsageError } from "./failure.ts";
import { type Parties, runJson, startParties } from "./processes.ts";
import type { Step } from "./progress.ts";
import { planJson, type Source } from "./source.ts";

/** Round trip in milliseconds, and Mbit/s, by name. */
const NETWORKS: Readonly<Record<string, readonly [number, number]>> = { lan: [0.5, 1000], wan: [80, 100] };

/** A network that two ends are joined by. */
export interface Link {
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Mbit/s, each way. */
  readonly megabits: number;
}

/** What a network's name, or its numbers, stand for; null for this machine's own. @throws UsageError */
export function networkOf(network: string): Link | null {
  if (network === "loopback") return null;
  const [roundTrip, megabits] = NETWORKS[network] ?? network.split(",").map(Number);
  if (!(roundTrip >= 0 && megabits > 0))
    throw new UsageError("--network takes loopback, lan, wan, or round-trip milliseconds,Mbit/s such as 20,300");
  return { roundTrip, megabits };
}

/** The hidden option that makes both ends' channel as slow as the network. @throws UsageError */
export function linkFlags(network: string): string[] {
  const link = networkOf(network);
  return link === null ? [] : ["--link", `${link.roundTrip / 2},${link.megabits}`];
}

/** Runs a command of the client's so many times against a server and a dealer of its own; `step` hears of each run. */
export async function run<R>(
  command: readonly string[],
  name: string,
  { spec, plan }: Source,
  texts: readonly TokenizedText[],
  runs: number,
  link: readonly string[],
  threads: number,
  step: Step,
): Promise<{ all: readonly R[]; measured: Parties["measured"] }> {
  const folder = await mkdtemp(join(tmpdir(), "mpcformer-bench-"));
  try {
    const [planFile, idsFile] = [join(folder, "plan.json"), join(folder, "ids.json")];
    await writeFile(planFile, planJson(spec, plan));
    await writeFile(idsFile, JSON.stringify(texts));
    const length = texts[0].ids.length;
    const flags = ["--plan", planFile, "--warm", String(length), "--gelu", spec.gelu, "--softmax", spec.softmax];
    const serve = [name, ...flags, "--embedding", spec.embedding, "--answer", spec.answer, ...link];
    const lengths = [...new Set([length, lengthsOf(spec).find((padded) => padded >= length) ?? length])].join();
    let done = 0;
    const parties = await startParties(serve, {
      threads,
      both: ["--lengths", lengths, "--max-steps", String(BENCH_BOUNDS.steps)],
      told: ({ phase }) => {
        if (phase === "online") step(++done, runs);
      },
    });
    step(0, runs);
    try {
      const { server, dealer, deadline } = parties;
      const peers = ["--server", server, "--dealer", dealer, "--deadline", String(deadline)];
      const asked = ["--ids", idsFile, "--runs", String(runs), ...peers, ...link, "--threads", String(threads)];
      const all = (await runJson([...command, ...asked])) as R[];
      return { all, measured: parties.measured };
    } finally {
      parties.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
