/** The server's side of the check before an answer (proving.ts): its challenge, and whether the client's answer is right. */

import type { Channel } from "../channels/channel.ts";
import type { Step } from "../program/steps.ts";
import { trafficOf } from "../protocols/all.ts";
import { unpackOne } from "../protocols/packing.ts";
import type { MaskedWeights, Party } from "../protocols/sides.ts";
import { answerBytes, type Checked, judging } from "../protocols/verify/check.ts";
import { keyedWords, sampled, type Verify } from "../protocols/verify/sampling.ts";
import { Alpha, DealtKeys } from "../protocols/verify/sources.ts";
import { hex } from "../ring/hex.ts";
import type { Words } from "../ring/memory.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { breathe } from "./engine.ts";
import { Deviation, PartyError } from "./messages.ts";
import { common, type Proof, type Proven } from "./proving.ts";

/** The server's side of a run. The proof throws `Deviation` when an answer is wrong or, of a sample, does not come. */
export function serverProof(
  ring: Ring,
  channel: Channel,
  texts: readonly Proven[],
  { weights, verify }: { readonly weights: MaskedWeights; readonly verify: Verify },
): Proof {
  const { program } = texts[0].party;
  const keyed = texts.map(({ material }) => keyedWords(program, sampled(ring, program, material.withDealer, verify)));
  return async (answer) => {
    const due = texts.map(({ party }) => party.due(answer).openings);
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
      const keys = new DealtKeys(ring, program, keyed[i], (step) => material.keys(step));
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
    for (const { party } of texts) party.checked(answer);
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

/** What the client sent of an opening, online or ahead. */
function messageOf(ring: Ring, party: Party, step: Step): Words {
  const { ahead, fromClient } = trafficOf(step, party.program);
  const { length } = (ahead ?? fromClient)!;
  const words = ring.alloc(length);
  if (ahead !== undefined) party.material.ahead(ring, step, ahead, words);
  else {
    const came = party.cameOf(step);
    if (came === null) throw new PartyError(`step ${step.id} is checked before it was opened`);
    unpackOne(ring, words, came.message, came.blocks, came.index);
  }
  return words;
}
