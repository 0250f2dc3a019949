/** One run of a client, from its material to what it took: of one text, or of several side by side. */
import type { Channel } from "../channels/channel.ts";
import type { Program } from "../program/steps.ts";
import { Party, type SharedInput } from "../protocols/sides.ts";
import { allChecks } from "../protocols/verify/sampling.ts";
import type { Ring } from "../ring/ring.ts";
import { type Progress, runProgram, type Witness } from "./engine.ts";
import * as messages from "./messages.ts";
import { parse } from "./messages.ts";
import { Meter } from "./meter.ts";
import type { Prepared } from "./offline-session.ts";
import { clientProof, type Proof } from "./proving.ts";
import { costsOf, peaksOf, type Run, type Totals, totals } from "./run.ts";
import { boundTo, runId } from "./session.ts";
import { WeightMasks } from "./weights.ts";

/** What the client does between two turns; see `RunOptions.turn`. */
export type LaterTurns = (index: number, parties: readonly Party[]) => Promise<boolean>;

export interface RunParties {
  readonly ring: Ring;
  readonly channel: Channel;
  readonly progress?: Progress;
  readonly witness?: Witness;
}

export class OnlineRun {
  /** When the online phase began, on this process's clock. */
  readonly started: number;
  private readonly parties: RunParties;
  private readonly prepared: readonly Prepared[];
  private readonly before: Totals;
  private readonly offlineBefore: number;
  private offlineSeconds: number;
  private readonly meter = new Meter();

  private constructor(
    parties: RunParties,
    prepared: readonly Prepared[],
    from: { readonly before: Totals; readonly begun: number },
  ) {
    this.parties = parties;
    this.prepared = prepared;
    this.before = from.before;
    this.started = performance.now();
    this.offlineBefore = (this.started - from.begun) / 1000;
    this.offlineSeconds = this.offlineBefore;
  }

  /** Begins with what `material` brings for each text: the offline phase, as far as it was not made ahead. */
  static async begin(parties: RunParties, material: () => Promise<readonly Prepared[]>): Promise<OnlineRun> {
    const from = { before: totals(parties.channel), begun: performance.now() };
    return new OnlineRun(parties, await material(), from);
  }

  get program(): Program {
    return this.prepared[0].program;
  }

  /** The session of the first text's material. */
  get session(): string {
    return this.prepared[0].session;
  }

  /** Runs the online phase and reads its answers, then forgets every share. */
  async online<A>(
    inputs: readonly SharedInput[],
    read: (parties: readonly Party[]) => A,
    later?: LaterTurns,
  ): Promise<A> {
    const { ring, channel, progress, witness } = this.parties;
    await channel.sendJson(0, { request: "run", texts: inputs.length });
    const { verified } = this.program.shape;
    const checks = verified ? allChecks(this.program) : undefined;
    const parties = this.prepared.map(({ material }, i) => {
      const { withDealer } = material;
      return new Party(ring, this.program, { role: "client", withDealer, material, input: inputs[i], checks });
    });
    const proof = verified ? await this.proof(parties) : undefined;
    const turn = later && ((index: number) => later(index, parties));
    const portion = (index: number) => this.make(index);
    try {
      const id = await runId(this.prepared.map(({ session }) => session));
      await boundTo(channel, id, () =>
        runProgram(parties, channel, { progress, witness, meter: this.meter, turn, portion, proof }),
      );
      return read(parties);
    } finally {
      for (const party of parties) party.close();
      for (const { making } of this.prepared) making?.close();
    }
  }

  /** Makes a portion that is not there yet: offline work, whenever it is done. */
  private async make(portion: number): Promise<void> {
    const begun = performance.now();
    for (const { making } of this.prepared) await making?.portions(portion, portion + 1);
    this.offlineSeconds += (performance.now() - begun) / 1000;
  }

  /** What the server asks before each answer. */
  private async proof(parties: readonly Party[]): Promise<Proof> {
    const { ring, channel } = this.parties;
    const texts = this.prepared.map(({ material }, i) => ({ party: parties[i], material }));
    const weights = await WeightMasks.create(ring, this.program, texts[0].material.modelKey);
    return clientProof(ring, channel, texts, weights);
  }

  /** Hears the server's last word of the run. Returns what all of it took. */
  async end(): Promise<Run> {
    const online = (performance.now() - this.started) / 1000 - (this.offlineSeconds - this.offlineBefore);
    const { channel } = this.parties;
    const { peakRssMb } = parse(messages.finished, await channel.receiveJson(0), "server");
    const reports = this.prepared.flatMap(({ reports }) => reports);
    return {
      length: this.program.shape.length,
      seconds: { online, offline: this.offlineSeconds },
      ...costsOf(totals(channel), this.before, reports),
      peakRssMb: peaksOf(peakRssMb, reports),
      spent: this.meter.spent,
    };
  }
}
