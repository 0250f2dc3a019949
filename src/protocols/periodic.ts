/**
 * Smooth functions of one variable by modular Fourier series.
 *
 *   x̂ = x + r mod 2^m, m bits, is open; the period is 2^m. With θ = 2π/2^m:
 *   cos kθx = cos kθx̂ · [cos kθr] + sin kθx̂ · [sin kθr],   sin kθx = sin kθx̂ · [cos kθr] - cos kθx̂ · [sin kθr]
 *
 * Local online; the dealer sends the server 2 words a harmonic and element. x̂ is uniform because r is uniform mod the
 * period and the sum is reduced: without the reduction the opening would leak. Outside the calibrated range the result is
 * wrong, not just rough. (protocols.md, "Any smooth function on a bounded range in one opening".)
 */

import type { Program, StepOf } from "../program/steps.ts";
import { evaluateFourier, fourierClear, fourierSecrets } from "../ring/fourier.ts";
import { type Block, lengthOf } from "./blocks.ts";
import { elements, expectSameShape, halves, type LocalRule, NO_PARTS, outOf } from "./rule.ts";

type Fourier = StepOf<"fourier">;

function blocks(step: Fourier, program: Program): Block[] {
  const out = program.values[step.out];
  return [{ length: 2 * step.cosines.length * elements(out), bits: out.ring }];
}

/** The public factors' coefficients at their scale: cosines, then sines. */
export function factors(step: Fourier): Float64Array {
  return Float64Array.from([...step.cosines, ...step.sines], (c) => c * step.factorScale);
}

export const fourier: LocalRule<"fourier"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, _values, need) => need(step.x, step.periodBits),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "masked" && out.form === "share", "gives a share of a masked value's function");
    expectSameShape(expect, x, out);
    expect(step.cosines.length === step.sines.length, "has a sine for each cosine");
  },

  traffic: (step, program) => ({ dealt: blocks(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(blocks(step, d.program)));
    fourierSecrets(
      d.ring,
      secret,
      d.get("full", step.x),
      step.periodBits,
      step.cosines.length,
      step.stride,
      step.trigBits,
    );
    d.deal(step, secret);
  },

  run(p, step) {
    const shares = p.dealt(step, blocks(step, p.program));
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    evaluateFourier(p.ring, out, p.get("public", step.x), step.periodBits, step.stride, factors(step), shares);
    if (p.isServer) p.ring.addConstant(out, out, ...halves(step.constant));
  },

  client: {
    masks: () => [],
    combine(t, step) {
      t.wide.fourier(t.result(step), t.opened(step.x), step.periodBits, step.stride, factors(step), t.words(step));
    },
  },

  clear(c, step, out) {
    fourierClear(c.ring, out, c.x(step.x), step.periodBits, step.stride, factors(step), step.trigBits);
    c.ring.addConstant(out, out, ...halves(step.constant));
  },
};
