/** Which shapes a party takes from its peers: what does not fit is refused before any work is done for it. */
import { BUCKETS, fewestTokens } from "../program/lengths.ts";
import { isDecoder, longestText, type ModelSpec } from "../program/spec.ts";
import type { Shape } from "../program/steps.ts";
import { PartyError } from "./messages.ts";

export interface ShapeBounds {
  /** The padded lengths that are taken; those of the list (program/lengths.ts) unless given. */
  readonly lengths?: readonly number[];
  /** New tokens of one run, at most; as many as the model has positions for unless given. */
  readonly turns?: number;
}

/** The padded lengths that a model's texts have: those of the list, the model's own limit in place of what goes beyond it. */
export function lengthsOf(spec: Pick<ModelSpec, "positions" | "positionOffset">): number[] {
  const limit = longestText(spec);
  const within = BUCKETS.filter((length) => length <= limit);
  return within.length < BUCKETS.length && within.at(-1) !== limit ? [...within, limit] : within;
}

/** @throws PartyError for a shape that this party does not take, that the model has not, or that tells more than its answer. */
export function checkShape(spec: ModelSpec, shape: Shape, bounds: ShapeBounds = {}): void {
  const { length, turns, scoring, temperature, carried } = shape;
  const limit = longestText(spec);
  if (length > limit) throw new PartyError(`the padded length ${length} is beyond the model's ${limit} positions`);
  const lengths = bounds.lengths ?? lengthsOf(spec);
  if (!lengths.includes(length))
    throw new PartyError(`the padded length ${length} is not taken here: pad to ${lengths.join(", ")}`);
  if (bounds.turns !== undefined && turns > bounds.turns)
    throw new PartyError(`this party gives up to ${bounds.turns} new tokens in one run: ask for fewer`);
  // The text may be as short as its padding allows.
  if (fewestTokens(shape) + turns - 1 > limit)
    throw new PartyError(`${turns} new tokens behind a text of ${length} are beyond the model's ${limit} positions`);
  if (carried && isDecoder(spec)) throw new PartyError("helpers carry texts to be judged, not to be continued");
  if (isDecoder(spec) ? scoring && spec.answer === "label" : turns > 1 || scoring || temperature > 0)
    throw new PartyError("this model does not answer in that way");
  if (temperature > 0 && spec.answer === "scores")
    throw new PartyError("whoever learns the scores chooses from them: ask without a temperature");
}
