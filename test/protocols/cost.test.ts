/** What the cost model says beside bytes: seconds over a link, and the forms that were chosen. */
import { beforeAll, describe, expect, it } from "vitest";
import { costOf, formsOf, secondsOver } from "../../src/protocols/cost.ts";
import { type Harness, harness } from "../parties/harness.ts";

let quad: Harness;
let exact: Harness;
beforeAll(async () => {
  quad = await harness({}, 16);
  exact = await harness({ gelu: "exact", softmax: "exact" }, 16);
});

describe("secondsOver", () => {
  it("is half a round trip a flight where bandwidth is no matter", () => {
    const { flights } = costOf(quad.program).online;
    expect(secondsOver(quad.program, { roundTrip: 20, megabits: 1e12 })).toBeCloseTo(flights * 0.01, 6);
  });

  it("is the longer message's bytes a flight where latency is none", () => {
    const { client_to_server: up, server_to_client: down } = costOf(quad.program).online.bytes;
    const seconds = secondsOver(quad.program, { roundTrip: 0, megabits: 8 });
    expect(seconds).toBeGreaterThan(Math.max(up, down) / 1e6);
    expect(seconds).toBeLessThan((up + down) / 1e6);
  });
});

describe("formsOf", () => {
  it("counts a root for each norm and attention, and a maximum for each exact attention", () => {
    for (const { program, spec } of [quad, exact]) {
      const { splines, polynomials } = formsOf(program);
      // And the embeddings' norm.
      expect(splines + polynomials).toBe(3 * spec.layers + 1);
    }
    expect(formsOf(quad.program)).toMatchObject({ counted: 0, levels: 0 });
    expect(formsOf(exact.program)).toMatchObject({ counted: exact.spec.layers, levels: 0 });
  });
});
