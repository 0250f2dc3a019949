/** All three parties in one process: for tests, examples and first looks. The same code runs as over a network. */

import type { Channel } from "../channels/channel.ts";
import { memoryPair } from "../channels/memory.ts";
import type { Program } from "../program/steps.ts";
import type { Choose } from "../protocols/clear.ts";
import {
  type ClientInput,
  ClientOffline,
  Dealer,
  type MaskedWeights,
  Party,
  type ServerWeights,
} from "../protocols/sides.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import { dealProgram, prepareProgram, runProgram, type Witness } from "./engine.ts";
import { Findings } from "./findings.ts";
import { goesOn } from "./messages.ts";
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
  /** Sees what the server gets offline: from the dealer, and from the client ahead of the text. */
  readonly offlineWitness?: (from: "dealer" | "client", step: number, packed: Uint8Array) => void;
}

/** Runs one program once, on fresh seeds. The parties stay open so that their values can be read. */
export async function simulate(ring: Ring, program: Program, inputs: SimulationInputs): Promise<Simulation> {
  const [clientSeed, serverSeed] = [randomKey(), randomKey()];
  const ofServer = new StoredMaterial("server", program, new Secret(serverSeed));
  const ofClient = new StoredMaterial("client", program, new Secret(clientSeed));
  const offline = { dealt: 0, ahead: 0 };
  const dealer = new Dealer(ring, program, new Prg(clientSeed), new Prg(serverSeed), inputs.maskedWeights);
  await dealProgram(dealer, async (step, packed) => {
    offline.dealt += packed.length;
    inputs.offlineWitness?.("dealer", step.id, packed);
    ofServer.put("dealt", step.id, packed);
  });
  dealer.close();
  const preparing = new ClientOffline(ring, program, new Prg(clientSeed), inputs.weightMasks);
  const ahead = async (step: { id: number }, packed: Uint8Array) => {
    offline.ahead += packed.length;
    inputs.offlineWitness?.("client", step.id, packed);
    ofServer.put("ahead", step.id, packed);
  };
  await prepareProgram(preparing, ahead, (step, packed) => ofClient.put("share", step.id, packed));
  preparing.close();
  const [toServer, toClient] = memoryPair();
  const client = new Party(ring, program, {
    role: "client",
    withDealer: ofClient.withDealer,
    material: ofClient,
    input: inputs.input,
  });
  const server = new Party(ring, program, {
    role: "server",
    withDealer: ofServer.withDealer,
    material: ofServer,
    weights: inputs.weights,
  });
  const { witness, choose, input } = inputs;
  const findings = new Findings();
  const turn = async (index: number) => {
    const token = choose?.(answerOf(client, findings, index - 1)) ?? null;
    if (token !== null) input.take(token);
    await toServer.sendJson(0, { next: token !== null });
    return token !== null;
  };
  await Promise.all([
    runProgram([client], toServer, { witness, turn }),
    runProgram([server], toClient, { turn: () => goesOn(toClient) }),
  ]);
  findings.raise();
  const close = () => {
    client.close();
    server.close();
  };
  return { client, server, channel: toServer, offline, close };
}
