/** The model that a server holds: its programs, its weights as integers, what is public of it, and the key of R. */

import { type Channel, jsonBytes } from "../channels/channel.ts";
import { InternalError } from "../errors.ts";
import type { TokenizerFiles } from "../models/tokenizer.ts";
import { publicTables } from "../models/weights.ts";
import type { Weights } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { materialBytes } from "../protocols/cost.ts";
import { heldBytes } from "../protocols/portions.ts";
import type { ServerWeights } from "../protocols/sides.ts";
import { sessionKeyBytes, type Verify } from "../protocols/verify/sampling.ts";
import { hex } from "../ring/hex.ts";
import type { Ring } from "../ring/ring.ts";
import type { Secret } from "../ring/secret.ts";
import type { CompiledProgram } from "./compiling.ts";
import { PartyError, PROTOCOL_VERSION, type PublicModel } from "./messages.ts";
import { Programs, type ProgramsOptions } from "./programs.ts";
import { keyOfVersion, versionOf } from "./version.ts";
import { IntegerWeights, WeightMasks } from "./weights.ts";

export interface ServedModel {
  readonly model: PublicModel;
  /** With the weights it makes the key of R, which clients learn and the dealer never does. */
  readonly modelKey: Secret;
  /** Reads the floats: asked for once for each padded length that needs other integers, and not kept. */
  readonly weights: () => Promise<Weights>;
  readonly tokenizer: TokenizerFiles;
}

/** A program with all that a server needs to run it. */
export interface Compiled extends CompiledProgram {
  readonly weights: ServerWeights;
  /** Of the material of one text, all at once; and of what is held of it where portions are made as the run goes on. */
  readonly materialBytes: number;
  readonly heldBytes: number;
}

export class HeldModel {
  readonly ring: Ring;
  private readonly served: ServedModel;
  private readonly integers: IntegerWeights;
  private readonly programs: Programs<Compiled>;
  private tables: readonly Float32Array[] = [];
  /** What every client is told first, made once. */
  readonly welcome: Uint8Array;
  /** Of the weights, since they were first read. */
  private version: Uint8Array | null = null;

  /** Of how many of a client's openings one is checked; 0: none. */
  readonly verify: Verify;

  constructor(
    ring: Ring,
    served: ServedModel,
    programs?: Pick<ProgramsOptions<never>, "compile" | "limits">,
    verify: Verify = 0,
  ) {
    this.ring = ring;
    this.verify = verify;
    this.served = served;
    this.integers = new IntegerWeights(ring);
    const { model, tokenizer } = served;
    this.welcome = jsonBytes({ version: PROTOCOL_VERSION, model, tokenizer, verify });
    this.programs = new Programs({
      ...programs,
      mismatch: "client and server compile different programs: install the same release on both sides",
      finish: (compiled) => this.finished(compiled),
    });
  }

  /** What is public of it. */
  get model(): PublicModel {
    return this.served.model;
  }

  /** The programs compiled by now. */
  ready(): Promise<readonly Compiled[]> {
    return this.programs.ready();
  }

  /** R, as the server's side of a check needs it. */
  weightMasks(program: Program): Promise<WeightMasks> {
    return WeightMasks.create(this.ring, program, this.weightsKey());
  }

  /** Under which material of a program lies in a store: what another check has keys for is no use to this one. */
  storeKey({ fingerprint }: Pick<Compiled, "fingerprint">): string {
    return `${this.served.model.id}${fingerprint.slice(0, -4)}${this.verify.toString(16).padStart(4, "0")}`;
  }

  /** The public embedding tables. @throws PartyError where they are private. */
  async sendTables(channel: Channel): Promise<void> {
    if (this.served.model.spec.embedding !== "public")
      throw new PartyError("the embedding tables of this model are private");
    if (this.tables.length === 0) await this.floats();
    let step = 0;
    for (const data of this.tables) {
      await channel.send("setup", step++, [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]);
    }
  }

  /** The masked weights that a dealer lacks. */
  async upload(dealer: Channel, program: Program, missing: readonly number[]): Promise<void> {
    const masks = await WeightMasks.create(this.ring, program, this.weightsKey());
    for (const id of missing) {
      const slot = program.weights[id];
      if (slot === undefined) throw new PartyError("the dealer asks for a weight that the program has not");
      await this.integers.mask(slot, masks, (part) => dealer.send("setup", slot.id, [part]));
    }
  }

  /** The key of R for these weights; they were read when the program was compiled. */
  weightsKey(): Secret {
    if (this.version === null) throw new InternalError("the key of R is asked for before the weights were read");
    return keyOfVersion(this.served.modelKey, this.version);
  }

  /** The floats; what clients may have of them stays. @throws PartyError when they are not those of the first time. */
  private async floats(): Promise<Weights> {
    const weights = await this.served.weights();
    const version = versionOf(this.served.model.spec, weights);
    if (hex(this.version ?? version) !== hex(version))
      throw new PartyError("the model's weights have changed since the server started: start it again");
    this.version = version;
    if (this.served.model.spec.embedding === "public")
      this.tables = publicTables(this.served.model.spec).map(([name]) => weights.get(name).data);
    return weights;
  }

  /** @throws PartyError when the client has compiled another program than this one. */
  compiled(shape: Shape, account: string, fingerprint?: string): Promise<Compiled> {
    const { spec, plan } = this.served.model;
    return this.programs.of({ account, key: JSON.stringify(shape), task: { spec, plan, shape }, fingerprint });
  }

  private async finished(compiled: CompiledProgram): Promise<Compiled> {
    const { program } = compiled;
    const weights = await this.integers.for(program, () => this.floats());
    const keys = sessionKeyBytes(program, this.verify);
    const [all, held] = [materialBytes(program), heldBytes(program)];
    return { ...compiled, weights, materialBytes: all + keys, heldBytes: held + keys };
  }
}
