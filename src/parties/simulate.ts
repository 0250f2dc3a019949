/** All three parties in one process: for tests, examples and first looks. The same code runs as over a network. */

import type { Channel } from "../channels/channel.ts";
import { memoryPair } from "../channels/memory.ts";
import type { Program, Step } from "../program/steps.ts";
import type { Choose } from "../protocols/clear.ts";
import { portionsOf } from "../protocols/portions.ts";
import {
  type ClientInput,
  ClientOffline,
  Dealer,
  type MaskedWeights,
  Party,
  type ServerWeights,
} from "../protocols/sides.ts";
import { allChecks, dueChecks, sampled, type Verify } from "../protocols/verify/sampling.ts";
import { KeyDealer } from "../protocols/verify/sources.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import { dealPortion, preparePortion, type RunOptions, runProgram, type Witness } from "./engine.ts";
import { Findings } from "./findings.ts";
import { goesOn } from "./messages.ts";
import { clientProof } from "./proving.ts";
import { putDealt } from "./server-offline.ts";
import { serverProof } from "./server-proving.ts";
import { answerOf } from "./text.ts";

export interface Simulation {
  readonly client: Party;
  readonly server: Party;
  /** The client's end of the wire, with what it counted. */
  readonly channel: Channel;
  /** Packed bytes that the dealer sent the server, and the client sent ahead. */
  readonly offline: { readonly dealt: number; readonly ahead: number };
  close(): void;
}

export interface SimulationInputs {
  readonly input: ClientInput;
  readonly weights: ServerWeights;
  /** What the dealer holds: W - R. */
  readonly maskedWeights: MaskedWeights;
  /** What the client expands: R. */
  readonly weightMasks: MaskedWeights;
  /** Of a decoder: the client's choice after each turn but the last. */
  readonly choose?: Choose;
  readonly witness?: Witness;
  /** Of how many of the client's openings one is checked: 1 for all, 0 for none. */
  readonly verify?: Verify;
  /** Sees what the server gets offline: from the dealer, and from the client ahead of the text. */
  readonly offlineWitness?: (from: "dealer" | "client", step: number, packed: Uint8Array) => void;
}

/** Runs one program once, on fresh seeds. The parties stay open so that their values can be read. */
export async function simulate(ring: Ring, program: Program, inputs: SimulationInputs): Promise<Simulation> {
  const { input, weights, weightMasks, verify = 0 } = inputs;
  const { ofClient, ofServer, chosen, bytes } = await prepared(ring, program, inputs);
  const [toServer, toClient] = memoryPair();
  const client = new Party(ring, program, {
    role: "client",
    withDealer: ofClient.withDealer,
    material: ofClient,
    input,
    checks: verify === 0 ? undefined : allChecks(program),
  });
  const server = new Party(ring, program, {
    role: "server",
    withDealer: ofServer.withDealer,
    material: ofServer,
    weights,
    checks: verify === 0 ? undefined : dueChecks(program, chosen),
  });
  const [ofClients, ofServers] =
    verify === 0
      ? []
      : [
          clientProof(ring, toServer, [{ party: client, material: ofClient }], weightMasks),
          serverProof(ring, toClient, [{ party: server, material: ofServer }], { weights: weightMasks, verify }),
        ];
  await online(
    inputs,
    { party: client, channel: toServer, proof: ofClients },
    { party: server, channel: toClient, proof: ofServers },
  );
  const close = () => {
    client.close();
    server.close();
  };
  return { client, server, channel: toServer, offline: bytes, close };
}

/** What the dealer deals, and what the client prepares with it. */
async function prepared(
  ring: Ring,
  program: Program,
  { maskedWeights, weightMasks, offlineWitness, verify = 0 }: SimulationInputs,
) {
  const [clientSeed, serverSeed] = [randomKey(), randomKey()];
  const ofServer = new StoredMaterial("server", program, new Secret(serverSeed));
  const ofClient = new StoredMaterial("client", program, new Secret(clientSeed));
  const bytes = { dealt: 0, ahead: 0 };
  const dealer = new Dealer(ring, program, new Prg(clientSeed), new Prg(serverSeed), maskedWeights);
  const [forClient, forServer] = [new Prg(clientSeed), new Prg(serverSeed)];
  const chosen = sampled(ring, program, forServer, verify);
  const keys = verify === 0 ? null : new KeyDealer(ring, program, forClient, forServer, verify);
  const take = async (step: Step | null, parts: readonly Uint8Array[]) => {
    const packed = Buffer.concat(parts);
    bytes.dealt += packed.length;
    offlineWitness?.("dealer", step?.id ?? program.steps.length, packed);
    if (step !== null) putDealt(ofServer, program, step, packed);
  };
  for (const index of portionsOf(program).keys()) await dealPortion(dealer, index, { emit: take, keys });
  dealer.close();
  keys?.close();
  const preparing = new ClientOffline(ring, program, new Prg(clientSeed), weightMasks);
  const ahead = async (step: { id: number }, packed: Uint8Array) => {
    bytes.ahead += packed.length;
    offlineWitness?.("client", step.id, packed);
    ofServer.put("ahead", step.id, packed);
  };
  const keep = (step: Step, packed: Uint8Array) => ofClient.put("share", step.id, packed);
  for (const index of portionsOf(program).keys()) await preparePortion(preparing, index, { emit: ahead, keep });
  preparing.close();
  return { ofClient, ofServer, chosen, bytes };
}

/** One end of the online phase. */
interface End {
  readonly party: Party;
  readonly channel: Channel;
  readonly proof: RunOptions["proof"];
}

/** Both ends of the online phase, each in its own time. @throws what either throws, and what the client found in its values. */
async function online({ choose, input, witness }: SimulationInputs, client: End, server: End): Promise<void> {
  const findings = new Findings();
  const turn = async (index: number) => {
    const token = choose?.(answerOf(client.party, findings, index - 1)) ?? null;
    if (token !== null) input.take(token);
    await client.channel.sendJson(0, { next: token !== null });
    return token !== null;
  };
  await Promise.all([
    runProgram([client.party], client.channel, { witness, turn, proof: client.proof }),
    runProgram([server.party], server.channel, { turn: () => goesOn(server.channel), proof: server.proof }).catch(
      (error: Error) => {
        // As a service does: whoever waits for it is told.
        server.channel.close();
        throw error;
      },
    ),
  ]);
  findings.raise();
}
