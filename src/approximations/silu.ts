/**
 * Stand-ins for SiLU, silu(x) = x / (1 + exp(-x)), the gate of Llama's feed-forward layers.
 *
 * | name  | form                         | cost in the engine             | without distillation |
 * |-------|------------------------------|--------------------------------|----------------------|
 * | exact | x / (1 + exp(-x))            | a Fourier series on the range  | as the model         |
 * | quad  | 0.1875·x² + 0.5·x            | one square                     | needs distillation   |
 *
 * quad: of SiLU's two terms x/2 + (x/2)·tanh(x/2) the first is kept and the second, even one replaced by a square that passes
 * through 0, so that a closed gate stays closed. Its coefficient minimises the squared error for a standard normal x (0.1858,
 * rounded to sixteenths, so that it is exact in fixed point).
 */

import type { Approximation } from "./approximation.ts";

/** The entries of this file, registered by the registry itself. */
export const siluApproximations: readonly Approximation[] = [
  {
    name: "exact",
    kind: "silu",
    description: "SiLU itself, evaluated on its calibrated range",
    formula: "x / (1 + exp(-x))",
    source: "Elfwing et al., arXiv:1702.03118",
    apply: (ops, x) => ops.smooth(x, "silu"),
  },
  {
    name: "quad",
    kind: "silu",
    description: "a parabola through 0; the model is distilled to it",
    formula: "0.1875·x² + 0.5·x",
    source: "after MPCFormer's Quad, arXiv:2211.01452",
    apply: (ops, x) => ops.polynomial(x, [0, 0.5, 0.1875]),
  },
];
