import { fewestTokens } from "../program/lengths.ts";
import { log, log2, wholePower } from "../program/maths.ts";
import {
  type EmbeddingRef,
  type Heads,
  type Interpreter,
  type LinearRef,
  type NormRef,
  type RelativeRef,
  type Rotary,
  type SmoothName,
  scoreDivisor,
} from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { capOf } from "../program/smooth.ts";
import type { InputSource, Program, Step, Value } from "../program/steps.ts";
import { PlanError } from "../program/steps.ts";
import { SERIES_WORK } from "./budget.ts";
import { constant } from "./builder.ts";
import { argmax, type NearMax, nearMax, notNegative, rowMax } from "./comparison.ts";
import { withDistances } from "./distances.ts";
import { Emitter, once, ROOT_BITS } from "./emitter.ts";
import {
  type Causal,
  groupOf,
  type Handle,
  type KeysHandle,
  LEAST_BITS,
  type LinearHandle,
  type LinearPart,
  labelOf,
  linearOf,
  plainShare,
  type RowsHandle,
  rangeOf,
  rowsOf,
  type ShareHandle,
  shareOf,
} from "./handles.ts";
import { lifted, polynomial, rootOfRows } from "./roots.ts";
import { reachOf, rootOf, seriesOf } from "./series.ts";
import { meanOf, pickedOf, unitOf, VECTOR_BITS, VECTOR_CAP } from "./vectors.ts";
import { inverseOf } from "./wide-roots.ts";

/** Significant bits that opened values keep, by use; MPC's cost grows with them, its error shrinks. */
const SCORE_BITS = 14;
/**
 * Bits after the point that a score has at least, and bits below 1 of a query's or key's unit times the largest key or query:
 * an exponential makes a score's error a relative one, however wide the scores' range.
 */
const SCORE_UNIT_BITS = 8;
const FACTOR_UNIT_BITS = 6;
/** Of a score that is squared after a shift of a few units (2Quad). */
const SHIFTED_UNIT_BITS = 4;
/** Bits after the point of the products that are scores: enough, however small keys and queries are. */
const PRODUCT_BITS = 28;
const MEAN_BITS = 18;
/** Significant bits of a pixel's values. */
const PIXEL_BITS = 14;
/** Bits of a weight of attention: of the least mean weight's; of a causal row, of the least total's. */
const WEIGHT_BITS = 8;
const CAUSAL_WEIGHT_BITS = 11;
/** The least row of a weighted mean keeps this many bits of the result's range. */
const LEAST_MEAN_BITS = 11;
const LOGIT_BITS = 16;
const FOURIER_BITS = 14;
const TRIG_BITS = 14;
const FOURIER_OUT_BITS = 26;
/** Bits after the point that a polynomial's highest power may have: e^(x/4)'s fourth still fits 64 bits as products read it. */
const POWER_BITS = 40;
/** How far below the smallest calibrated score a padded key is put, where it must vanish from exact softmax. */
const PADDED_BELOW = 12;

/** How far from a row's maximum what is subtracted may be: its power of e, as a power of the plan's margin. */
const NEAR_MAX = 0.75;

/** Gumbel noise of 32 random bits lies between -3.2 and this. */
const MOST_NOISE = 23;

/** Compiles a model, as it is run over these operations, into the integer program of all three parties. */
export class Compiler extends Emitter implements Interpreter<Handle> {
  private readonly answers = new Map<Handle, Value>();
  private operation = "";

  begin(operation: string): void {
    this.operation = operation;
  }

  embed(ref: EmbeddingRef, after?: Handle): Handle {
    const answer = after === undefined ? null : this.answered(after);
    this.turn++;
    const op = this.next("embeddings", "embedding");
    const input = (source: InputSource, columns: number, form: Partial<Value> = {}) => {
      const value = this.b.value(source, this.turnRows, columns, form.scale ?? 1, 1, "masked");
      return this.b.add({ kind: "input", source, after: answer?.id ?? null }, Object.assign(value, form));
    };
    if (this.spec.embedding === "public") return this.embedded(ref, op, input);
    const parts: LinearPart[] = [this.firstPart(ref, op, input)];
    if (ref.type !== null) parts.push({ kind: "table", x: input("types", ref.types), name: ref.type, rows: ref.types });
    // Where a decoder's text begins, and where a text has tokens without a position, only the client knows.
    if (ref.position !== null && (ref.norm !== null || ref.patches) && ref.padding === null)
      parts.push({
        ...{ kind: "positions", name: ref.position, offset: ref.positionOffset },
        ...(ref.patches ? { first: ref.patches.first } : {}),
      });
    else if (ref.position !== null)
      parts.push({ kind: "table", x: input("positions", ref.positions), name: ref.position, rows: ref.positions });
    const sum = this.pending(parts, this.turnRows, ref.width, ref.word, this.ranges.signed(op, "word"));
    if (ref.norm !== null) return this.streamed(this.normalise(sum, ref.norm, op), ref, op);
    const centred = ref.readers === "centred stream";
    const range = this.ranges.signed(op, centred ? "centred" : "out");
    const opened = () => {
      const share = this.emit({ ...sum, range }, { centre: centred });
      return this.openIn(range, share, "forward", this.inputScale(ref, range));
    };
    return this.begun(ref, range, once(opened));
  }

  /** Words by their table, or an image's patches by their layer. */
  private firstPart(
    ref: EmbeddingRef,
    op: string,
    input: (source: InputSource, columns: number, form?: Partial<Value>) => Value,
  ): LinearPart {
    if (!ref.patches) return { kind: "table", x: input("words", ref.vocabulary), name: ref.word, rows: ref.vocabulary };
    const { layer } = ref.patches;
    const range = this.ranges.signed(op, "patches");
    const scale = this.target(range, PIXEL_BITS, PIXEL_BITS);
    const x = input("patches", layer.inputs, { scale, bound: Math.ceil(magnitude(range) * scale) + 2 });
    const rows: RowsHandle = {
      ...{ kind: "rows", rows: this.turnRows, columns: layer.inputs, norm: null, held: () => x },
    };
    return { kind: "dense", x: rows, ref: layer };
  }

  linear(x: Handle, ref: LinearRef): Handle {
    const op = this.next(ref.name, "linear");
    const range = this.ranges.signed(op, "out");
    return this.pending([{ kind: "dense", x: this.rows(x), ref }], rowsOf(x), ref.outputs, ref.name, range);
  }

  add(x: Handle, y: Handle): Handle {
    const op = this.next(null, "linear");
    const isBranch = x.kind === "linear" || (x.kind === "rows" && x.norm !== null && y.kind !== "linear");
    const [first, second] = isBranch ? [x, y] : [y, x];
    const sum = linearOf(first, "add");
    if (second.kind === "stream") return this.flowOn(sum, second, op);
    if (second.kind !== "linear" && second.kind !== "rows")
      throw new PlanError("add takes a linear layer's result and a residual: this model's structure is not supported");
    // What was opened for a layer is not computed once more.
    const residual = second.kind === "linear" ? second.held : second;
    const parts =
      second.kind === "linear" && residual === null
        ? second.parts
        : [{ kind: "residual", x: residual ?? this.rows(second) } as const];
    const range = this.ranges.signed(op, "out");
    return this.pending([...sum.parts, ...parts], sum.rows, sum.columns, sum.name, range);
  }

  multiply(x: Handle, y: Handle): Handle {
    const op = this.next(labelOf(y) ?? labelOf(x), "activation");
    const range = this.ranges.signed(op, "out");
    const finer = this.finer + this.more("gates");
    const [a, b] = [x, y].map((one) => this.masked(one, SCORE_BITS + finer, 12 + finer));
    const out = this.b.value("product", a.rows, a.columns, a.scale * b.scale, magnitude(range), "share");
    polynomial(this.b, [lifted(a), lifted(b)], [{ coefficient: 1, degrees: [1, 1] }], 0, out);
    return plainShare(out, range, "activation");
  }

  layerNorm(x: Handle, ref: NormRef): Handle {
    const op = this.next(ref.name, "norm");
    if (x.kind === "share") {
      const { rows, columns } = x.value;
      const sum = this.pending([{ kind: "residual", x: this.rows(x) }], rows, columns, ref.name, x.range);
      return this.normalise(sum, ref, op);
    }
    if (x.kind !== "stream") return this.normalise(linearOf(x, "layerNorm"), ref, op);
    if (x.centred !== (ref.kind === "layer"))
      throw new PlanError("a residual stream is read by norms of one kind: this model's structure is not supported");
    return this.scaled(this.coarse(x.opened(), x.range), x.rows, ref, op);
  }

  maskRows(x: Handle): Handle {
    this.next(null, "linear");
    const sum = linearOf(x, "maskRows");
    // The one row of a later turn is never padding.
    return this.turn > 0 ? sum : { ...sum, rowsMasked: true, memo: null, held: null };
  }

  firstRow(x: Handle): Handle {
    this.next(null, "linear");
    if (x.kind === "stream") return { ...x, rows: 1, opened: this.rowOf(x.opened, 0) };
    return this.oneRow(this.rows(x), 0);
  }

  meanRow(x: Handle): Handle {
    const op = this.next("pooled", "answer");
    const rows = this.rows(x);
    const { share } = rows;
    if (share === undefined)
      throw new PlanError("a mean is of a norm's result: this model's structure is not supported");
    const held = once(() => this.b.within("pooled", "answer", () => meanOf(this.b, share(), this.shape)));
    return { ...rows, rows: 1, held, share: undefined, range: () => this.ranges.signed(op, "out") };
  }

  pickedRow(x: Handle): Handle {
    const op = this.next("picked", "answer");
    const rows = this.rows(x);
    const { share } = rows;
    if (share === undefined)
      throw new PlanError("a masked token's row is of a norm's result: this model's structure is not supported");
    const held = once(() => this.b.within("picked", "answer", () => pickedOf(this.b, share(), this.shape)));
    return { ...rows, rows: 1, held, share: undefined, range: () => this.ranges.signed(op, "out") };
  }

  unitRow(x: Handle): Handle {
    const op = this.next("unit", "answer");
    const row = this.alone(x, "pooled");
    const opened = this.openIn(row.range, this.emit(row), "forward", this.target(row.range, VECTOR_BITS, VECTOR_CAP));
    this.b.label = "unit";
    this.b.group = "answer";
    const range = this.ranges.signed(op, "out");
    const out = unitOf(this.b, opened, this.ranges.positive(op, "square"), range);
    // The product's own bits would tell both factors: what is revealed is cut first.
    const held = once(() => this.openIn(range, out, "toServer", this.target(range, VECTOR_BITS, VECTOR_CAP)));
    return { kind: "rows", rows: 1, columns: out.columns, norm: null, held, range: () => range };
  }

  askedRows(x: Handle): Handle {
    this.next(null, "linear");
    const rows = rowsOf(x);
    if (this.shape.scoring || rows === 1) return x;
    if (x.kind === "stream") return { ...x, rows: 1, opened: this.rowOf(x.opened, rows - 1) };
    return this.oneRow(this.rows(x), rows - 1);
  }

  rotate(x: Handle, rotary: Rotary): Handle {
    const op = this.next(labelOf(x), "linear");
    return { ...linearOf(x, "rotate"), rotary, range: this.ranges.signed(op, "out"), memo: null, held: null };
  }

  remember(before: Handle | null, x: Handle): Handle {
    this.next(labelOf(x), "attention");
    const range = rangeOf(x);
    const value = this.factor(x, undefined, isValues(x) ? "values" : "keys");
    if (before === null) return { kind: "keys", value, filled: value.rows, range };
    const { value: earlier, filled } = keysOf(before);
    if (earlier.scale !== value.scale) throw new PlanError("what is remembered must keep its scale from turn to turn");
    // All turns see as many rows as the last one will: flights and messages stay the same.
    const all = this.b.value(value.name, this.positions, value.columns, value.scale, magnitude(range), "masked");
    this.b.add({ kind: "place", x: earlier.id, y: value.id, row: filled }, all);
    return { kind: "keys", value: all, filled: filled + value.rows, range };
  }

  scores(q: Handle, k: Handle, heads: Heads, relative: RelativeRef | null = null): Handle {
    const op = this.next(labelOf(q), "attention");
    const range = this.ranges.signed(op, heads.slopes === undefined ? "out" : "products");
    // Keys and queries so small that all scores are next to nothing need no more.
    const keyScale = k.kind === "keys" ? k.value.scale : this.target(rangeOf(k), SCORE_BITS, 12);
    const qm = this.factor(q, 2 ** PRODUCT_BITS / keyScale);
    const keys = k.kind === "keys" ? k : this.allKeys(k);
    const scale = qm.scale * keys.value.scale * scoreDivisor(qm.columns / heads.queries, relative, heads.scale);
    const columns = keys.value.rows;
    const out = this.b.value("scores", heads.queries * qm.rows, columns, scale, magnitude(range), "share");
    const sharing = heads.queries / heads.keys;
    const operands = { a: qm.id, b: keys.value.id, transposeB: true, heads: heads.queries, sharing };
    this.b.add({ kind: "matmul", ...operands }, out);
    const window = heads.window === undefined || heads.window >= this.positions ? null : heads.window;
    const causal = heads.causal ? { past: keys.filled - qm.rows, queries: qm.rows, window } : null;
    const slopes = heads.slopes ?? null;
    const handle: ShareHandle = {
      ...{ kind: "share", value: out, range, group: "softmax", causal, behind: "nothing", beyond: null, slopes },
    };
    if (relative === null) return handle;
    const from = causal?.past ?? 0;
    const value = withDistances(this.b, this.ranges, op, out, {
      relative,
      heads: heads.queries,
      from,
      q: qm,
      k: keys.value,
    });
    return { ...handle, value, beyond: this.ranges.signed(op, "distances") };
  }

  addOnKeys(s: Handle, kept: number, padded: number): Handle {
    const op = this.next(null, "softmax");
    const x = shareOf(s);
    const known = this.ranges.signed(op, "out");
    const [least, most] = x.beyond ?? [0, 0];
    // Keys beyond the text vanish by their distance, or weigh what they may: then they are not counted in the sum of weights.
    if (padded !== Number.NEGATIVE_INFINITY && x.beyond !== null) return this.onKeys(x, kept, kept, known);
    // Calibration has not seen what slopes take in a longer text; of keys beyond the text they take nothing.
    const lowest = x.slopes === null ? known[0] : x.range[0] + kept;
    const reach = x.slopes === null ? known[0] : Math.min(known[0], lowest - this.farthest(x));
    const low = padded === Number.NEGATIVE_INFINITY ? lowest - PADDED_BELOW - most : padded;
    const range: Range = [Math.min(reach, low + least), Math.max(known[1], low)];
    return { ...this.onKeys(x, kept, low, range), beyond: null };
  }

  subtractRowMax(s: Handle): Handle {
    this.next(null, "softmax");
    const x = this.counting(shareOf(s));
    const all = this.open(x.value, "exchange", this.scoreScale(x.range), magnitude(x.range));
    // Any number near the maximum serves: e^x then lies within the plan's margin of its own range.
    const unit = log(this.plan.margin) * NEAR_MAX;
    const near = nearMax(this.b, all, x.range, unit);
    if (near !== null) return this.lessNearMax(x, all, near, unit);
    const coarse = this.shifted(all, Math.min(all.scale, 2 ** Math.ceil(-log2(unit / 2))));
    const max = rowMax(this.b, coarse);
    const range: Range = [x.range[0] - x.range[1], 2 / coarse.scale];
    const out = this.b.value("scores", all.rows, all.columns, all.scale, magnitude(range), "share");
    const variables = [lifted(all), lifted(max, all.columns)];
    const monomials = [
      { coefficient: 1, degrees: [1, 0] },
      { coefficient: -all.scale / max.scale, degrees: [0, 1] },
    ];
    polynomial(this.b, variables, monomials, 0, out);
    return { ...x, value: out, range, behind: "known" };
  }

  /** The same for a maximum that is a share, and up to `unit` too small or too large. */
  private lessNearMax(x: ShareHandle, all: Value, { above, least }: NearMax, unit: number): Handle {
    const range: Range = [x.range[0] - x.range[1] - unit, unit];
    const value = this.b.value("scores", all.rows, all.columns, all.scale, magnitude(range), "share");
    const monomials = [{ coefficient: 1, degrees: [1] }];
    const addends = [{ x: above.id, coefficient: -all.scale / above.scale, repeat: all.columns }];
    const variables = [lifted(all)];
    const negative = constant(-least * all.scale);
    this.b.add({ kind: "polynomial", variables, monomials, addends, constant: negative, rowSum: false }, value);
    return { ...x, value, range, behind: "known" };
  }

  polynomial(given: Handle, coefficients: readonly number[]): Handle {
    const op = this.next(labelOf(given), groupOf(given));
    const x = this.counting(given);
    const range = this.ranges.signed(op, "out");
    const degree = coefficients.length - 1;
    const reach = magnitude(rangeOf(x));
    const slope = coefficients.reduce((sum, c, j) => sum + Math.abs(c) * j * wholePower(reach, Math.max(0, j - 1)), 0);
    const least = leastBits(slope * reach, magnitude(range));
    const usual = this.target(rangeOf(x), SCORE_BITS, Math.min(12, Math.floor(POWER_BITS / degree)), least);
    // Scores are near to others of their row, not to the widest row's.
    const isScore = groupOf(x) === "softmax" && degree === 2;
    const opened = this.opened(x, isScore ? Math.max(usual, 2 ** SHIFTED_UNIT_BITS) : usual);
    // Enough bits after the point for the coefficients themselves: 2^12 below the largest of them.
    const extra =
      2 ** Math.max(0, 12 - Math.ceil(log2(Math.max(...coefficients.map(Math.abs)))) - (degree > 2 ? 12 : 0));
    const scale = wholePower(opened.scale, degree) * (isExact(coefficients) ? exactScale(coefficients) : extra);
    const monomials = coefficients
      .map((c, j) => ({ coefficient: constant((c * scale) / wholePower(opened.scale, j)), degrees: [j] }))
      .filter((m) => m.coefficient !== 0 && m.degrees[0] > 0);
    const out = this.b.value(this.b.label, opened.rows, opened.columns, scale, magnitude(range), "share");
    polynomial(this.b, [lifted(opened)], monomials, constant(coefficients[0] * scale), out);
    return this.following(x, out, range, coefficients[0] === 0);
  }

  smooth(given: Handle, name: SmoothName): Handle {
    const op = this.next(labelOf(given), groupOf(given));
    if (this.isOrderAlone(given, name)) return given;
    const x = this.counting(given);
    const range = this.ranges.signed(op, "out");
    const source = x.kind === "linear" ? this.emit(x) : shareOf(x).value;
    const reach = reachOf(name, rangeOf(x));
    const exponential = name === "exp/4";
    const finer = this.finer + this.more("gates");
    const closer = exponential ? 0 : this.more("series");
    const inputScale = exponential
      ? Math.max(this.target(reach, FOURIER_BITS, 14), 2 ** (SCORE_UNIT_BITS + this.finer + this.more("scores")))
      : this.target(reach, FOURIER_BITS + finer, 14 + finer, leastBits(magnitude(reach), magnitude(range)));
    const opened = this.open(source, x.kind === "linear" ? "forward" : "exchange", inputScale, magnitude(reach));
    const root = rootOf(name, reach);
    this.b.budget.fit(`${name}:${reach}:${opened.scale}:${root}:${closer}`, SERIES_WORK);
    const fit = seriesOf(name, reach, opened.scale, root, closer);
    const scale =
      2 ** Math.max(FOURIER_OUT_BITS + this.finer + closer * 2, FOURIER_BITS + 2 - Math.ceil(log2(magnitude(range))));
    const trigBits = TRIG_BITS + closer;
    const series = this.b.value(name, opened.rows, opened.columns, scale, magnitude(range), "share");
    this.b.add(
      {
        kind: "fourier",
        x: opened.id,
        periodBits: fit.periodBits,
        stride: fit.stride,
        cosines: fit.cosines,
        sines: fit.sines,
        constant: constant(fit.constant * scale),
        factorScale: scale / 2 ** trigBits,
        trigBits,
      },
      series,
    );
    if (fit.slope === 0) return this.following(x, this.power(series, root, range), range, false);
    // The linear part comes from the same opened value, lifted: the input may stay in its narrow ring.
    const out = this.b.value(name, opened.rows, opened.columns, scale, magnitude(range), "share");
    const monomials = [{ coefficient: constant((fit.slope * scale) / opened.scale), degrees: [1] }];
    const addends = [{ x: series.id, coefficient: 1, repeat: 1 }];
    this.b.add(
      { kind: "polynomial", variables: [lifted(opened)], monomials, addends, constant: 0, rowSum: false },
      out,
    );
    return this.following(x, out, range, false);
  }

  /** Whether nothing is told of logits but which is the largest: a cap keeps their order. */
  private isOrderAlone(given: Handle, name: SmoothName): boolean {
    const tells = this.spec.answer === "label" && this.shape.temperature === 0;
    return tells && capOf(name) !== null && labelOf(given) === "head";
  }

  /** x^root, four at a time: each an opening and a local polynomial. */
  private power(x: Value, root: number, range: Range): Value {
    let current = x;
    for (let left = root; left > 1; left /= 4) {
      const opened = this.open(
        current,
        "exchange",
        2 ** (POWER_BITS / 4 + this.more("exponentials")),
        magnitude(range),
      );
      current = this.b.value(x.name, x.rows, x.columns, wholePower(opened.scale, 4), magnitude(range), "share");
      polynomial(this.b, [lifted(opened)], [{ coefficient: 1, degrees: [4] }], 0, current);
    }
    return current;
  }

  relu(given: Handle): Handle {
    const op = this.next(labelOf(given), groupOf(given));
    const x = this.counting(given);
    const range = this.ranges.signed(op, "out");
    const opened = this.masked(x, SCORE_BITS);
    const bit = notNegative(this.b, opened);
    const out = this.b.value("relu", opened.rows, opened.columns, opened.scale, magnitude(range), "share");
    polynomial(
      this.b,
      [lifted(opened), { x: bit.id, kind: "bit", repeat: 1, room: 0 }],
      [{ coefficient: 1, degrees: [1, 1] }],
      0,
      out,
    );
    return this.following(x, out, range, true);
  }

  weightedMean(given: Handle, v: Handle, heads: Heads): Handle {
    const op = this.next(labelOf(v), "softmax");
    const e = this.counting(shareOf(given), "zero");
    const weights = e.value;
    const sums = this.ranges.positive(op, "sum");
    const out = this.ranges.signed(op, "out");
    const queries = weights.rows / heads.queries;
    const { total: range, mixed: reach } = e.causal === null ? this.meanRanges(op) : this.causalRanges(op, e.causal);
    // Σe before e is rounded; per query and head.
    const isCounted = e.beyond === null;
    const total = isCounted ? this.b.value("sum", queries, heads.queries, weights.scale, range[1], "share") : null;
    if (total !== null) this.b.add({ kind: "rowSum", x: weights.id, heads: heads.queries }, total);
    // A causal row may have one key: its weight is the total.
    const unit =
      e.causal === null ? sums[0] * 2 ** -WEIGHT_BITS : range[0] * 2 ** -(CAUSAL_WEIGHT_BITS + this.more("weighted"));
    const scale = 2 ** Math.ceil(-log2(unit));
    const opened = this.open(this.relieved(weights, scale, magnitude(e.range)), "exchange", scale, magnitude(e.range));
    const { value: vm } = v.kind === "keys" ? v : this.allKeys(v);
    this.b.group = "attention";
    const sharing = heads.queries / heads.keys;
    const columns = vm.columns * sharing;
    const raw = this.b.value("mixed", queries, columns, opened.scale * vm.scale, reach, "share");
    this.b.add({ kind: "matmul", a: opened.id, b: vm.id, transposeB: false, heads: heads.queries, sharing }, raw);
    const least = 2 ** Math.ceil(log2(2 ** LEAST_MEAN_BITS / (range[0] * magnitude(out))));
    const mixed = this.open(
      raw,
      "exchange",
      Math.max(this.target([-reach, reach], MEAN_BITS + this.more("weighted"), 20), least),
      reach,
    );
    this.b.group = "softmax";
    const inverse = inverseOf(
      this.b,
      "reciprocal",
      total ?? this.ownTotal(opened, queries, heads, range),
      range,
      null,
      ROOT_BITS + this.finer + this.more("roots"),
    );
    const result = this.b.value("attended", queries, columns, mixed.scale * inverse.scale, magnitude(out), "share");
    polynomial(
      this.b,
      [lifted(mixed), rootOfRows(this.b, inverse, columns / heads.queries)],
      [{ coefficient: 1, degrees: [1, 1] }],
      0,
      result,
    );
    return plainShare(result, out, "attention");
  }

  /** The sum of each row's weights of the text's own keys, of opened weights: one flight later than that of all. */
  private ownTotal(weights: Value, queries: number, { queries: heads }: Heads, range: Range): Value {
    const total = this.b.value("sum", queries, heads, weights.scale, range[1], "share");
    const operands = { a: weights.id, b: this.maskFactor(1).id, transposeB: false, heads, sharing: heads };
    return this.b.add({ kind: "matmul", ...operands }, total);
  }

  /** The steps up to the answers of all turns, without rings. */
  drafted(answers: readonly Handle[]): readonly Step[] {
    for (const answer of answers) this.answered(answer);
    return this.b.emitted;
  }

  /** Opens the answers of all turns to the client, and closes the program. */
  finish(answers: readonly Handle[]): Program {
    return this.b.finish(
      this.shape,
      answers.map((answer) => this.answered(answer)),
      this.slack,
    );
  }

  /** The client's view of one turn's logits: all of them as integers of up to 16 bits and a sign, or the largest one's index alone. */
  private answered(handle: Handle): Value {
    const known = this.answers.get(handle);
    if (known !== undefined) return known;
    const told = this.heldBack(handle);
    const answer =
      told.kind === "rows"
        ? this.alone(told, handle.kind === "share" ? "logits" : "vector")
        : linearOf(told, "the model's answer");
    this.b.label = answer.name;
    this.b.group = "answer";
    const y = this.emit(answer);
    const scale = this.target(answer.range, LOGIT_BITS, this.spec.pooling === undefined ? 14 : VECTOR_CAP);
    const opened =
      this.spec.answer === "scores"
        ? this.openIn(answer.range, y, "reveal", scale)
        : this.b.open(this.chosen(y, answer.range, scale), "toClient", 1, this.spec.labels);
    this.answers.set(handle, opened);
    return opened;
  }

  /** Capped logits are a share of both parties; what is revealed is cut first, and of the server's part alone. */
  private heldBack(x: Handle): Handle {
    if (x.kind !== "share") return x;
    const held = once(() => this.openIn(x.range, x.value, "toServer", this.target(x.range, LOGIT_BITS, 14)));
    return { kind: "rows", rows: x.value.rows, columns: x.value.columns, norm: null, held, range: () => x.range };
  }

  /** The index of the largest logit; with a temperature, of the largest after noise: a sample of their softmax. */
  private chosen(y: Value, range: Range, scale: number): Value {
    const { temperature } = this.shape;
    if (temperature === 0) return argmax(this.b, this.openIn(range, y, "forward", scale));
    const reach = magnitude(range) + temperature * MOST_NOISE;
    const noisy = this.b.value("noisy", y.rows, y.columns, y.scale, reach, "share");
    this.b.add({ kind: "noise", x: y.id, scale: temperature * y.scale }, noisy);
    return argmax(this.b, this.open(noisy, "exchange", scale, reach));
  }

  private next(label: string | null, group: string): string {
    if (label !== null) this.b.label = label;
    this.b.group = group;
    return this.operation;
  }

  /** The public embedding: the client's own sum under its mask. */
  private embedded(
    ref: EmbeddingRef,
    op: string,
    input: (source: InputSource, columns: number, form: Partial<Value>) => Value,
  ): Handle {
    const isCentred = ref.readers === "centred stream";
    const range = this.ranges.signed(op, isCentred ? (ref.norm === null ? "centred" : "stream") : "out");
    const scale = this.inputScale(ref, range);
    const bound = Math.ceil(magnitude(range) * scale) + 2;
    const value = input("embedding", ref.width, { name: "embeddings", scale, bound });
    return this.begun(ref, range, () => value);
  }

  /** The embeddings' norm, where a residual stream begins with it. */
  private streamed(rows: RowsHandle, ref: EmbeddingRef, op: string): Handle {
    if (ref.readers === "layers") return rows;
    const centred = ref.readers === "centred stream";
    const range = this.ranges.signed(op, centred ? "stream" : "out");
    const sum = linearOf(rows, "embed");
    const opened = () =>
      this.openIn(range, this.emit({ ...sum, range }, { centre: centred }), "forward", this.inputScale(ref, range));
    return this.begun(ref, range, once(opened));
  }

  private allKeys(x: Handle): KeysHandle {
    const value = this.masked(x, SCORE_BITS);
    return { kind: "keys", value, filled: value.rows, range: rangeOf(x) };
  }

  /** A row with its norm's gain and bias, as what a linear layer gives. */
  private alone(x: Handle, name: string): LinearHandle {
    if (x.kind !== "rows" || x.range === undefined)
      throw new PlanError("a vector is made of a norm's result: this model's structure is not supported");
    return this.pending([{ kind: "residual", x }], x.rows, x.columns, name, x.range());
  }

  /** Causal scores with something known where they don't count, or zeros; everything else as it is. */
  private counting<H extends Handle>(x: H, needed: "known" | "zero" = "known"): H | ShareHandle {
    if (x.kind !== "share" || x.causal === null || x.behind === "zero" || x.behind === needed) return x;
    return this.onKeys(x, 0, 0, [Math.min(x.range[0] - this.farthest(x), 0), Math.max(x.range[1], 0)]);
  }

  private onKeys(x: ShareHandle, kept: number, padded: number, range: Range): ShareHandle {
    const { rows, columns, scale } = x.value;
    const out = this.b.value("scores", rows, columns, scale, magnitude(range), "share");
    const int = (c: number) => constant(c * scale);
    const slopes = x.slopes?.map((slope) => slope * scale) ?? null;
    const mask = kept === padded && slopes === null ? null : this.maskFactor(1).id;
    const constants = { kept: int(kept), padded: int(padded), causal: x.causal, slopes };
    this.b.add({ kind: "keys", x: x.value.id, mask, ...constants }, out);
    return { ...x, value: out, range, behind: padded === 0 ? "zero" : "known", slopes: null };
  }

  /** The most that a score is still to lose by its distance. */
  private farthest({ slopes, causal }: ShareHandle): number {
    if (slopes === null) return 0;
    return Math.max(...slopes) * (Math.min(this.positions, causal?.window ?? this.positions) - 1);
  }

  /** The result of an elementwise function; `keepsZero`: whether it is 0 at 0. */
  private following(x: Handle, value: Value, range: Range, keepsZero: boolean): ShareHandle {
    const plain = plainShare(value, range, groupOf(x));
    if (x.kind !== "share") return plain;
    return { ...plain, causal: x.causal, behind: keepsZero ? x.behind : "known", beyond: x.beyond };
  }

  /** Of a row's sum of weights, and of e·v: n keys have n times what calibration saw of one. */
  private meanRanges(op: string): { total: Range; mixed: number } {
    const { length } = this.shape;
    const sums = this.ranges.positive(op, "sum");
    const mixed = magnitude(this.ranges.signed(op, "mean")) * length;
    return { total: [sums[0] * fewestTokens(this.shape), sums[1] * length], mixed };
  }

  /** The same where a row may have any number of keys; more than calibration saw have proportionally more. */
  private causalRanges(op: string, { window }: Causal): { total: Range; mixed: number } {
    const most = Math.min(this.positions, window ?? this.positions);
    const growth = Math.max(1, most / this.ranges.seen(op, "keys")[1]);
    const [least, largest] = this.ranges.positive(op, "total");
    return { total: [least, largest * growth], mixed: magnitude(this.ranges.signed(op, "mixed")) * growth };
  }

  /** A query or key, opened for products that become scores, at a scale of at most `most`. */
  private factor(x: Handle, most = Number.POSITIVE_INFINITY, kind: "keys" | "values" = "keys"): Value {
    const range = rangeOf(x);
    const bits = Math.max(SCORE_BITS, Math.ceil(2 * log2(magnitude(range))) + FACTOR_UNIT_BITS + this.finer);
    const more = this.more(kind);
    return this.opened(x, Math.min(most, this.target(range, bits + more, 12 + more)));
  }

  private scoreScale(range: Range): number {
    const more = this.more("scores");
    return Math.max(this.target(range, SCORE_BITS, 12), 2 ** (SCORE_UNIT_BITS + this.finer + more));
  }
}

/** The least significant bits of x where f(x) varies by `variation` in all, and is `size` large: f(x) shall have the least ones. */
function leastBits(variation: number, size: number): number {
  return LEAST_BITS + Math.min(0, Math.floor(log2(variation / size)));
}

function isExact(coefficients: readonly number[]): boolean {
  return coefficients.every((c) => Number.isInteger(c * 2 ** 10));
}

function exactScale(coefficients: readonly number[]): number {
  let scale = 1;
  while (!coefficients.every((c) => Number.isInteger(c * scale))) scale *= 2;
  return scale;
}

/** Whether these are values of attention, not keys. */
function isValues(x: Handle): boolean {
  return labelOf(x)?.endsWith(".value") === true;
}

/** @throws PlanError for what was not remembered. */
function keysOf(x: Handle): KeysHandle {
  if (x.kind !== "keys") throw new PlanError("only what was remembered can be gone on with");
  return x;
}
