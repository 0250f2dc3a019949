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
  /** What the session is for. */
  readonly shapeOf: (client: Client) => Shape;
}

export interface Audit {
  /** What the dealer sent the server: messages, and their bytes. */
  readonly messages: number;
  readonly bytes: number;
  /** The first step whose message is not what the seeds say; null: all are. */
  readonly different: Pick<Step, "id" | "kind" | "label"> | null;
}

/**
 * Has a dealer deal one session of a model, and deals it again.
 * @throws PartyError what a session throws, and DisconnectedError when the dealer is lost
 */
export async function auditDealer(ring: Ring, served: ServedModel, options: AuditOptions): Promise<Audit> {
  const { shape, program, client, server } = await dealtSession(ring, served, options);
  const again = await dealtAgain(ring, served, { program, seeds: [client.seed, server.seed], verify: options.verify });
  let [messages, bytes] = [0, 0];
  let different: Step | null = null;
  for (const step of portionsOf(program).flatMap(({ steps }) => steps.flat())) {
    const [came, right] = [server, again].map((material) => Buffer.concat(material.ofDealer(step)));
    if (came.length > 0) messages++;
    bytes += came.length;
    if (different === null && !came.equals(right)) different = step;
  }
  if (messages === 0) throw new Error(`${shape.length} tokens: the dealer has nothing to deal`);
  return { messages, bytes, different };
}

/** For what this process computes on both sides. */
const AUDIT_MS = 3_600_000;

/** Both sides' material of one session. */
async function dealtSession(ring: Ring, served: ServedModel, options: AuditOptions) {
  const { connectDealer, owner, verify, shapeOf } = options;
  const kept = { client: new Kept(), server: new Kept() };
  const [toServer, toClient] = memoryPair(AUDIT_MS, owner);
  const service = new ServerService(ring, served, { connectDealer, verify, store: kept.server });
  const serving = service.serve(toClient);
  // What ends it, the client is told.
  serving.catch(() => {});
  const client = await Client.connect(ring, toServer, { connectDealer, store: kept.client });
  try {
    // As the server's welcome has it.
    const shape = { ...shapeOf(client), verified: verify > 0 };
    await client.prepare(shape);
    const program = compile(served.model.spec, served.model.plan, shape);
    const material = (role: "client" | "server") => StoredMaterial.parse(role, program, kept[role].bytes());
    return { shape, program, client: material("client"), server: material("server") };
  } finally {
    await client.close();
  }
}

/** What an honest dealer sends of a session. */
async function dealtAgain(
  ring: Ring,
  { model, modelKey, weights }: ServedModel,
  session: { readonly program: Program; readonly seeds: readonly [Secret, Secret]; readonly verify: Verify },
): Promise<StoredMaterial> {
  const { program, seeds, verify } = session;
  const floats = await weights();
  const integers = new IntegerWeights(ring);
  await integers.for(program, async () => floats);
  const key = keyOfVersion(modelKey, versionOf(model.spec, floats));
  const operands = await maskedOperands(ring, program, integers, await WeightMasks.create(ring, program, key));
  const [withClient, withServer] = seeds.map((seed) => new Prg(seed.expose()));
  const dealer = new Dealer(ring, program, withClient, withServer, new StoredWeights(operands, program.weights));
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
    for (const words of operands) ring.free(words);
  }
  return dealt;
}

/** Keeps the one item that is put into it. */
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
