/** One session of the offline phase, from the client's side: three parties agree on its name, and material is made for it. */
import type { Channel } from "../channels/channel.ts";
import type { Program } from "../program/steps.ts";
import { portionsOf } from "../protocols/portions.ts";
import { ClientOffline } from "../protocols/sides.ts";
import { fromHex, hex } from "../ring/hex.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { CompiledProgram } from "./compiling.ts";
import type { Connection } from "./connection.ts";
import { type Progress, preparePortion } from "./engine.ts";
import * as messages from "./messages.ts";
import { type OfflineReport, parse } from "./messages.ts";
import { boundTo, type SessionParts, sessionId } from "./session.ts";
import { WeightMasks } from "./weights.ts";

/** Material of one text, for one run. */
export interface Prepared {
  /** The session that made it. */
  readonly session: string;
  readonly material: StoredMaterial;
  readonly program: Program;
  /** What was told of each portion that was made now: more while the run goes on, none where all was made ahead of time. */
  readonly reports: readonly OfflineReport[];
  /** What makes the later portions; null where all are there. */
  readonly making: ClientMaking | null;
}

/** With whom, and about which model. */
export interface OfflineParties {
  readonly ring: Ring;
  readonly channel: Channel;
  readonly connection: Connection;
  readonly modelId: string;
  readonly connectDealer: () => Promise<Channel>;
  /** What the dealer is told of a session, beside a seed, which is shown to nobody. */
  readonly toldDealer?: (session: SessionParts) => void;
  readonly progress?: Progress;
}

/** When the portions of a session are made, and for whom. */
export interface When {
  /** The server keeps its part in its store. */
  readonly prepare: boolean;
  /** All before the run; else the first one, and each of the others once the run needs it. */
  readonly whole: boolean;
}

/** Makes material for one text; what it makes is closed with `making`. @throws PartyError, ChannelError */
export async function offlineSession(
  parties: OfflineParties,
  { program, fingerprint }: CompiledProgram,
  { prepare, whole }: When,
): Promise<Prepared> {
  const { ring, channel, connection } = parties;
  const material = new StoredMaterial("client", program, new Secret(randomKey()));
  const dealer = await parties.connectDealer();
  const leave = connection.beside(dealer);
  try {
    const nonce = hex(randomKey());
    await channel.sendJson(0, {
      request: "session",
      shape: program.shape,
      program: fingerprint,
      prepare,
      whole,
      nonce,
    });
    const granted = parse(messages.granted, await channel.receiveJson(0), "server");
    const parts = sessionParts(parties, dealer, {
      program: fingerprint,
      clientNonce: nonce,
      serverNonce: granted.nonce,
    });
    const session = await sessionId(parts);
    parties.toldDealer?.(parts);
    await tellDealer(dealer, parts, session, material.seed);
    const modelKey = new Secret(fromHex(granted.modelKey));
    if (program.shape.verified) material.put("model", 0, modelKey.expose());
    const making = new ClientMaking(parties, material, program, await WeightMasks.create(ring, program, modelKey));
    const first = whole ? portionsOf(program).length : 1;
    await boundTo(channel, session, () => making.portions(0, first));
    const { reports } = making;
    return { material, program, session, reports, making: making.ended ? null : making };
  } finally {
    leave();
  }
}

/** The client's share of the offline phase: portion by portion, what it sends to the server and what it keeps. */
class ClientMaking {
  readonly reports: OfflineReport[] = [];
  private readonly parties: OfflineParties;
  private readonly material: StoredMaterial;
  private readonly program: Program;
  private readonly client: ClientOffline;
  private closed = false;

  constructor(parties: OfflineParties, material: StoredMaterial, program: Program, masks: WeightMasks) {
    this.parties = parties;
    this.material = material;
    this.program = program;
    this.client = new ClientOffline(parties.ring, program, new Prg(material.seed.expose()), masks);
  }

  /** Whether nothing is left to be made. */
  get ended(): boolean {
    return this.closed;
  }

  /** Makes some portions, one after the other. What fails closes it. @throws PartyError, ChannelError */
  async portions(first: number, end: number): Promise<void> {
    const { channel } = this.parties;
    const all = portionsOf(this.program);
    const some = all.slice(first, end).flatMap(({ steps }) => steps);
    const total = some.reduce((sum, steps) => sum + steps.length, 0);
    let done = 0;
    try {
      for (let index = first; index < end; index++) {
        await preparePortion(this.client, index, {
          emit: (step, packed) => channel.send("offline", step.id, [packed]),
          keep: (step, packed) => this.material.put("share", step.id, packed),
          done: (steps) => {
            done += steps.length;
            this.parties.progress?.(done, total, steps[0]);
          },
        });
        this.reports.push(parse(messages.offlineReport, await channel.receiveJson(0), "server"));
      }
    } catch (error) {
      this.close();
      throw error;
    }
    if (end === all.length) this.close();
  }

  /** Forgets its masks: nothing more is made. */
  close(): void {
    if (!this.closed) this.client.close();
    this.closed = true;
  }
}

function sessionParts(
  { channel, modelId }: OfflineParties,
  dealer: Channel,
  agreed: Pick<SessionParts, "program" | "clientNonce" | "serverNonce">,
): SessionParts {
  const { own, peer } = channel.identities;
  const identities = { client: own, server: peer, dealer: dealer.identities.peer };
  return { version: messages.PROTOCOL_VERSION, model: modelId, ...agreed, ...identities };
}

async function tellDealer(dealer: Channel, parts: SessionParts, session: string, seed: Secret): Promise<void> {
  await dealer.sendJson(0, { role: "client", session: parts, seed: hex(seed.expose()) });
  await boundTo(dealer, session, async () => parse(messages.accepted, await dealer.receiveJson(0), "dealer"));
}
