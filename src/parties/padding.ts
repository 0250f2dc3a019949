/** In which shape texts are asked about: how far they are padded, and what that tells of them. */
import { bucketFor, fewestTokens } from "../program/lengths.ts";
import { oneTurn, type Shape } from "../program/steps.ts";
import { PartyError } from "./messages.ts";

/**
 * The shape of one run for texts of so many tokens: the padded length that is given, for texts of any length; else the smallest of the
 * list that holds them all, or of `lengths`, those that the server takes, where it told so.
 * @throws PartyError, PlanError for a text that is longer, and a length that the model has not: before anything is sent.
 */
export function paddedShape(
  tokens: readonly number[],
  limit: number,
  given?: number,
  lengths?: readonly number[],
): Shape {
  if (given !== undefined) return { ...shapeAt(tokens, given, limit), anyLength: true };
  const longest = Math.max(...tokens);
  const bucket = bucketFor(longest, limit);
  return shapeAt(tokens, lengths === undefined ? bucket : lengthAmong(lengths, longest, bucket), limit);
}

/** It follows from the bucket alone: whoever wrote `lengths` learns no more of a text's length than the bucket tells. */
function lengthAmong(lengths: readonly number[], tokens: number, bucket: number): number {
  const longest = lengths[lengths.length - 1];
  if (tokens <= longest) return lengths.find((length) => length >= bucket) ?? longest;
  throw new PartyError(`the text has ${tokens} tokens, this service takes up to ${longest}: shorten it`);
}

/** At this length; of texts of any length where one is shorter than a text of this length usually is: a plan's ranges depend on it. */
export function shapeAt(tokens: readonly number[], length: number, limit: number): Shape {
  if (!(Number.isInteger(length) && length >= 1 && length <= limit))
    throw new PartyError(`a padded length is a whole number from 1 to the model's ${limit}, not ${length}`);
  const longest = Math.max(...tokens);
  if (longest > length)
    throw new PartyError(
      `a text has ${longest} tokens, more than the padded length ${length}: shorten it, or pad to more`,
    );
  const shape = oneTurn(length);
  const least = Math.max(Math.min(...tokens), fewestTokens({ length, anyLength: true }));
  return { ...shape, anyLength: least < fewestTokens(shape) };
}

/** Whether a text of so many tokens may run in this shape. */
export function fitsInto(shape: Shape, tokens: number): boolean {
  return (
    shape.turns === 1 && !shape.scoring && tokens <= shape.length && (shape.anyLength || tokens >= fewestTokens(shape))
  );
}
