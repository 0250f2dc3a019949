/** Which of the texts a model is calibrated on: as many as take minutes, and none so long that its logits fill the memory. */
import { elementCount, requiredWeights } from "../models/weights.ts";
import { isDecoder, type ModelSpec, type TokenizedText } from "../program/spec.ts";

/** Tokens of a text: a decoder's logits of all of them are in memory together. */
const MOST_TOKENS = 256;
/** Multiplications of all texts, about: two minutes of one core. */
const MOST_WORK = 3e11;
/** Tokens that are run whatever a model's size. */
const LEAST_TOKENS = 512;

/**
 * A decoder's texts, each cut to 256 tokens, and of many texts some, evenly from all of them, so that a large model takes minutes. An
 * encoder's are all run as they are.
 */
export function calibrationTexts(spec: ModelSpec, texts: readonly TokenizedText[]): readonly TokenizedText[] {
  if (!isDecoder(spec)) return texts;
  const cut = texts.map(({ ids, types }) => ({ ids: ids.slice(0, MOST_TOKENS), types: types.slice(0, MOST_TOKENS) }));
  const size = [...requiredWeights(spec).values()].reduce((sum, shape) => sum + elementCount(shape), 0);
  const most = Math.max(LEAST_TOKENS, MOST_WORK / size);
  const all = cut.reduce((sum, text) => sum + text.ids.length, 0);
  if (all <= most) return cut;
  const share = most / all;
  // A text is run where the count of all shares so far grows by one.
  return cut.filter((_, i) => i === 0 || Math.floor((i + 1) * share) > Math.floor(i * share));
}
