/** The check before an answer, on the wire: the server's challenge (server-proving.ts), the client's answer. One flight each way. */

import type { Channel } from "../channels/channel.ts";
import type { Step } from "../program/steps.ts";
import type { MaskedWeights, Party } from "../protocols/sides.ts";
import { answerTo, type Checked } from "../protocols/verify/check.ts";
import { fromHex } from "../ring/hex.ts";
import { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import type { StoredMaterial } from "../stores/material.ts";
import * as messages from "./messages.ts";
import { PartyError, parse } from "./messages.ts";

/** The check before an answer. */
export type Proof = (answer: Step) => Promise<void>;

/** One text's material and its party. */
export interface Proven {
  readonly party: Party;
  readonly material: StoredMaterial;
}

/** The client's side of a run. */
export function clientProof(ring: Ring, channel: Channel, texts: readonly Proven[], weights: MaskedWeights): Proof {
  return async (answer) => {
    const { seed, openings } = parse(messages.challenge, await channel.receiveJson(0), "server");
    if (openings.length !== texts.length) throw new PartyError("the server challenges other texts than there are");
    const challenge = new Prg(fromHex(seed));
    const answers = texts.map(({ party, material }, i) => {
      const due = party.due(answer).openings;
      const named = openings[i] === null ? due : due.filter(({ id }) => openings[i]!.includes(id));
      const checked: Checked = { ...common(ring, party, answer, challenge, weights), openings: named };
      return answerTo(checked, material.withDealer);
    });
    await channel.send("control", 0, answers);
    for (const { party } of texts) party.checked(answer);
  };
}

/** What both sides know of a check. */
export function common(ring: Ring, party: Party, answer: Step, challenge: Prg, weights: MaskedWeights) {
  const publics = { opened: (id: number) => party.get("public", id) };
  return { ring, program: party.program, answer, challenge, weights, publics };
}
