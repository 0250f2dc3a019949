/**
 * Planted faults in the check of what clients open, as those of leaks.test.ts: the same finders find them. With them a client that deviates passes, or
 * the check tells somebody what it must not.
 */
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Channel } from "../../src/channels/channel.ts";
import { randomText } from "../../src/models/catalog.ts";
import { oneTurn, type Step } from "../../src/program/steps.ts";
import { ALPHA, CHALLENGE, CLIENT_MASK, QUOTIENT, SAMPLE, TAG_LOW } from "../../src/protocols/blocks.ts";
import { hex } from "../../src/ring/hex.ts";
import { Prg } from "../../src/ring/prg.ts";
import type { Ring } from "../../src/ring/ring.ts";
import { type Harness, harness } from "../parties/harness.ts";
import { CHECKS, type Evidence, gather } from "./evidence.ts";

/** Of a part, for what tells which part it is. */
const PART = 3;
const SESSIONS = 3;

let h: Harness;
beforeAll(async () => {
  h = await harness({ layers: 1, gelu: "relu" }, { ...oneTurn(8), verified: true });
});
afterEach(() => vi.restoreAllMocks());

function sessions(verify: number, count = SESSIONS): Promise<Evidence> {
  return gather(h, { texts: [randomText(h.spec, 6, 3)], sessions: count, verify });
}

type Fields = Readonly<Record<string, unknown>>;

/** Changes what is said in control messages; `by` is the channel that says it. */
function plantSaid(change: (fields: Fields, by: Channel) => Fields): void {
  const original = Channel.prototype.sendJson;
  vi.spyOn(Channel.prototype, "sendJson").mockImplementation(function (this: Channel, step, value) {
    return original.call(this, step, change(value as Fields, this));
  });
}

/** Calls another generator, or another address of the same, for some addresses. */
interface Address {
  readonly stream: number;
  readonly purpose: number;
}

function plantDraws(change: (address: Address, from: Prg) => Address & { readonly from?: Prg }): void {
  const original = Prg.prototype.words;
  vi.spyOn(Prg.prototype, "words").mockImplementation(function (this: Prg, ring, out, stream, purpose, bits) {
    const planted = change({ stream, purpose }, this);
    original.call(planted.from ?? this, ring, out, planted.stream, planted.purpose, bits);
  });
}

const isChallenge = (fields: Fields) => "openings" in fields;
const isGrant = (fields: Fields) => "modelKey" in fields;
const always = new Prg(new Uint8Array(16).fill(7));

/** α as the server draws it. */
function alphaOf(ring: Ring, withServer: Prg): Uint8Array {
  const word = ring.alloc(1);
  withServer.words(ring, word, 0, ALPHA);
  const bytes = word.bytes().slice();
  ring.free(word);
  return bytes;
}

interface Fault {
  readonly name: string;
  readonly caught: keyof typeof CHECKS;
  readonly shows: RegExp;
  readonly plant: () => void;
  readonly verify?: number;
  readonly count?: number;
}

const FAULTS: readonly Fault[] = [
  {
    name: "one α for all sessions",
    caught: "ledger",
    shows: /session 1, step 0, purpose 7 and for session 2, step 0, purpose 7/,
    plant: () => plantDraws((a) => (a.purpose === ALPHA ? { ...a, from: always } : a)),
  },
  {
    name: "one challenge for all sessions",
    caught: "ledger",
    shows: /session 1, step (\d+), purpose 8 and for session 2, step \1, purpose 8/,
    plant: () => plantSaid((fields) => (isChallenge(fields) ? { ...fields, seed: "07".repeat(16) } : fields)),
  },
  {
    name: "choices that come again at the next opening",
    caught: "ledger",
    shows: /session 1, step (\d+), purpose 8 and for session 1, step (?!\1)\d+, purpose 8/,
    plant: () => plantDraws((a) => (a.purpose === CHALLENGE ? { ...a, stream: 1 } : a)),
  },
  {
    name: "a challenge that the client can foresee: the nonce that its session began with",
    caught: "canaries",
    shows: /a key from server to client went from client to dealer/,
    plant: () => {
      let nonce = "";
      plantSaid((fields) => {
        if (isGrant(fields)) nonce = String(fields.nonce).slice(0, 32);
        return isChallenge(fields) ? { ...fields, seed: nonce } : fields;
      });
    },
  },
  {
    name: "a challenge from the decimals of a clock",
    caught: "uniform",
    shows: /^keys/m,
    plant: () => {
      const decimals = () =>
        hex(Uint8Array.from({ length: 16 }, () => 48 + (Math.floor(1e3 * performance.now()) % 10)));
      plantSaid((fields) => (isChallenge(fields) ? { ...fields, seed: decimals() } : fields));
    },
  },
  {
    name: "α sent to the client beside the challenge",
    caught: "canaries",
    shows: /what a client is checked with went from server to client/,
    plant: () => {
      let alpha = "";
      plantDraws((a, from) => {
        if (a.purpose === ALPHA && a.stream === 2) alpha = hex(alphaOf(h.ring, from));
        return a;
      });
      plantSaid((fields) => (isChallenge(fields) ? { ...fields, openings: [alpha] } : fields));
    },
  },
  {
    name: "the same under a name of its own",
    caught: "table",
    shows: /control, server to client: key openings seed/,
    plant: () => plantSaid((fields) => (isChallenge(fields) ? { ...fields, key: "" } : fields)),
  },
  {
    name: "the seed of α sent to the client as its challenge",
    caught: "canaries",
    shows: /a key from server to dealer went from server to client/,
    plant: () => {
      let seed = "";
      plantSaid((fields) => {
        if (fields.role === "server") seed = String(fields.seed);
        return isChallenge(fields) ? { ...fields, seed } : fields;
      });
    },
  },
  {
    name: "one tag for two words",
    caught: "ledger",
    shows: /session 1, step (\d+), purpose 16 and for session 1, step (?!\1)\d+, purpose 16/,
    plant: () => {
      const wide = (s: Step) => h.program.values[s.out].columns > 1;
      const [first, second] = h.program.steps.filter((s) => s.kind === "open" && s.mode === "exchange" && wide(s));
      const tag = TAG_LOW + CLIENT_MASK;
      plantDraws((a) => (a.purpose === tag && a.stream === second.id ? { ...a, stream: first.id } : a));
    },
  },
  {
    name: "tags that come again in the next session",
    caught: "ledger",
    shows: /session 1, step (\d+), purpose 16 and for session 2, step \1, purpose 16/,
    plant: () => plantDraws((a) => (a.purpose >= TAG_LOW ? { ...a, from: always } : a)),
  },
  {
    name: "a tag that is the word that it is of",
    caught: "ledger",
    shows:
      /session 1, step (\d+), purpose (0 and for session 1, step \1, purpose 16|16 and for session 1, step \1, purpose 0)/,
    plant: () => plantDraws((a) => (a.purpose === TAG_LOW + CLIENT_MASK ? { ...a, purpose: CLIENT_MASK } : a)),
  },
  {
    name: "sums whose upper bits nothing hides",
    caught: "ledger",
    shows: /purpose 5 and for /,
    plant: () => plantDraws((a) => (a.purpose === QUOTIENT ? { ...a, from: always } : a)),
  },
  {
    name: "what is checked, told before the client opens anything",
    caught: "order",
    shows: /a challenge comes before the client's last opening/,
    verify: PART,
    plant: () => {
      const original = Channel.prototype.sendJson;
      vi.spyOn(Channel.prototype, "sendJson").mockImplementation(async function (this: Channel, step, value) {
        if ("modelKey" in (value as Fields))
          await original.call(this, step, { seed: "00".repeat(16), openings: [[4]] });
        return original.call(this, step, value);
      });
    },
  },
  {
    name: "the same in what is granted",
    caught: "table",
    shows: /control, server to client: modelKey nonce openings/,
    verify: PART,
    plant: () => plantSaid((fields) => (isGrant(fields) ? { ...fields, openings: [[4]] } : fields)),
  },
  {
    name: "the bytes of a part's keys, told to the client",
    caught: "told",
    shows: /clients heard of [23] sizes/,
    verify: PART,
    // All of one class once in a million times.
    count: 14,
    plant: () => {
      let padding = 0;
      const original = Channel.prototype.send;
      vi.spyOn(Channel.prototype, "send").mockImplementation(function (this: Channel, phase, step, parts) {
        if (phase === "offline" && step === h.program.steps.length) padding = parts[0].length;
        return original.call(this, phase, step, parts);
      });
      plantSaid((fields) => {
        const dealt = fields.dealer as { readonly bytes: number } | undefined;
        return dealt === undefined ? fields : { ...fields, dealer: { ...dealt, bytes: dealt.bytes - padding } };
      });
    },
  },
  {
    name: "one part for all sessions",
    caught: "ledger",
    shows: /purpose 6 and for /,
    verify: PART,
    plant: () => plantDraws((a) => (a.purpose === SAMPLE ? { ...a, from: always } : a)),
  },
];

describe("in a healthy check no finder finds anything", () => {
  it.each([
    [1, Object.keys(CHECKS)],
    // The table has the words of all openings.
    [PART, Object.keys(CHECKS).filter((name) => name !== "table" && name !== "shapes")],
  ] as const)("one opening in %i", async (verify, names) => {
    const evidence = await sessions(verify);
    for (const name of names) expect(CHECKS[name as keyof typeof CHECKS](evidence), name).toEqual([]);
    expect(evidence.alphas.length).toBe(SESSIONS);
    expect(evidence.views.get("text 0, Z and T")?.length).toBe(SESSIONS);
  });
});

describe("a planted fault is found", () => {
  for (const { name, caught, shows, plant, verify = 1, count } of FAULTS) {
    it(`${name}: by ${caught}`, async () => {
      plant();
      const evidence = await sessions(verify, count);
      vi.restoreAllMocks();
      expect(CHECKS[caught](evidence).join("\n")).toMatch(shows);
    });
  }
});
