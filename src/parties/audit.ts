/**
 * An audit of a dealer: whoever plays both the client and the server of a session has both seeds and R, and so can deal the session again and
 * compare it with what came. To the dealer it is a session like any other.
 */

import type { Channel } from "../channels/channel.ts";
import { memoryPair } from "../channels/memory.ts";
import { compile } from "../compiler/compile.ts";
import type { Program, Shape, Step } from "../program/steps.ts";
import { portionsOf } from "../protocols/portions.ts";
import { Dealer } from "../protocols/sides.ts";
import type { Verify } from "../protocols/verify/sampling.ts";
import { KeyDealer } from "../protocols/verify/sources.ts";
import { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import type { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { Item, MaterialStore } from "../stores/store.ts";
import { Client } from "./client.ts";
import { dealPortion } from "./engine.ts";
import type { ServedModel } from "./held-model.ts";
import { maskedOperands } from "./rehearse.ts";
import { ServerService } from "./server.ts";
import { putDealt } from "./server-offline.ts";
import { keyOfVersion, versionOf } from "./version.ts";
import { IntegerWeights, StoredWeights, WeightMasks } from "./weights.ts";

export interface AuditOptions {
  /** To the dealer that is audited: for the client and the server of a session. */
  readonly connectDealer: () => Promise<Channel>;
  /** The fingerprint of the key that `connectDealer` shows; empty without one. */
  readonly owner: string;
  /** Of how many openings one is checked: the dealer deals keys for it. */
  readonly verify: Verify;
  /** What the sessions are for. */
  readonly shapeOf: (client: Client) => Shape;
  readonly sessions: number;
  /** Called after each session. */
  readonly progress?: (done: number, sessions: number) => void;
}

export interface Audit {
  /** Up to the first that was wrong, or all. */
  readonly sessions: number;
  /** What the dealer sent the server: messages, and their bytes. */
  readonly messages: number;
  readonly bytes: number;
  /** The first step whose message is not what the seeds say; null: all are. */
  readonly different: Pick<Step, "id" | "kind" | "label"> | null;
}

/** For what this process computes on both sides. */
const AUDIT_MS = 3_600_000;

/**
 * Has a dealer deal sessions of a model, and deals them again, up to the first that differs.
 * @throws PartyError what a session throws, and DisconnectedError when the dealer is lost
 */
export async function auditDealer(ring: Ring, served: ServedModel, options: AuditOptions): Promise<Audit> {
  const { connectDealer, owner, verify, shapeOf, sessions, progress } = options;
  const kept = { client: new Kept(), server: new Kept() };
  const [toServer, toClient] = memoryPair(AUDIT_MS, owner);
  const service = new ServerService(ring, served, { connectDealer, verify, store: kept.server });
  // What ends it, the client is told.
  service.serve(toClient).catch(() => {});
  const client = await Client.connect(ring, toServer, { connectDealer, store: kept.client });
  try {
    // As the server's welcome has it.
    const shape = { ...shapeOf(client), verified: verify > 0 };
    const program = compile(served.model.spec, served.model.plan, shape);
    const weights = await maskedWeights(ring, program, served);
    let found: Audit = { sessions: 0, messages: 0, bytes: 0, different: null };
    while (found.different === null && found.sessions < sessions) {
      await client.prepare(shape);
      const material = (role: "client" | "server") => StoredMaterial.parse(role, program, kept[role].bytes());
      const [ofClient, ofServer] = [material("client"), material("server")];
      const again = await dealtAgain(ring, program, weights, { seeds: [ofClient.seed, ofServer.seed], verify });
      found = compared(found, ofServer, again, program);
      progress?.(found.sessions, sessions);
    }
    return found;
  } finally {
    await client.close();
  }
}

/** With one session more: what came of the dealer, and what is right. */
function compared(before: Audit, came: StoredMaterial, right: StoredMaterial, program: Program): Audit {
  let { messages, bytes } = before;
  let different: Step | null = null;
  for (const step of portionsOf(program).flatMap(({ steps }) => steps.flat())) {
    const [one, other] = [came, right].map((material) => Buffer.concat(material.ofDealer(step)));
    if (one.length > 0) messages++;
    bytes += one.length;
    if (different === null && !one.equals(other)) different = step;
  }
  return { sessions: before.sessions + 1, messages, bytes, different };
}

/** W - R, as the server tells the dealer. */
async function maskedWeights(ring: Ring, program: Program, { model, modelKey, weights }: ServedModel) {
  const floats = await weights();
  const integers = new IntegerWeights(ring);
  await integers.for(program, async () => floats);
  const masks = await WeightMasks.create(ring, program, keyOfVersion(modelKey, versionOf(model.spec, floats)));
  return new StoredWeights(await maskedOperands(ring, program, integers, masks), program.weights);
}

/** What an honest dealer sends of a session. */
async function dealtAgain(
  ring: Ring,
  program: Program,
  weights: StoredWeights,
  { seeds, verify }: { readonly seeds: readonly [client: Secret, server: Secret]; readonly verify: Verify },
): Promise<StoredMaterial> {
  const [withClient, withServer] = seeds.map((seed) => new Prg(seed.expose()));
  const dealer = new Dealer(ring, program, withClient, withServer, weights);
  const keys = verify === 0 ? null : new KeyDealer(ring, program, withClient, withServer, verify);
  const dealt = new StoredMaterial("server", program, seeds[1]);
  const emit = async (step: Step | null, parts: readonly Uint8Array[]) => {
    if (step !== null) putDealt(dealt, program, step, Buffer.concat(parts));
  };
  try {
    for (const index of portionsOf(program).keys()) await dealPortion(dealer, index, { emit, keys });
  } finally {
    dealer.close();
    keys?.close();
  }
  return dealt;
}

/** Keeps the last item that was put into it. */
class Kept implements MaterialStore {
  #item: Uint8Array | null = null;

  bytes(): Uint8Array {
    if (this.#item === null) throw new Error("the session made no material");
    return this.#item;
  }

  async put(_id: string, { parts }: Item): Promise<void> {
    this.#item = Buffer.concat([...parts]);
  }

  async count(): Promise<number> {
    return 0;
  }

  async stockOf(): Promise<number> {
    return 0;
  }

  async claim(): Promise<undefined> {}

  async identity<T>(_model: string, fresh: T): Promise<T> {
    return fresh;
  }

  async burnLeftovers(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {}
}
