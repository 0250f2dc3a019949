/**
 * Stand-ins for GELU, gelu(x) = x·Φ(x).
 *
 * | name  | form                      | cost in the engine                | without distillation |
 * |-------|---------------------------|-----------------------------------|----------------------|
 * | exact | x·Φ(x)                    | a Fourier series on the range     | as the model         |
 * | tanh  | its tanh form (GPT-2)     | a Fourier series on the range     | as the model         |
 * | quad  | 0.125·x² + 0.25·x + 0.5   | one square                        | needs distillation   |
 * | relu  | max(x, 0)                 | one comparison                    | close, a little off  |
 */

import type { Approximation } from "./approximation.ts";

/** The entries of this file, registered by the registry itself. */
export const geluApproximations: readonly Approximation[] = [
  {
    name: "exact",
    kind: "gelu",
    description: "GELU itself (the erf form), evaluated on its calibrated range",
    formula: "x·Φ(x)",
    source: "Hendrycks and Gimpel, arXiv:1606.08415",
    apply: (ops, x) => ops.smooth(x, "gelu"),
  },
  {
    name: "tanh",
    kind: "gelu",
    description: "GELU's tanh form, which GPT-2 was made with, evaluated on its calibrated range",
    formula: "x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))",
    source: "Hendrycks and Gimpel, arXiv:1606.08415",
    apply: (ops, x) => ops.smooth(x, "gelu-tanh"),
  },
  {
    name: "quad",
    kind: "gelu",
    description: "a parabola; the model is distilled to it",
    formula: "0.125·x² + 0.25·x + 0.5",
    source: "MPCFormer, arXiv:2211.01452",
    apply: (ops, x) => ops.polynomial(x, [0.5, 0.25, 0.125]),
  },
  {
    name: "relu",
    kind: "gelu",
    description: "the rectifier, for models trained with it or distilled to it",
    formula: "max(x, 0)",
    source: "Nair and Hinton, ICML 2010",
    apply: (ops, x) => ops.relu(x),
  },
];
