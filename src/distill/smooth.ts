/** The smooth functions of the program, with their derivatives. */

import type { PlainSmooth, SmoothName } from "../program/ops.ts";
import { capOf } from "../program/smooth.ts";
import type { Expressions } from "./expressions.ts";

/** A function's value, and what a gradient by it becomes by its argument. */
interface Differentiable {
  readonly value: string;
  backward(gradient: string): string;
}

type Smooth = (e: Expressions, x: string) => Differentiable;

const GAUSS = 1 / Math.sqrt(2 * Math.PI);
/** GELU's tanh form: x/2·(1 + tanh(u)), u = √(2/π)·(x + CUBIC·x³). */
const [ROOT, CUBIC] = [Math.sqrt(2 / Math.PI), 0.044715];

/** A function by the program's name. */
export function smoothOperator(name: SmoothName): Smooth {
  const cap = capOf(name);
  if (cap === null) return smoothOperators[name as PlainSmooth];
  return (e, x) => {
    const t = e.op("Tanh", e.op("Mul", x, 1 / cap));
    return { value: e.op("Mul", t, cap), backward: (g) => e.op("Mul", g, e.op("Sub", 1, e.op("Mul", t, t))) };
  };
}

const smoothOperators: Readonly<Record<PlainSmooth, Smooth>> = {
  tanh(e, x) {
    const value = e.op("Tanh", x);
    return { value, backward: (g) => e.op("Mul", g, e.op("Sub", 1, e.op("Mul", value, value))) };
  },
  "exp/4"(e, x) {
    const value = e.op("Exp", e.op("Mul", x, 0.25));
    return { value, backward: (g) => e.op("Mul", g, e.op("Mul", value, 0.25)) };
  },
  /** x·Φ(x), its derivative Φ(x) + x·φ(x). */
  gelu(e, x) {
    const share = e.op("Mul", e.op("Add", e.op("Erf", e.op("Mul", x, Math.SQRT1_2)), 1), 0.5);
    const density = () => e.op("Mul", e.op("Exp", e.op("Mul", e.op("Mul", x, x), -0.5)), GAUSS);
    return {
      value: e.op("Mul", x, share),
      backward: (g) => e.op("Mul", g, e.op("Add", share, e.op("Mul", x, density()))),
    };
  },
  /** With t = tanh(u) the derivative is (1 + t)/2 + x/2·(1 - t²)·u'. */
  "gelu-tanh"(e, x) {
    const square = e.op("Mul", x, x);
    const u = e.op("Mul", x, e.op("Add", e.op("Mul", square, ROOT * CUBIC), ROOT));
    const t = e.op("Tanh", u);
    const share = e.op("Mul", e.op("Add", t, 1), 0.5);
    const slope = () => e.op("Add", e.op("Mul", square, 1.5 * ROOT * CUBIC), 0.5 * ROOT); // u'/2
    const bend = () => e.op("Mul", e.op("Mul", x, e.op("Sub", 1, e.op("Mul", t, t))), slope());
    return { value: e.op("Mul", x, share), backward: (g) => e.op("Mul", g, e.op("Add", share, bend())) };
  },
  /** x·σ(x), its derivative σ(x)·(1 + x·(1 - σ(x))). */
  silu(e, x) {
    const share = e.op("Sigmoid", x);
    const slope = () => e.op("Mul", share, e.op("Add", e.op("Mul", x, e.op("Sub", 1, share)), 1));
    return { value: e.op("Mul", x, share), backward: (g) => e.op("Mul", g, slope()) };
  },
};
