/** Catches the server's side of one check while its session is alive. A test that uses it mocks check.ts: see malicious.test.ts. */
import type { Checked, ServerSide } from "../../src/protocols/verify/check.ts";
import type { Accepts } from "./arsenal.ts";

type Attack = (accepts: Accepts, checked: Checked, server: ServerSide, answer: Uint8Array) => void;

let attack: Attack | null = null;

/** Calls `f` at the server's next checks, before they are made. */
export function atCheck(f: Attack | null): void {
  attack = f;
}

/** check.ts with the hook in front of `accepts`. */
export function hooked<M extends { accepts: Accepts }>(original: M): M {
  const accepts: Accepts = (checked, server, answer) => {
    attack?.(original.accepts, checked, server, answer);
    return original.accepts(checked, server, answer);
  };
  return { ...original, accepts };
}
