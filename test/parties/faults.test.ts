/**
 * The fault matrix: every connection, direction and phase of a session, spoiled in every way. Each time the client has the
 * right answer or a clean error, by the deadline of the test at the latest, no service hangs, and the next session is answered.
 *
 * A part of it here; all of it with `MPCFORMER_LONG=1 npx vitest run test/parties/faults.test.ts`.
 */
import { describe, it } from "vitest";
import type { Admission } from "../../src/admission/admission.ts";
import { randomText } from "../../src/models/catalog.ts";
import { type PhaseNumber, type Spoil, Tamper, WIRE_FAULTS, type WireFault } from "./tamper.ts";
import { type LinkName, World } from "./world.ts";

const LONG = process.env.MPCFORMER_LONG === "1";
/** Long enough that no party of a busy machine is taken for one that has gone; a wait for it costs little, for the tests run side by side. */
const DEADLINE_MS = 10_000;
/** Where everything is late and nothing lost, the answer has to come. */
const SLOW_DEADLINE_MS = 120_000;

/** Which frames a connection has: way and phase. */
const FRAMES: Readonly<Record<LinkName, readonly (readonly [Spoil["way"], PhaseNumber])[]>> = {
  "client to server": [
    ["there", 0],
    ["back", 0],
    ["there", 2],
    ["there", 3],
    ["back", 3],
  ],
  "client to dealer": [
    ["there", 0],
    ["back", 0],
  ],
  "server to dealer": [
    ["there", 0],
    ["back", 0],
    ["there", 1],
    ["back", 2],
  ],
};

interface Case extends Spoil {
  readonly link: LinkName;
}

const CASES: Case[] = [];
for (const [link, frames] of Object.entries(FRAMES) as [LinkName, (typeof FRAMES)[LinkName]][]) {
  for (const [way, phase] of frames) {
    for (const fault of WIRE_FAULTS) {
      for (const nth of [0, 1]) CASES.push({ link, way, phase, fault, nth });
    }
  }
}
/** Whatever of it gets through is never an answer. */
const FATAL: ReadonlySet<WireFault> = new Set(["drop", "flip header", "flip payload", "truncate", "splice", "swallow"]);

/** Every seventh: each kind of fault on each connection. */
const chosen = LONG ? CASES : CASES.filter((_, i) => i % 7 === 3);

type Service = { readonly admission: Admission };

describe.concurrent("one spoiled frame", () => {
  it.for(chosen)("$link, $way, phase $phase, frame $nth: $fault", async (spoil, { expect, onTestFinished }) => {
    const tampers: Tamper[] = [];
    let spoiling = true;
    const deadlineMs = spoil.fault === "slow" ? SLOW_DEADLINE_MS : DEADLINE_MS;
    const here = await World.create(deadlineMs);
    onTestFinished(() => here.close());
    const w = await here.services({
      dealing: { meetingMs: deadlineMs },
      through: async (link, port) => {
        if (link !== spoil.link || !spoiling) return port;
        const { tamper, port: own } = await Tamper.before(port, spoil);
        tampers.push(tamper);
        return own;
      },
    });
    const text = randomText(w.spec, 7, 1);
    const ask = async () => {
      const client = await w.connect();
      const { logits, length } = await client.infer(text);
      await client.close();
      return Math.max(...w.float(text, length).map((x, i) => Math.abs(x - logits[i])));
    };
    const outcome = await ask().catch((error: Error) => error);
    if (outcome instanceof Error) expect(outcome.message).toMatch(/^[^\n]{10,300}$/);
    else expect(outcome).toBeLessThan(0.05);
    const spoilt = tampers.some((tamper) => tamper.done);
    if (spoil.nth === 0) expect(spoilt).toBe(true);
    if (spoilt && FATAL.has(spoil.fault)) expect(outcome).toBeInstanceOf(Error);
    if (spoil.fault === "slow") expect(outcome).not.toBeInstanceOf(Error);
    for (const tamper of tampers.splice(0)) tamper.close();
    spoiling = false;
    expect(await ask()).toBeLessThan(0.05);
    // Whoever was left waiting has been let go by its deadline, and every place is free again.
    const places = ({ admission }: Service) => [admission.running, admission.waiting, admission.connections];
    const taken = () => [...places(w.server), w.server.materialBytes, ...places(w.dealer)];
    await expect.poll(taken).toEqual(taken().map(() => 0));
  });
});
