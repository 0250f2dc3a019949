import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { harness } from "./harness.ts";

const CASES = [
  { gelu: "quad", softmax: "2quad:5", embedding: "public" },
  { gelu: "quad", softmax: "2quad:5", embedding: "private" },
  { gelu: "exact", softmax: "2quad:5", embedding: "public" },
  { gelu: "quad", softmax: "exact", embedding: "public" },
  { gelu: "relu", softmax: "2relu", embedding: "public" },
  { gelu: "exact", softmax: "exact", embedding: "private" },
] as const;

describe("a private inference", () => {
  for (const variant of CASES) {
    it(`gives the float logits and the predicted cost: ${JSON.stringify(variant)}`, async () => {
      const h = await harness(variant, 16);
      for (const tokens of [9, 16]) {
        const text = randomText(h.spec, tokens, 100 + tokens);
        const float = h.float(text);
        const clear = h.clear(text);
        expect(clear.violations).toEqual([]);
        const { logits, run } = await h.secure(text);
        for (const [i, x] of float.entries()) {
          expect(Math.abs(clear.logits[i] - x)).toBeLessThan(0.05);
          expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
        }
        expect({
          flights: run.channel.onlineFlights,
          bytes: {
            client_to_server: run.channel.sent.online.bytes,
            server_to_client: run.channel.received.online.bytes,
          },
        }).toEqual(costOf(h.program).online);
        const steps = costOf(h.program).steps;
        expect(run.offline).toEqual({
          dealt: steps.reduce((sum, s) => sum + s.offline.dealer_to_server, 0),
          ahead: steps.reduce((sum, s) => sum + s.offline.client_to_server, 0),
        });
        run.close();
      }
    });
  }
});
