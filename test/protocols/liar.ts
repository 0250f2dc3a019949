/** A client that lies in earnest, while a session runs: in one message, or in a share that all its later messages follow from. */
import type { Program, Step } from "../../src/program/steps.ts";
import { openBits } from "../../src/protocols/compare.ts";
import { open } from "../../src/protocols/open.ts";
import { checkable } from "../../src/protocols/verify/sampling.ts";
import { producer } from "../../src/protocols/verify/words.ts";
import type { Words } from "../../src/ring/memory.ts";
import { around } from "./watch.ts";

/** What is changed: the message alone, or the share that is opened and with it whatever is made of it. */
export const WAYS = ["message", "share"] as const;

export interface Lie {
  readonly step: Step;
  readonly way: (typeof WAYS)[number];
  /** Of the words of a message or share; must change something. */
  readonly change: (words: Words) => void;
}

/** Lies until the returned function is called. */
export function lying({ step, way, change }: Lie): () => void {
  const undo = [
    around(open, "send", (send) => (p, s) => {
      const mine = s.id === step.id && !p.isServer;
      if (mine && way === "share") change(p.get("share", s.x));
      const message = send(p, s);
      if (mine && way === "message") change(message);
      return message;
    }),
    around(openBits, "send", (send) => (p, s) => {
      const mine = s.id === step.id && !p.isServer;
      if (mine && way === "share") change(p.get("share", s.x));
      const message = send(p, s);
      if (mine && way === "message") change(message);
      return message;
    }),
    around(open, "prepare", (prepare) => (c, s) => {
      const mine = s.id === step.id && (s.mode === "forward" || s.mode === "reveal");
      if (mine && way === "share") change(c.get("share", s.x));
      const ahead = prepare!(c, s);
      if (mine && way === "message" && ahead !== null) change(ahead);
      return ahead;
    }),
  ];
  return () => {
    for (const f of undo) f();
  };
}

/** One opening of each kind: by how it is opened and what makes the opened share. */
export function oneOfEach(program: Program): Step[] {
  const found = new Map<string, Step>();
  for (const step of checkable(program)) {
    const from = step.kind === "open" || step.kind === "openBits" ? producer(program, step.x).kind : "";
    found.set(`${step.kind} ${step.kind === "open" ? step.mode : ""} of ${from}`, step);
  }
  return [...found.values()];
}
