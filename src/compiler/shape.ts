/**
 * The plan of a shape: of a model whose weights are random, so that its layers are alike, and a part of them tells of all. What a
 * shape costs is thus known without running it.
 */
import { randomText } from "../models/catalog.ts";
import type { Plan, Range } from "../program/plan.ts";
import type { ModelSpec, Weights } from "../program/spec.ts";
import { type CalibrateOptions, calibrate } from "./calibrate.ts";

/** Layers that are looked at where all are alike but the first and the last. */
const LAYERS = 3;
/** How many texts are looked at, of how many tokens. */
const ENCODER_TEXTS = { count: 3, tokens: 64 };
const DECODER_TEXTS = { count: 2, tokens: 16 };
/** Of an encoder whose rows grow alike from layer to layer, through all layers. */
const DEEP_TEXTS = { count: 1, tokens: 64 };
/** The largest of all values in a long text, over that in a short one: that of n normal values grows as the root of 2·ln n. */
const GROWTH = 1.3;
const ROLL = 17;
/** What is divided by, or counts: not the largest of many. */
const NO_MAXIMUM = /\.(total|variance|keys)$/;
/** A mean of values under weights of which both grow. */
const OF_PRODUCTS = /\.mean$/;

/**
 * Ranges of a shape with random weights, from a few short texts of at most `positions` tokens.
 *
 * Of layers that end in a norm, each begins with values of the same distribution: a model of three has the first, one for all those
 * between, and the last. Under exact softmax the rows of later layers are more alike, so that sums of weights grow: all layers are looked
 * at too, over one text. A residual stream grows with each layer, so that all of them are run, over shorter texts; a decoder's ranges of
 * attention follow the number of keys by the compiler's own rule. There the later layers have the second one's weights: others
 * of the same distribution would take most of the time to be made.
 */
export function calibrateShape(
  spec: ModelSpec,
  weights: Weights,
  positions: number,
  options: CalibrateOptions = {},
): Plan {
  const texts = ({ count, tokens }: typeof ENCODER_TEXTS) =>
    Array.from({ length: count }, (_, seed) => randomText(spec, Math.min(positions, tokens), seed));
  if (spec.blocks.normPlace !== "after")
    return grown(calibrate(spec, likeSecond(weights), texts(DECODER_TEXTS), options));
  const some = { ...spec, layers: Math.min(LAYERS, spec.layers) };
  const plan = spread(grown(calibrate(some, weights, texts(ENCODER_TEXTS), options)), some, spec);
  if (spec.softmax !== "exact") return plan;
  const deep = grown(calibrate(spec, likeSecond(weights), texts(DEEP_TEXTS), options));
  return { ...plan, ranges: union(plan.ranges, deep.ranges) };
}

/** Both plans' ranges, of the same operations. */
function union(a: Plan["ranges"], b: Plan["ranges"]): Plan["ranges"] {
  const entries = Object.entries(a).map(([key, [lo, hi]]): [string, Range] => {
    const [low, high] = b[key] ?? [lo, hi];
    return [key, [Math.min(lo, low), Math.max(hi, high)]];
  });
  return Object.fromEntries(entries);
}

function grown(plan: Plan): Plan {
  const ranges = Object.entries(plan.ranges).map(([key, range]): [string, Range] => {
    const [lo, hi] = range;
    const growth = OF_PRODUCTS.test(key) ? GROWTH * GROWTH : GROWTH;
    return [key, NO_MAXIMUM.test(key) ? range : [lo < 0 ? lo * growth : lo, hi > 0 ? hi * growth : hi]];
  });
  return { ...plan, ranges: Object.fromEntries(ranges) };
}

/** The second layer's weights for all later ones; what a layer adds to the stream is rolled, so that it does not add up with its like. */
function likeSecond(weights: Weights): Weights {
  return {
    get: (name) => {
      const [, layer, rest] = name.match(/^layer\.([2-9]|\d\d+)\.(.*)$/) ?? [];
      if (rest === undefined) return weights.get(name);
      const { shape, data } = weights.get(`layer.1.${rest}`);
      return rest.endsWith("output.weight")
        ? { shape, data: rolled(data, shape[1], Number(layer) * ROLL) }
        : { shape, data };
    },
  };
}

function rolled(data: Float32Array, columns: number, rows: number): Float32Array {
  const by = (rows * columns) % data.length;
  const out = new Float32Array(data.length);
  out.set(data.subarray(by));
  out.set(data.subarray(0, by), data.length - by);
  return out;
}

/** The plan of `some` layers as that of all of `spec`: the second one's for all between the first and the last. */
function spread(plan: Plan, some: ModelSpec, spec: ModelSpec): Plan {
  const more = spec.layers - some.layers;
  const named = <V>(entries: Readonly<Record<string, V>>): Record<string, V> => {
    const all = Object.entries(entries).flatMap(([name, value]): [string, V][] => {
      const [, layer, rest] = name.match(/^layer\.(\d+)\.(.*)$/) ?? [];
      if (rest === undefined || layer === "0") return [[name, value]];
      if (layer === "2") return [[`layer.${spec.layers - 1}.${rest}`, value]];
      return Array.from({ length: more + 1 }, (_, i) => [`layer.${1 + i}.${rest}`, value]);
    });
    return Object.fromEntries(all);
  };
  return more === 0 ? plan : { ...plan, ranges: named(plan.ranges), exponents: named(plan.exponents) };
}
