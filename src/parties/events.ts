/**
 * What a service tells about itself. The types are the allow-list: numbers and fixed words, so that no text, share, seed or
 * message of a peer can get into a log or a metric.
 */

import { type RefusalReason, Refused } from "../admission/quota.ts";
import { ChannelError } from "../channels/channel.ts";
import { PlanError, type Shape } from "../program/steps.ts";
import { described, PartyError } from "./messages.ts";

/** How a failed session failed: a peer lost or out of turn, a refusal, or a fault of this program. */
export type FailureKind = "channel" | "party" | "fault";

export type ServiceEvent =
  | { readonly event: "answered"; readonly shape: Shape; readonly texts: number; readonly seconds: number }
  | { readonly event: "prepared"; readonly shape: Shape }
  | { readonly event: "dealt"; readonly shape: Shape; readonly bytes: number; readonly seconds: number }
  | { readonly event: "weights sent"; readonly count: number }
  | { readonly event: "refused"; readonly reason: RefusalReason }
  | { readonly event: "failed"; readonly kind: FailureKind };

export type Log = (event: ServiceEvent) => void;

/** The event that an error is. */
export function failureOf(error: unknown): ServiceEvent {
  if (error instanceof Refused) return { event: "refused", reason: error.reason };
  const kind = error instanceof ChannelError ? "channel" : error instanceof PartyError ? "party" : "fault";
  return { event: "failed", kind };
}

/** What a peer is told of an error: our own words; of anything else, which may name this machine's files, that it happened. */
export function lineForPeer(error: unknown): string {
  const own =
    error instanceof ChannelError ||
    error instanceof PartyError ||
    error instanceof Refused ||
    error instanceof PlanError;
  return own ? error.message : "a fault on this side: its operator's log says more";
}

/** One line for people. */
export function lineOf(event: ServiceEvent): string {
  switch (event.event) {
    case "answered":
      return `answered ${event.texts === 1 ? "" : `${event.texts} times `}${described(event.shape)} in ${event.seconds.toFixed(2)} s`;
    case "prepared":
      return `kept material for ${described(event.shape)}`;
    case "dealt":
      return `dealt a session of ${described(event.shape)}: ${(event.bytes / 1e6).toFixed(1)} MB in ${event.seconds.toFixed(1)} s`;
    case "weights sent":
      return `the dealer has ${event.count} masked weights more`;
    case "refused":
      return `refused a request: ${event.reason}`;
    case "failed":
      return `a session ended early: ${event.kind}`;
  }
}
