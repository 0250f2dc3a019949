/** What a run gave and what it took, as the client counts it. */
import type { Channel } from "../channels/channel.ts";
import type { OfflineReport } from "./messages.ts";
import { peakRssMb, type SpentByGroup } from "./meter.ts";

/** What one run took, of one text or of several side by side. */
export interface Run {
  /** The padded length of each text. */
  readonly length: number;
  readonly seconds: { readonly online: number; readonly offline: number };
  readonly flights: number;
  readonly bytes: {
    readonly online: { readonly client_to_server: number; readonly server_to_client: number };
    readonly offline: {
      readonly dealer_to_server: number;
      readonly dealer_to_client: number;
      readonly client_to_server: number;
      readonly server_to_client: number;
    };
    readonly setup: { readonly server_to_dealer: number; readonly server_to_client: number };
  };
  readonly peakRssMb: { readonly client: number; readonly server: number; readonly dealer: number };
  /** Where the client's online time went. */
  readonly spent: SpentByGroup;
}

/** What one private inference gave and what it took. */
export interface Inference extends Run {
  /** Every label's logit (a regression's value); the winning label's index alone where the server answers with labels. */
  readonly logits: readonly number[];
  readonly tokens: number;
}

/** The same for texts that ran side by side. */
export interface BatchInference extends Run {
  readonly logits: readonly (readonly number[])[];
}

/** What a channel has counted at one moment. */
export interface Totals {
  readonly onlineOut: number;
  readonly onlineIn: number;
  readonly offlineOut: number;
  readonly offlineIn: number;
  readonly setupIn: number;
  readonly flights: number;
}

export function totals(channel: Channel): Totals {
  const { sent, received } = channel;
  return {
    onlineOut: sent.online.bytes,
    onlineIn: received.online.bytes,
    offlineOut: sent.offline.bytes,
    offlineIn: received.offline.bytes,
    setupIn: received.setup.bytes,
    flights: channel.onlineFlights,
  };
}

/** Flights and bytes of one run: what the client's channel has counted since `before`, and what the dealer told of each text. */
export function costsOf(
  now: Totals,
  before: Totals,
  reports: readonly OfflineReport[],
): Pick<Run, "flights" | "bytes"> {
  const since = (key: keyof Totals) => now[key] - before[key];
  const sum = (f: (dealer: OfflineReport["dealer"]) => number) =>
    reports.reduce((all, { dealer }) => all + f(dealer), 0);
  return {
    flights: since("flights"),
    bytes: {
      online: { client_to_server: since("onlineOut"), server_to_client: since("onlineIn") },
      offline: {
        dealer_to_server: sum((dealer) => dealer.bytes),
        dealer_to_client: 0,
        client_to_server: since("offlineOut"),
        server_to_client: since("offlineIn"),
      },
      setup: { server_to_dealer: sum((dealer) => dealer.setupBytes), server_to_client: since("setupIn") },
    },
  };
}

/** Peak memory of the three processes. */
export function peaksOf(server: number, reports: readonly OfflineReport[]): Run["peakRssMb"] {
  return { client: peakRssMb(), server, dealer: Math.max(0, ...reports.map(({ dealer }) => dealer.peakRssMb)) };
}
