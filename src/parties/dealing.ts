/** One session as its dealer deals it: portion by portion, while the server's run uses the one before. */
import { type Channel, ChannelError } from "../channels/channel.ts";
import type { Program, Shape, Step } from "../program/steps.ts";
import { portionsOf } from "../protocols/portions.ts";
import { Dealer } from "../protocols/sides.ts";
import { KeyDealer } from "../protocols/verify/sources.ts";
import { fromHex } from "../ring/hex.ts";
import { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { breathe, dealPortion } from "./engine.ts";
import { ArrivingWeights, type KeptWeights } from "./kept-weights.ts";
import { goesOn, type OfflineReport, PartyError } from "./messages.ts";
import { type Measured, peakRssMb, stopwatch } from "./meter.ts";
import { type Shared, SharedPace } from "./pace.ts";
import { StoredWeights } from "./weights.ts";

/** What a session is dealt from. */
export interface DealingOptions {
  readonly ring: Ring;
  readonly program: Program;
  /** To the server. */
  readonly channel: Channel;
  readonly weights: KeptWeights;
  /** Whose weights. */
  readonly owner: string;
  /** Of client and server. */
  readonly seeds: readonly [client: string, server: string];
  /** Of how many openings the server checks one; 0: none. */
  readonly verify: number;
  /** Called when it is closed. */
  readonly leave: () => void;
}

export class Dealing {
  private readonly program: Program;
  private readonly channel: Channel;
  private readonly arriving: ArrivingWeights;
  private readonly dealer: Dealer;
  private readonly keys: KeyDealer | null;
  private readonly leave: () => void;
  /** The portion that is next. */
  private index = 0;
  private all = { bytes: 0, seconds: 0 };

  private constructor({ ring, program, channel, seeds, verify, leave }: DealingOptions, arriving: ArrivingWeights) {
    const [withClient, withServer] = seeds.map((seed) => new Prg(fromHex(seed)));
    this.program = program;
    this.channel = channel;
    this.leave = leave;
    this.arriving = arriving;
    this.dealer = new Dealer(ring, program, withClient, withServer, new StoredWeights(arriving.words, program.weights));
    this.keys = verify === 0 ? null : new KeyDealer(ring, program, withClient, withServer, verify);
  }

  /** To be closed, whatever happens. @throws PartyError for a server that checks another program than it asks for */
  static async create(options: DealingOptions): Promise<Dealing> {
    const { weights, channel, owner, program, verify } = options;
    if (program.shape.verified !== verify > 0)
      throw new PartyError("the server checks another program than it asks for");
    return new Dealing(options, await ArrivingWeights.create(weights, channel, owner, program));
  }

  /** Portions that were dealt. */
  get portions(): number {
    return this.index;
  }

  /** What they took in all, and of which shape they are. */
  get dealt(): { readonly shape: Shape; readonly bytes: number; readonly seconds: number } {
    return { shape: this.program.shape, ...this.all };
  }

  get ended(): boolean {
    return this.index === portionsOf(this.program).length;
  }

  /** Deals the next portion; the server's masked weights come with the first. Returns what it took here. */
  async portion(shared: Shared): Promise<Measured> {
    const { channel, dealer, arriving, keys, index } = this;
    const measured = stopwatch("offline");
    const before = { bytes: channel.sent.offline.bytes, setupBytes: channel.received.setup.bytes };
    if (index === 0) await channel.sendJson(0, { missing: arriving.missing });
    const emit = (step: Step | null, packed: readonly Uint8Array[]) =>
      channel.send("offline", step?.id ?? this.program.steps.length, packed);
    await SharedPace.during(shared, async (pace) => {
      await dealPortion(dealer, index, { emit, ready: (step) => arriving.until(step), pace, keys });
      await pace.away(arriving.all());
    });
    this.index++;
    const phase = measured();
    const bytes = channel.sent.offline.bytes - before.bytes;
    const setupBytes = channel.received.setup.bytes - before.setupBytes;
    await this.report({ seconds: phase.seconds, dealer: { bytes, setupBytes, peakRssMb: peakRssMb() } });
    this.all = { bytes: this.all.bytes + bytes, seconds: this.all.seconds + phase.seconds };
    return phase;
  }

  /** Whether the server wants the next portion. A run that ended with its text does not, and its server leaves. */
  async isWanted(): Promise<boolean> {
    try {
      return await goesOn(this.channel);
    } catch (error) {
      if (this.channel.left) return false;
      throw error;
    }
  }

  /** Whether the server has gone. A message that could not be sent tells of it before the wire does. */
  async isLeft(): Promise<boolean> {
    await breathe();
    return this.channel.left;
  }

  close(): void {
    this.dealer.close();
    this.keys?.close();
    this.arriving.release();
    this.leave();
  }

  /** At the end it is the last word. A server that has it closes at once, at times before this side hears that it left; one that lacks it fails. */
  private async report(report: OfflineReport): Promise<void> {
    await this.channel.sendJson(0, report).catch((error: Error) => {
      if (!(error instanceof ChannelError)) throw error;
    });
  }
}
