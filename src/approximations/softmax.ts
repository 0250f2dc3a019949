/**
 * Stand-ins for softmax. Each gives the *unnormalised* weights e_j of a row's scores; `weightedMean` divides by their sum.
 * A padded key has score 0 (its key row is masked) and must come out with weight 0.
 *
 * | name    | e_j                     | cost in the engine                    | without distillation |
 * |---------|-------------------------|---------------------------------------|----------------------|
 * | exact   | exp(s_j - max s)        | row maximum, Fourier series, 2 squares | as the model        |
 * | 2quad   | (s_j + c)², c = 5       | one square                            | needs distillation   |
 * | 2relu   | max(s_j + ε, 0), ε=0.01 | one comparison                        | needs distillation   |
 * | 2linear | s_j                     | nothing                               | needs distillation   |
 *
 * 2relu: MPCFormer writes ReLU(x) / Σ ReLU(x) with a small ε beside the sum. Here ε shifts the kept scores instead, so that
 * a text whose scores are all 0 has equal weights. A row whose scores are all below -ε still sums to 0: the mean is then 0.
 * 2linear: the sum may be near 0 or negative; the model must be distilled to keep it away from 0.
 */

import type { Approximation } from "./approximation.ts";

const MPCFORMER = "MPCFormer, arXiv:2211.01452";

/** The entries of this file, registered by the registry itself. */
export const softmaxApproximations: readonly Approximation[] = [
  {
    name: "exact",
    kind: "softmax",
    description: "softmax itself: the row's maximum is subtracted, exp(x) = exp(x/4)^4 on the calibrated range",
    formula: "exp(x - max x) / Σ exp(x - max x)",
    source: "Bridle, NIPS 1989",
    apply: (ops, scores) => {
      const shifted = ops.subtractRowMax(ops.addOnKeys(scores, 0, Number.NEGATIVE_INFINITY));
      return ops.polynomial(ops.smooth(shifted, "exp/4"), [0, 0, 0, 0, 1]);
    },
  },
  {
    name: "2quad",
    kind: "softmax",
    description: "squares of the shifted scores; the parameter is the shift c",
    formula: "(x + c)² / Σ (x + c)²",
    source: MPCFORMER,
    parameter: 5,
    apply: (ops, scores, c) => ops.polynomial(ops.addOnKeys(scores, c, 0), [0, 0, 1]),
  },
  {
    name: "2relu",
    kind: "softmax",
    description: "rectified scores; the parameter is ε, added after rectifying so that no row's sum is zero",
    formula: "(max(x, 0) + ε) / Σ (max(x, 0) + ε)",
    source: MPCFORMER,
    parameter: 0.01,
    apply: (ops, scores, epsilon) => ops.addOnKeys(ops.relu(scores), epsilon, 0),
  },
  {
    name: "2linear",
    kind: "softmax",
    description: "the scores themselves",
    formula: "x / Σ x",
    source: MPCFORMER,
    apply: (_ops, scores) => scores,
  },
];
