/** All three parties in one process: for tests, examples and first looks. The same code runs as over a network. */

import type { Channel } from "../channels/channel.ts";
import { memoryPair } from "../channels/memory.ts";
import type { Program, Step } from "../program/steps.ts";
import type { Choose } from "../protocols/clear.ts";
import {
  type ClientInput,
  ClientOffline,
  Dealer,
  type MaskedWeights,
  Party,
  type ServerWeights,
} from "../protocols/sides.ts";
import { checkable, sampled, type Verify } from "../protocols/verify/sampling.ts";
import { KeyDealer } from "../protocols/verify/sources.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import { dealProgram, prepareProgram, runProgram, type Witness } from "./engine.ts";
import { Findings } from "./findings.ts";
import { goesOn } from "./messages.ts";
import { checkedValues, clientProof, serverProof } from "./proving.ts";
import { putDealt } from "./server-offline.ts";
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
  const [clientSeed, serverSeed] = [randomKey(), randomKey()];
  const ofServer = new StoredMaterial("server", program, new Secret(serverSeed));
  const ofClient = new StoredMaterial("client", program, new Secret(clientSeed));
  const offline = { dealt: 0, ahead: 0 };
  const dealer = new Dealer(ring, program, new Prg(clientSeed), new Prg(serverSeed), inputs.maskedWeights);
  const { verify = 0 } = inputs;
  const [forClient, forServer] = [new Prg(clientSeed), new Prg(serverSeed)];
  const chosen = sampled(ring, program, forServer, verify);
  const keys = verify === 0 ? null : new KeyDealer(ring, program, forClient, forServer, verify);
  const take = async (step: Step | null, parts: readonly Uint8Array[]) => {
    const packed = Buffer.concat(parts);
    offline.dealt += packed.length;
    inputs.offlineWitness?.("dealer", step?.id ?? program.steps.length, packed);
    if (step !== null) putDealt(ofServer, program, step, packed);
  };
  await dealProgram(dealer, take, undefined, undefined, keys);
  dealer.close();
  keys?.close();
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
    checked: verify === 0 ? undefined : checkedValues(program, checkable(program)),
  });
  const server = new Party(ring, program, {
    role: "server",
    withDealer: ofServer.withDealer,
    material: ofServer,
    weights: inputs.weights,
    checked: verify === 0 ? undefined : checkedValues(program, chosen),
  });
  const { witness, choose, input } = inputs;
  const findings = new Findings();
  const weights = inputs.weightMasks;
  const proofs = verify > 0 && [
    clientProof(ring, toServer, [{ party: client, material: ofClient }], weights),
    serverProof(ring, toClient, [{ party: server, material: ofServer }], { weights, verify }),
  ];
  const turn = async (index: number) => {
    const token = choose?.(answerOf(client, findings, index - 1)) ?? null;
    if (token !== null) input.take(token);
    await toServer.sendJson(0, { next: token !== null });
    return token !== null;
  };
  await Promise.all([
    runProgram([client], toServer, { witness, turn, proof: proofs ? proofs[0] : undefined }),
    runProgram([server], toClient, { turn: () => goesOn(toClient), proof: proofs ? proofs[1] : undefined }).catch(
      (error: Error) => {
        // As a service does: whoever waits for it is told.
        toClient.close();
        throw error;
      },
    ),
  ]);
  findings.raise();
  const close = () => {
    client.close();
    server.close();
  };
  return { client, server, channel: toServer, offline, close };
}
