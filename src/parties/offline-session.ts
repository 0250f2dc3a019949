/** One session of the offline phase, from the client's side: three parties agree on its name, and material is made for it. */
import type { Channel } from "../channels/channel.ts";
import type { Program } from "../program/steps.ts";
import { ClientOffline } from "../protocols/sides.ts";
import { fromHex, hex } from "../ring/hex.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { CompiledProgram } from "./compiling.ts";
import type { Connection } from "./connection.ts";
import { type Progress, prepareProgram } from "./engine.ts";
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
  /** Null where it was made ahead of time. */
  readonly report: OfflineReport | null;
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

/** Makes material for one text. `prepare`: the server keeps its part in its store. @throws PartyError, ChannelError */
export async function offlineSession(
  parties: OfflineParties,
  { program, fingerprint }: CompiledProgram,
  prepare: boolean,
): Promise<Prepared> {
  const { ring, channel, connection } = parties;
  const material = new StoredMaterial("client", program, new Secret(randomKey()));
  const dealer = await parties.connectDealer();
  const leave = connection.beside(dealer);
  try {
    const nonce = hex(randomKey());
    await channel.sendJson(0, { request: "session", shape: program.shape, program: fingerprint, prepare, nonce });
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
    const masks = await WeightMasks.create(ring, program, modelKey);
    const report = await boundTo(channel, session, () => sendAhead(parties, material, program, masks));
    return { material, program, report, session };
  } finally {
    leave();
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

/** The client's share of the offline phase: what it sends to the server, and what it keeps. */
async function sendAhead(
  { ring, channel, progress }: OfflineParties,
  material: StoredMaterial,
  program: Program,
  masks: WeightMasks,
): Promise<OfflineReport> {
  const client = new ClientOffline(ring, program, new Prg(material.seed.expose()), masks);
  try {
    await prepareProgram(
      client,
      (step, packed) => channel.send("offline", step.id, [packed]),
      (step, packed) => material.put("share", step.id, packed),
      progress,
    );
  } finally {
    client.close();
  }
  return parse(messages.offlineReport, await channel.receiveJson(0), "server");
}
