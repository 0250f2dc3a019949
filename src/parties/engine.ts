/** The three runs of one program: dealing and the client's preparation, a portion at a time, and the two parties online. */
import type { Channel } from "../channels/channel.ts";
import type { Step } from "../program/steps.ts";
import { localRuleOf, openingRuleOf, ruleOf, trafficOf } from "../protocols/all.ts";
import { type Block, lengthOf } from "../protocols/blocks.ts";
import { blockBytes, flightTraffic } from "../protocols/cost.ts";
import { packAll, partsOf, unpackOne } from "../protocols/packing.ts";
import { portionsOf } from "../protocols/portions.ts";
import type { ClientOffline, Dealer, Party } from "../protocols/sides.ts";
import type { KeyDealer } from "../protocols/verify/sources.ts";
import { isAnswer } from "../protocols/verify/words.ts";
import type { Words } from "../ring/memory.ts";
import { Meter } from "./meter.ts";

/** Called after each step or flight with how much is done, for progress and time left, and which step of the model is at work. */
export type Progress = (done: number, total: number, step: Pick<Step, "label" | "group">) => void;

/** How a run shares its process with others. */
export interface Pace {
  /** Waits for what a peer sends or takes; others compute meanwhile. */
  readonly away: <T>(wait: Promise<T>) => Promise<T>;
  /** The same for what is no peer's fault, or has a limit of its own. */
  readonly aside: <T>(wait: Promise<T>) => Promise<T>;
  /** Between two steps: others compute, if it is their turn. */
  readonly between: () => Promise<void>;
}

/** Of a process that has nothing else to do. */
const ALONE: Pace = { away: (wait) => wait, aside: (wait) => wait, between: async () => {} };

/** Gives the event loop a turn, so that sockets drain while a long computation goes on; a message does it where there is no setImmediate. */
export const breathe: () => Promise<void> =
  typeof setImmediate === "function" ? () => new Promise((resolve) => setImmediate(resolve)) : messageTurn();

function messageTurn(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()!();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}

/** How the dealing of a portion goes on. */
interface Dealing {
  /** Of each step the server's shares of the correlated secrets, packed, and the keys of its words behind them; of no step, what hides how many keys there were. */
  readonly emit: (step: Step | null, packed: readonly Uint8Array[]) => Promise<void>;
  /** Awaited before each step: weights may still be on their way. */
  readonly ready?: (step: Step) => Promise<void>;
  readonly pace?: Pace;
  readonly keys?: KeyDealer | null;
}

/** The dealer's run, of one portion of a program (protocols/portions.ts); portions follow each other. */
export async function dealPortion(
  d: Dealer,
  index: number,
  { emit, ready, pace = ALONE, keys = null }: Dealing,
): Promise<void> {
  for (const steps of portionsOf(d.program)[index].steps) {
    const rule = ruleOf(steps[0]);
    if (ready !== undefined) await pace.away(ready(steps[0]));
    rule.together?.(d, steps);
    for (const step of steps) {
      rule.deal?.(d, step);
      const correction = d.takeCorrection();
      const blocks = trafficOf(step, d.program).dealt ?? [];
      if ((correction?.length ?? 0) !== lengthOf(blocks))
        throw new Error(`step ${step.id}: what was dealt is not what is declared`);
      const packed = correction === null ? [] : [packAll(d.ring, partsOf(correction, blocks), blocks)];
      d.done(step);
      if (keys !== null) packed.push(...keys.keysOf(step));
      if (packed.length > 0) await pace.away(emit(step, packed));
    }
    await breathe();
    await pace.between();
  }
  const padding = keys?.padding(index) ?? null;
  if (padding !== null) await pace.away(emit(null, [new Uint8Array(padding)]));
}

/** What becomes of a client's messages and shares. */
interface Preparing {
  readonly emit: (step: Step, packed: Uint8Array) => Promise<void>;
  readonly keep: (step: Step, packed: Uint8Array) => void;
  /** Hears of all that is done side by side. */
  readonly done?: (steps: readonly Step[]) => void;
}

/** The client's run before the text, of one portion: what it sends ahead, and its shares that it will read again. */
export async function preparePortion(c: ClientOffline, index: number, { emit, keep, done }: Preparing): Promise<void> {
  for (const steps of portionsOf(c.program)[index].steps) {
    const rule = ruleOf(steps[0]);
    rule.together?.(c, steps);
    for (const step of steps) {
      const words = rule.prepare?.(c, step) ?? null;
      const block = trafficOf(step, c.program).ahead;
      const packed = words !== null && block ? packAll(c.ring, [words], [block]) : null;
      const kept = rule.kept?.(step, c.program) ?? null;
      if (kept !== null) keep(step, packAll(c.ring, [c.get("share", step.out)], [kept]));
      c.done(step);
      if (packed !== null) await emit(step, packed);
    }
    done?.(steps);
    await breathe();
  }
}

/** What a party saw of the wire, for those who want to look (the demo's glimpse); never kept otherwise. */
export type Witness = (flight: number, from: "client" | "server", message: Uint8Array) => void;

export interface RunOptions {
  readonly progress?: Progress;
  readonly witness?: Witness;
  readonly meter?: Meter;
  readonly pace?: Pace;
  /** Called before the flight that begins a later turn (1, 2, ...); false ends the run there, on both sides alike. */
  readonly turn?: (index: number) => Promise<boolean>;
  /** Called before the first flight that needs a portion of the material (protocols/portions.ts), which may not be there yet. */
  readonly portion?: (index: number) => Promise<void>;
  /** Called before the flight that opens an answer: what was opened until then is checked. */
  readonly proof?: (answer: Step) => Promise<void>;
}

/**
 * The online run: in every flight local steps, then one message each way at most. Several texts of one program run side by
 * side, each with its own material, and share the flights: their messages follow each other in one frame.
 */
export async function runProgram(
  texts: readonly Party[],
  channel: Channel,
  { progress, turn, portion, proof, ...options }: RunOptions = {},
): Promise<void> {
  const { flights, steps, turns } = texts[0].program;
  const { witness, meter = new Meter(), pace = ALONE } = options;
  const portions = portionsOf(texts[0].program);
  for (let flight = 0, turnIndex = 0, portionIndex = 0; flight < flights.length; flight++) {
    if (flight === turns[turnIndex + 1] && !(await (turn && pace.away(turn(++turnIndex))))) return;
    if (flight === portions[portionIndex + 1]?.flight) await (portion && pace.aside(portion(++portionIndex)));
    for (const id of flights[flight].local) {
      const step = steps[id];
      meter.compute(step.group, () => {
        for (const p of texts) {
          localRuleOf(step).run(p, step);
          p.done(step);
        }
      });
      await pace.between();
    }
    const opens = flights[flight].opens.map((id) => steps[id]);
    // What the next portion brings is not there yet.
    const isLast = flight + 1 === portions[portionIndex + 1]?.flight;
    const next = isLast ? [] : (flights[flight + 1]?.local ?? []);
    const coming = [...opens, ...next.map((id) => steps[id])];
    const answer = opens.find(isAnswer);
    if (answer !== undefined) await proof?.(answer);
    if (opens.length > 0) await exchange(texts, channel, flight, { opens, coming }, { meter, pace, witness });
    progress?.(flight + 1, flights.length, steps[flights[flight].opens[0] ?? flights[flight].local[0]]);
  }
}

/** One flight: `opens` cross the wire in it; `coming` are the steps that this party can make ready for while it waits. */
async function exchange(
  texts: readonly Party[],
  channel: Channel,
  flight: number,
  { opens, coming }: { readonly opens: readonly Step[]; readonly coming: readonly Step[] },
  { meter, pace, witness }: Pick<RunOptions, "witness"> & { readonly meter: Meter; readonly pace: Pace },
): Promise<void> {
  const [{ program, role, isServer }] = texts;
  const { group } = opens[0];
  const ids = opens.map((s) => s.id);
  const { fromClient, fromServer } = flightTraffic(ids, program);
  const [mine, theirs] = isServer ? [fromServer, fromClient] : [fromClient, fromServer];
  let sending: Promise<void> | null = null;
  if (mine.length > 0) {
    const messages = meter.compute(group, () => texts.map((p) => messageOf(p, opens, mine)));
    for (const message of messages) witness?.(flight, role, message);
    const sent = channel.send("online", flight, messages);
    // A failure is met at the await below; until then it must not count as unhandled.
    sent.catch(() => {});
    sending = sent;
  }
  const size = theirs.reduce((sum, b) => sum + blockBytes(b), 0);
  const arriving = theirs.length > 0 ? channel.receive("online", flight, size * texts.length) : null;
  // As above.
  arriving?.catch(() => {});
  if (arriving !== null) await fetchFor(texts, coming, meter);
  const all = arriving === null ? null : await meter.wait(group, pace.away(arriving));
  meter.compute(group, () => {
    texts.forEach((p, i) => {
      const message = all?.subarray(i * size, (i + 1) * size) ?? null;
      if (message !== null) witness?.(flight, isServer ? "client" : "server", message);
      accept(p, opens, message, theirs);
    });
  });
  if (sending !== null) await meter.wait(group, pace.away(sending));
}

/** What was dealt for the coming steps: work that the message on its way has nothing to do with. */
async function fetchFor(texts: readonly Party[], coming: readonly Step[], meter: Meter): Promise<void> {
  for (const step of coming) {
    const blocks = trafficOf(step, texts[0].program).dealt;
    if (blocks === undefined) continue;
    for (const p of texts) {
      // What was sent may still be on its way out of this process.
      await breathe();
      meter.compute(step.group, () => p.fetch(step, blocks));
    }
  }
}

/** This party's part of one flight, packed. */
function messageOf(p: Party, opens: readonly Step[], blocks: readonly Block[]): Uint8Array {
  const words = opens
    .filter((step) => blockFrom(p, step, p.role) !== undefined)
    .map((step) => openingRuleOf(step).send(p, step));
  return packAll(p.ring, words, blocks);
}

/** Takes the other party's part of one flight, and ends its openings. */
function accept(p: Party, opens: readonly Step[], message: Uint8Array | null, blocks: readonly Block[]): void {
  let index = 0;
  for (const step of opens) {
    const block = blockFrom(p, step, p.isServer ? "client" : "server");
    let words: Words | null = null;
    if (block !== undefined && message !== null) {
      words = p.temp(block.length);
      unpackOne(p.ring, words, message, blocks, index);
      p.keepCame(step, { message, blocks, index: index++ });
    }
    openingRuleOf(step).receive(p, step, words);
  }
  for (const step of opens) p.done(step);
}

function blockFrom(p: Party, step: Step, sender: "client" | "server"): Block | undefined {
  const traffic = trafficOf(step, p.program);
  return sender === "client" ? traffic.fromClient : traffic.fromServer;
}
