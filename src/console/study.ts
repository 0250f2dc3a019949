/** A study's results, as `mpcformer study` writes them and the console shows them. */
import * as v from "valibot";

/** What MPCFormer's authors published of the same task and pair: metrics in percent; null where they told none. */
export interface PaperRow {
  readonly model: string;
  readonly teacher: number;
  readonly without_pd: number | null;
  readonly without_d: number | null;
  readonly both: number;
  readonly speed_up: number | null;
}

/** One pair of stand-ins on one task. Metrics are those of the whole set measured, in the clear unless under `private`. */
export interface Row {
  readonly task: string;
  /** The name of the teacher, or of the encoder it was made from. */
  readonly model: string;
  readonly gelu: string;
  readonly softmax: string;
  readonly metric: string;
  /** The dev set chose the weights as well; of a test set they know nothing. */
  readonly measured_on: "dev" | "test";
  readonly teacher: number;
  readonly without_pd: number | null;
  readonly without_d: number | null;
  readonly both: number | null;
  /** The distilled student under MPC, and the same texts in the clear. */
  readonly private: {
    readonly texts: number;
    readonly value: number;
    readonly clear_value: number | null;
    readonly agreement: number | null;
    readonly outside_range: number | null;
  } | null;
  readonly paper: PaperRow | null;
  /** One private inference; speed-ups over the teacher with its exact functions. */
  readonly cost: {
    readonly length: number;
    readonly flights: number;
    readonly online_bytes: number;
    readonly offline_bytes: number;
    readonly online_seconds: number;
    readonly offline_seconds: number;
    readonly speed_up: number | null;
    readonly online_speed_up: number | null;
  } | null;
}

const value = v.pipe(v.number(), v.finite());
const share = v.nullable(value);
const words = v.pipe(v.string(), v.maxLength(100));
const MOST_ROWS = 1000;

/** What `mpcformer study` writes; what a later release adds is left out. */
const rowSchema = v.object({
  task: words,
  model: v.optional(words, ""),
  gelu: words,
  softmax: words,
  metric: words,
  measured_on: v.optional(v.picklist(["dev", "test"]), "dev"),
  teacher: value,
  without_pd: share,
  without_d: share,
  both: share,
  private: v.nullable(v.object({ texts: value, value, clear_value: share, agreement: share, outside_range: share })),
  paper: v.optional(
    v.nullable(
      v.object({ model: words, teacher: value, without_pd: share, without_d: share, both: value, speed_up: share }),
    ),
    null,
  ),
  cost: v.nullable(
    v.object({
      length: value,
      flights: value,
      online_bytes: value,
      offline_bytes: value,
      online_seconds: value,
      offline_seconds: value,
      speed_up: share,
      online_speed_up: share,
    }),
  ),
}) satisfies v.GenericSchema<unknown, Row>;

export const studySchema = v.object({
  title: v.pipe(v.string(), v.maxLength(300)),
  rows: v.pipe(v.array(rowSchema), v.minLength(1), v.maxLength(MOST_ROWS)),
});

export type Study = v.InferOutput<typeof studySchema>;
