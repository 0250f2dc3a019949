/** An audit passes a dealer that deals what the seeds say, and finds one that changes a bit of anything. */
import { describe, expect, it } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { memoryPair } from "../../src/channels/memory.ts";
import { auditDealer } from "../../src/parties/audit.ts";
import { DealerService } from "../../src/parties/dealer.ts";
import { publicModel } from "../../src/parties/model-identity.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { Secret } from "../../src/ring/secret.ts";
import { harness, TINY_GPT2 } from "./harness.ts";

const OWNER = "5a".repeat(32);

/** A dealer whose `nth` message of the offline phase to a server is another one. */
async function dealing(nth: number): Promise<() => Promise<Channel>> {
  const dealer = new DealerService(await Ring.create());
  let sent = 0;
  return async () => {
    const [mine, theirs] = memoryPair(60_000, OWNER);
    const send = theirs.send.bind(theirs);
    theirs.send = (phase, step, parts) => {
      const changed = phase === "offline" && sent++ === nth;
      return send(phase, step, changed ? [flipped(Buffer.concat(parts))] : parts);
    };
    dealer.serve(theirs).catch(() => {});
    return mine;
  };
}

function flipped(bytes: Uint8Array): Uint8Array {
  bytes[Math.floor(bytes.length / 2)] ^= 1;
  return bytes;
}

async function audited(spec: Parameters<typeof harness>[0], verify: number, nth = -1) {
  const turns = spec.problem === "generation" ? 3 : 1;
  const h = await harness({ layers: 1, ...spec }, { ...oneTurn(8), turns, verified: verify > 0 });
  const commitment = hex(randomKey());
  const model = await publicModel({ spec: h.spec, plan: h.plan, tokenizer: {}, commitment }, h.weights);
  const served = { model, modelKey: new Secret(randomKey()), weights: async () => h.weights, tokenizer: {} };
  const options = {
    sessions: 1,
    connectDealer: await dealing(nth),
    owner: OWNER,
    verify,
    shapeOf: () => ({ ...h.program.shape, verified: false }),
  };
  return { audit: await auditDealer(h.ring, served, options), program: h.program };
}

describe.each([
  ["an encoder", {}],
  ["a decoder", TINY_GPT2],
] as const)("%s", (_, spec) => {
  it.each([0, 1, 4])("is dealt as the seeds say, one opening in %i checked", async (verify) => {
    const { audit, program } = await audited(spec, verify);
    expect(audit.different).toBeNull();
    expect(audit.messages).toBeGreaterThan(10);
    if (verify > 0) return;
    const framed = costOf(program).offline.bytes.dealer_to_server;
    expect(audit.bytes).toBeLessThanOrEqual(framed);
    expect(audit.bytes).toBeGreaterThan(0.9 * framed);
  });

  it.each([0, 3, 11])("is found where message %i differs in a bit", async (nth) => {
    const { audit, program } = await audited(spec, 4, nth);
    expect(audit.different).not.toBeNull();
    expect(program.steps[audit.different!.id].kind).toBe(audit.different!.kind);
  });
});
