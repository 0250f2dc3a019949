/** A client's material: what is ready for the next run, what waits in a store, and what is made now. */
import type { Shape } from "../program/steps.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { MaterialStore } from "../stores/store.ts";
import type { Compile, CompiledProgram } from "./compiling.ts";
import * as messages from "./messages.ts";
import { PartyError, type PublicModel, parse } from "./messages.ts";
import { type OfflineParties, offlineSession, type Prepared } from "./offline-session.ts";
import { Programs } from "./programs.ts";
import type { Embedder } from "./text.ts";

/** A client asks for what it compiles itself: it may be more than a service makes for others. */
const BOUNDS = { steps: 2_000_000 };

interface MaterialOptions extends Omit<OfflineParties, "modelId"> {
  readonly model: PublicModel;
  /** Whether the server checks what clients open. */
  readonly verified: boolean;
  readonly store?: MaterialStore;
  readonly compile?: Compile;
  readonly whole?: boolean;
}

/** Not for concurrent calls: each method that speaks to the server is to be within one call of the connection. */
export class ClientMaterial {
  private readonly options: MaterialOptions;
  private readonly parties: OfflineParties;
  private readonly programs: Programs<CompiledProgram>;
  private known: Embedder | null = null;
  /** Material that both sides hold for this connection's next run. */
  private ready: Prepared | null = null;

  constructor(options: MaterialOptions) {
    this.options = options;
    this.parties = { ...options, modelId: options.model.id };
    this.programs = new Programs({
      compile: options.compile,
      limits: { bounds: BOUNDS },
      mismatch: "the peer compiles another program: install the same release on both sides",
      finish: async (compiled) => compiled,
    });
  }

  /** The public embedding, once its tables were learnt; null where it is private. */
  get embedder(): Embedder | null {
    return this.known;
  }

  /** The shape that the next run finds ready, if any. */
  get readyShape(): Shape | null {
    return this.ready?.program.shape ?? null;
  }

  program(asked: Shape): Promise<CompiledProgram> {
    const shape = this.agreed(asked);
    const task = { spec: this.options.model.spec, plan: this.options.model.plan, shape };
    return this.programs.of({ account: "", key: JSON.stringify(shape), task });
  }

  /** Of each of `texts` texts: what is ready, else what a store has, else what is made now, of which the run itself makes the later portions. */
  async take(shape: Shape, texts: number): Promise<readonly Prepared[]> {
    await this.learnTables();
    const taken = await this.takeReady(shape, texts);
    while (taken.length < texts)
      taken.push(
        (await this.fromStore(shape)) ??
          (await offlineSession(this.parties, await this.program(shape), {
            prepare: false,
            whole: this.options.whole === true,
          })),
      );
    return taken;
  }

  /** Makes material for the next run. */
  async makeReady(shape: Shape): Promise<void> {
    await this.learnTables();
    await this.drop();
    this.ready = await offlineSession(this.parties, await this.program(shape), { prepare: false, whole: true });
  }

  /** Makes material that both sides are to keep in their stores; the result keeps it here. */
  async prepare(shape: Shape): Promise<() => Promise<void>> {
    const store = this.options.store;
    if (store === undefined) throw new PartyError("there is no place to keep material: give --store DIR");
    const compiled = await this.program(shape);
    const { material, session } = await offlineSession(this.parties, compiled, { prepare: true, whole: true });
    parse(messages.accepted, await this.options.channel.receiveJson(0), "server");
    return () => store.put(session, { key: this.storeKey(compiled), parts: material.parts() });
  }

  /** How many runs of this shape the store has. */
  async prepared(shape: Shape): Promise<number> {
    return (await this.options.store?.count(this.storeKey(await this.program(shape)))) ?? 0;
  }

  /** A shape as this server takes it. */
  private agreed(shape: Shape): Shape {
    return { ...shape, verified: this.options.verified };
  }

  private storeKey({ fingerprint }: CompiledProgram): string {
    return `${this.options.model.id}${fingerprint}`;
  }

  /** Once, where the embedding is public. */
  private async learnTables(): Promise<void> {
    const { channel, model } = this.options;
    if (model.spec.embedding !== "public" || this.known !== null) return;
    const { fetchEmbedder } = await import("./public-tables.ts");
    this.known = await fetchEmbedder(channel, model);
  }

  /** What is ready for exactly this, if anything is. */
  private async takeReady(shape: Shape, texts: number): Promise<Prepared[]> {
    const { ready } = this;
    if (ready === null || texts > 1 || !sameShape(ready.program.shape, this.agreed(shape))) {
      await this.drop();
      return [];
    }
    this.ready = null;
    return [ready];
  }

  /** Both sides forget what is ready. */
  private async drop(): Promise<void> {
    if (this.ready === null) return;
    this.ready = null;
    const { channel } = this.options;
    await channel.sendJson(0, { request: "drop" });
    parse(messages.accepted, await channel.receiveJson(0), "server");
  }

  /** Claims an item here first, durably, then at the server: a crash in between burns it. */
  private async fromStore(shape: Shape): Promise<Prepared | null> {
    const { program, fingerprint } = await this.program(shape);
    const { store, channel } = this.options;
    const item = await store?.claim(this.storeKey({ program, fingerprint }));
    if (item === undefined) return null;
    try {
      const material = StoredMaterial.parse("client", program, await item.bytes());
      await channel.sendJson(0, { request: "use", session: item.id, shape: program.shape, program: fingerprint });
      parse(messages.accepted, await channel.receiveJson(0), "server");
      return { material, program, reports: [], making: null, session: item.id };
    } finally {
      await item.discard();
    }
  }
}

function sameShape(a: Shape, b: Shape): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
