/**
 * What a service tells about itself. The types are the allow-list: numbers and fixed words, so that no text, share, seed or
 * message of a peer can get into a log or a metric.
 */

import { type RefusalReason, Refused } from "../admission/quota.ts";
import { ChannelError } from "../channels/channel.ts";
import { PlanError, type Shape } from "../program/steps.ts";
import { hex } from "../ring/hex.ts";
import { randomKey } from "../ring/prg.ts";
import { Deviation, described, PartyError } from "./messages.ts";

/** How a failed session failed: a peer lost or out of turn, a refusal, or a fault of this program. */
export type FailureKind = "channel" | "party" | "fault";

export type ServiceEvent =
  | { readonly event: "answered"; readonly shape: Shape; readonly texts: number; readonly seconds: number }
  | { readonly event: "prepared"; readonly shape: Shape }
  | { readonly event: "dealt"; readonly shape: Shape; readonly bytes: number; readonly seconds: number }
  | { readonly event: "weights sent"; readonly count: number }
  /** A client's check failed, or was not answered where a sample is checked: it got nothing. */
  | { readonly event: "deviated" }
  | { readonly event: "refused"; readonly reason: RefusalReason }
  | {
      readonly event: "failed";
      readonly kind: FailureKind;
      /** Of a fault: what its peer was told to look up, and which system call or kind of error it was. */
      readonly reference?: string;
      readonly name?: string;
    };

export type Log = (event: ServiceEvent) => void;

/** The event that an error is. */
export function failureOf(error: unknown): ServiceEvent {
  if (error instanceof Deviation) return { event: "deviated" };
  if (error instanceof Refused) return { event: "refused", reason: error.reason };
  if (isOwn(error)) return { event: "failed", kind: error instanceof ChannelError ? "channel" : "party" };
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  const word = [code, name].find((text) => typeof text === "string" && /^[A-Za-z_]{1,40}$/.test(text)) as string;
  return { event: "failed", kind: "fault", reference: referenceOf(error), name: word };
}

/** What a peer is told of an error: our own words; of anything else, which may name this machine's files, where to look. */
export function lineForPeer(error: unknown): string {
  if (isOwn(error)) return error.message;
  return `a fault on this side: its operator finds ${referenceOf(error)} in the log`;
}

/** Under which a fault is told to the peer and logged; empty for what is told in our own words. */
export function referenceOf(error: unknown): string {
  if (isOwn(error) || typeof error !== "object" || error === null) return "";
  let reference = references.get(error);
  if (reference === undefined) {
    reference = hex(randomKey()).slice(0, 8);
    references.set(error, reference);
  }
  return reference;
}

const references = new WeakMap<object, string>();

/** Whether an error says in our own words what a peer did or may not do. */
function isOwn(error: unknown): error is Error {
  return [ChannelError, PartyError, Refused, PlanError].some((kind) => error instanceof kind);
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
    case "deviated":
      return "a client's check failed or was not answered: it got nothing, and what was made for it is used up";
    case "refused":
      return `refused a request: ${event.reason}`;
    case "failed":
      return `a session ended early: ${[event.kind, event.reference, event.name].filter(Boolean).join(" ")}`;
  }
}
