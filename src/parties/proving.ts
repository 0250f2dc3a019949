/** The check before an answer, on the wire: the server's challenge (server-proving.ts), the client's answer. One flight each way. */

import type { Channel } from "../channels/channel.ts";
import type { Program, Step } from "../program/steps.ts";
import type { MaskedWeights, Party } from "../protocols/sides.ts";
import { answerTo, type Checked } from "../protocols/verify/check.ts";
import { checkable, checksOf } from "../protocols/verify/sampling.ts";
import { coneOf } from "../protocols/verify/words.ts";
import { fromHex } from "../ring/hex.ts";
import { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import type { StoredMaterial } from "../stores/material.ts";
import * as messages from "./messages.ts";
import { PartyError, parse } from "./messages.ts";

/** The check before an answer. */
export type Proof = (answer: Step) => Promise<void>;

/** The values that a party must keep until they are checked: undefined where nothing is. */
export function checkedValues(program: Program, openings: readonly Step[]): ReadonlySet<number> {
  return coneOf(program, openings).publics;
}

/** One text's material and its party. */
export interface Proven {
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

/** What both sides know of a check. */
export function common(ring: Ring, party: Party, answer: Step, challenge: Prg, weights: MaskedWeights) {
  const publics = { opened: (id: number) => party.get("public", id) };
  return { ring, program: party.program, answer, challenge, weights, publics };
}

/** Of some openings those that an answer waits for, and none before it. */
export function dueSteps(program: Program, openings: ReadonlySet<Step>, answer: Step): Step[] {
  const due = checksOf(program).find((check) => check.answer === answer)?.openings ?? [];
  return due.filter((step) => openings.has(step));
}

/** After a check of one text: what later ones do not read goes. */
export function settle(party: Party, openings: readonly Step[], done: ReadonlySet<number>): void {
  const all = coneOf(party.program, openings).publics;
  const left = coneOf(
    party.program,
    openings.filter(({ id }) => !done.has(id)),
  ).publics;
  party.checked([...all].filter((id) => !left.has(id)));
}
