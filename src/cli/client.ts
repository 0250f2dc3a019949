/** What the commands that ask share: a connection to a server, the text, and an answer as people read it. */
import type { Answer, Reading } from "../parties/answer.ts";
import { Client } from "../parties/client.ts";
import type { ClientOptions } from "../parties/judging-client.ts";
import type { BatchInference } from "../parties/run.ts";
import { isDecoder, type ModelSpec } from "../program/spec.ts";
import type { Shape } from "../program/steps.ts";
import { Failure, toldOf } from "./failure.ts";
import { formatBytes } from "./format.ts";
import type { Given, GivenLine } from "./input.ts";
import { connect, ringOf } from "./network.ts";
import type { PeerOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import { openStore } from "./store.ts";
import { print, printJson } from "./terminal.ts";

/** One run of a bench, and this process's own time in it. */
export interface MeasuredRun extends BatchInference {
  readonly cpuSeconds: { readonly client: number };
}

/** What `--length` says. */
export const LENGTH =
  "pad to this length, whatever the text has: nobody sees how long it is (default: the next of 8, 16, 24, 32, 48, ...)";

/** What is asked of material that is made before any text. */
export interface Prepared {
  readonly tokens: number;
  readonly length?: number;
  /** Of a decoder: new tokens, at most. */
  readonly maxTokens: number;
  readonly temperature?: number;
}

/** Its shape. */
export function preparedShape(client: Client, { tokens, length, maxTokens, temperature }: Prepared): Shape {
  const most = length === undefined ? tokens : Math.min(tokens, length);
  if (!isDecoder(client.spec)) return client.shapeFor([most], length);
  return client.generationShape(most, { maxTokens, temperature, length });
}

/** Connects to a server; progress is shown for both phases. */
export async function openClient(
  options: PeerOptions,
  progress: Progress,
  more: Pick<ClientOptions, "witness" | "whole"> = {},
): Promise<Client> {
  const bars = { offline: progress.of("preparing"), online: progress.of("computing") };
  return Client.connect(await ringOf(options), await connect("server", options.server, options), {
    connectDealer: () => connect("dealer", options.dealer, options),
    store: await openStore(options, "client"),
    progress: (phase, done, total) => bars[phase](done, total),
    ...more,
    model: options.model,
    lengths: options.profileLengths,
  });
}

/**
 * Answers each line in its order with a line of JSON, as soon as it is known; one that has no answer is told why, and costs the
 * others nothing.
 * @param client says whether the connection is lost
 * @param ask asks about one, and tells its answer
 * @throws what ended the connection; Failure behind the last line when one had no answer.
 */
export async function answerLines<R extends object>(
  lines: AsyncIterable<GivenLine>,
  client: { readonly closed: boolean },
  ask: (given: Given, tell: (result: R) => void) => Promise<void>,
): Promise<void> {
  let [all, failed] = [0, 0];
  for await (const one of lines) {
    all++;
    let told = false;
    try {
      if ("error" in one) throw one.error;
      await ask(one.given, (result) => {
        told = true;
        printJson({ line: one.line, ...result });
      });
    } catch (error) {
      if (told || client.closed) throw error;
      failed++;
      printJson({ line: one.line, error: toldOf(error) });
    }
  }
  if (failed > 0) throw new Failure(`${failed} of ${all} lines have no answer: their own lines say why`);
}

export function printReading(result: Reading, spec: ModelSpec): void {
  if (result.value !== undefined) print(`value: ${result.value.toFixed(4)}`);
  else if (result.values !== undefined)
    print(result.values.map((value, i) => `${spec.labelNames[i] ?? i} ${value.toFixed(4)}`).join(", "));
  else if (result.vector !== undefined) print(JSON.stringify(result.vector));
  else if (result.candidates !== undefined)
    for (const { word, index, score } of result.candidates) print(`${word ?? index}: ${(100 * score).toFixed(1)}%`);
  else if (result.entities !== undefined) printEntities(result.entities);
  else if (spec.problem === "spans") printSpan(result.answer);
  else {
    print(`label: ${result.label}`);
    if (result.scores)
      print(`scores: ${result.scores.map((p, i) => `${spec.labelNames[i] ?? i} ${(100 * p).toFixed(1)}%`).join(", ")}`);
  }
}

function printEntities(entities: NonNullable<Reading["entities"]>): void {
  if (entities.length === 0) print("no entities");
  for (const { entity_group, word, score, start, end } of entities)
    print(`${entity_group} ${(100 * score).toFixed(1)}% at ${start} to ${end}: ${word}`);
}

function printSpan(answer: Reading["answer"]): void {
  if (answer === undefined) print("no answer");
  else print(`answer: ${answer.answer} (${(100 * answer.score).toFixed(1)}%, at ${answer.start} to ${answer.end})`);
}

export const timesOf = ({ seconds }: Pick<Answer, "seconds">) =>
  `${seconds.online.toFixed(2)} s online, ${seconds.offline.toFixed(2)} s offline before it`;

export function printAnswer(result: Answer, spec: ModelSpec): void {
  printReading(result, spec);
  const { online, offline } = result.bytes;
  print(`time: ${timesOf(result)}`);
  print(
    `online: ${result.flights} flights, ${formatBytes(online.client_to_server)} to the server, ${formatBytes(online.server_to_client)} back`,
  );
  print(
    `offline: ${formatBytes(offline.dealer_to_server)} dealer to server, ${formatBytes(offline.client_to_server)} client to server, nothing to the client`,
  );
}
