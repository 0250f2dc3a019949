/** The check before an answer, on the wire: the server's challenge, the client's answer. One flight each way. */

import type { Channel } from "../channels/channel.ts";
import type { Program, Step } from "../program/steps.ts";
import { trafficOf } from "../protocols/all.ts";
import { unpackOne } from "../protocols/packing.ts";
import type { MaskedWeights, Party } from "../protocols/sides.ts";
import { answerBytes, answerTo, type Checked, judging } from "../protocols/verify/check.ts";
import { checkable, checksOf, keyedWords, sampled, type Verify } from "../protocols/verify/sampling.ts";
import { Alpha, DealtKeys } from "../protocols/verify/sources.ts";
import { coneOf } from "../protocols/verify/words.ts";
import { fromHex, hex } from "../ring/hex.ts";
import type { Words } from "../ring/memory.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import type { StoredMaterial } from "../stores/material.ts";
import { breathe } from "./engine.ts";
import * as messages from "./messages.ts";
import { Deviation, PartyError, parse } from "./messages.ts";

/** The check before an answer. */
export type Proof = (answer: Step) => Promise<void>;

/** The values that a party must keep until they are checked: undefined where nothing is. */
export function checkedValues(program: Program, openings: readonly Step[]): ReadonlySet<number> {
  return coneOf(program, openings).publics;
}

/** One text's material and its party. */
interface Proven {
  readonly party: Party;
  readonly material: StoredMaterial;
}

/** The client's side of a run. */
export function clientProof(ring: Ring, channel: Channel, texts: readonly Proven[], weights: MaskedWeights): Proof {
  const { program } = texts[0].party;
  const all = checkable(program);
  const allOf = new Set(all);
  const done = new Set<number>();
  return async (answer) => {
    const { seed, openings } = parse(messages.challenge, await channel.receiveJson(0), "server");
    if (openings.length !== texts.length) throw new PartyError("the server challenges other texts than there are");
    const due = dueSteps(program, allOf, answer);
    const challenge = new Prg(fromHex(seed));
    const answers = texts.map(({ party, material }, i) => {
      const named = openings[i] === null ? due : due.filter(({ id }) => openings[i]!.includes(id));
      const checked: Checked = { ...common(ring, party, answer, challenge, weights), openings: named };
      return answerTo(checked, material.withDealer);
    });
    await channel.send("control", 0, answers);
    for (const { id } of due) done.add(id);
    for (const { party } of texts) settle(party, all, done);
  };
}

/** The server's side of a run. The proof throws `Deviation` when an answer is wrong or, of a sample, does not come. */
export function serverProof(
  ring: Ring,
  channel: Channel,
  texts: readonly Proven[],
  { weights, verify }: { readonly weights: MaskedWeights; readonly verify: Verify },
): Proof {
  const { program } = texts[0].party;
  const done = new Set<number>();
  const chosen = texts.map(({ material }) => sampled(ring, program, material.withDealer, verify));
  return async (answer) => {
    const due = chosen.map((steps) => dueSteps(program, new Set(steps), answer));
    const key = randomKey();
    const openings = due.map((steps) => (verify === 1 ? null : steps.map(({ id }) => id)));
    await channel.sendJson(0, { seed: hex(key), openings });
    // The challenge is on its way before this party's own sums begin: the client's are made meanwhile.
    await breathe();
    const challenge = new Prg(key);
    const size = answerBytes(program);
    const alphas = texts.map(({ material }) => new Alpha(ring, material.withDealer));
    const judges = texts.map(({ party, material }, i) => {
      const checked: Checked = { ...common(ring, party, answer, challenge, weights), openings: due[i] };
      const keys = new DealtKeys(ring, program, keyedWords(program, chosen[i]), (step) => material.keys(step));
      const came = (step: Step) => messageOf(ring, party, step);
      return judging(checked, { alpha: alphas[i], keys, came });
    });
    try {
      const answers = await answered(channel, size * texts.length, verify);
      const right = judges.map((judge, i) => judge.accepts(answers.subarray(i * size, (i + 1) * size)));
      if (right.includes(false)) throw new Deviation();
    } finally {
      for (const one of [...judges, ...alphas]) one.close();
    }
    for (const { id } of due.flat()) done.add(id);
    for (const [i, { party }] of texts.entries()) settle(party, chosen[i], done);
  };
}

/**
 * The client's answer to a challenge. Of a sample the challenge tells what is checked: a client that knows that it is caught would rather
 * leave than answer, so that leaving is a failed check too.
 */
async function answered(channel: Channel, size: number, verify: Verify): Promise<Uint8Array> {
  try {
    return await channel.receive("control", 0, size);
  } catch (error) {
    throw verify > 1 ? new Deviation() : error;
  }
}

function common(ring: Ring, party: Party, answer: Step, challenge: Prg, weights: MaskedWeights) {
  const publics = { opened: (id: number) => party.get("public", id) };
  return { ring, program: party.program, answer, challenge, weights, publics };
}

/** Of some openings those that an answer waits for, and none before it. */
function dueSteps(program: Program, openings: ReadonlySet<Step>, answer: Step): Step[] {
  const due = checksOf(program).find((check) => check.answer === answer)?.openings ?? [];
  return due.filter((step) => openings.has(step));
}

/** After a check of one text: what later ones do not read goes. */
function settle(party: Party, openings: readonly Step[], done: ReadonlySet<number>): void {
  const all = coneOf(party.program, openings).publics;
  const left = coneOf(
    party.program,
    openings.filter(({ id }) => !done.has(id)),
  ).publics;
  party.checked([...all].filter((id) => !left.has(id)));
}

/** What the client sent of an opening, online or ahead. */
function messageOf(ring: Ring, party: Party, step: Step): Words {
  const { ahead, fromClient } = trafficOf(step, party.program);
  const { length } = (ahead ?? fromClient)!;
  const words = ring.alloc(length);
  if (ahead !== undefined) party.material.ahead(ring, step, ahead, words);
  else {
    const came = party.came(step);
    if (came === undefined) throw new PartyError(`step ${step.id} is checked before it was opened`);
    unpackOne(ring, words, came.message, came.blocks, came.index);
  }
  return words;
}
