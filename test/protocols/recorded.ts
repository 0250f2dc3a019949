/** Catches the server's side of one check while its session is alive. A test that uses it mocks check.ts: see malicious.test.ts. */
import type { Checked, Judge, ServerSide } from "../../src/protocols/verify/check.ts";
import type { Accepts } from "./arsenal.ts";

type Judging = (checked: Checked, server: ServerSide) => Judge;
type Attack = (accepts: Accepts, checked: Checked, server: ServerSide, answer: Uint8Array) => void;

let attack: Attack | null = null;

/** Calls `f` at the server's next checks, before they are made. */
export function atCheck(f: Attack | null): void {
  attack = f;
}

/** check.ts with the hook in front of a judge's verdict. */
export function hooked<M extends { judging: Judging }>(original: M): M {
  const once: Accepts = (checked, server, answer) => original.judging(checked, server).accepts(answer);
  const judging: Judging = (checked, server) => {
    const judge = original.judging(checked, server);
    const accepts = (answer: Uint8Array) => {
      attack?.(once, checked, server, answer);
      return judge.accepts(answer);
    };
    return { ...judge, accepts };
  };
  return { ...original, judging };
}
