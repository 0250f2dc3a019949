/** Which of the texts a model is calibrated on: as many as take minutes, and none so long that its logits fill the memory. */
import { elementCount, requiredWeights } from "../models/weights.ts";
import { isDecoder, type ModelSpec, type TokenizedText } from "../program/spec.ts";

/** Tokens of a text: a decoder's logits of all of them are in memory together. */
const MOST_TOKENS = 256;
/** Multiplications of all texts, about: three minutes of one core. */
const MOST_WORK = 4e11;
/** Tokens that are run whatever a model's size. */
const LEAST_TOKENS = 512;
/**
 * Of a text's first token a decoder makes values far beyond all others, which differ from token to token: short windows begin with many. One
 * for so many tokens of all texts, and what part of the work they have where not all texts are run.
 */
const WINDOW = 16;
const WINDOW_EVERY = 64;
const WINDOWS_PART = 0.4;

/**
 * A decoder's texts, each cut to 256 tokens, and of many texts some, evenly from all of them, so that a large model takes minutes; then short
 * windows, which begin within the texts. An encoder's are all run as they are.
 */
export function calibrationTexts(spec: ModelSpec, texts: readonly TokenizedText[]): readonly TokenizedText[] {
  if (!isDecoder(spec)) return texts;
  const cut = texts.map((text) => part(text, 0, MOST_TOKENS));
  const size = [...requiredWeights(spec).values()].reduce((sum, shape) => sum + elementCount(shape), 0);
  const most = Math.max(LEAST_TOKENS, MOST_WORK / size);
  return [...evenly(cut, (1 - WINDOWS_PART) * most), ...evenly(windowsOf(cut), WINDOWS_PART * most)];
}

/** Whole ones, the first half a step behind a text's beginning. */
function windowsOf(texts: readonly TokenizedText[]): TokenizedText[] {
  return texts.flatMap((text) => {
    const count = Math.max(0, Math.floor((text.ids.length - WINDOW + WINDOW_EVERY / 2) / WINDOW_EVERY));
    return Array.from({ length: count }, (_, i) => part(text, WINDOW_EVERY * (i + 0.5), WINDOW));
  });
}

function part({ ids, types }: TokenizedText, from: number, length: number): TokenizedText {
  return { ids: ids.slice(from, from + length), types: types.slice(from, from + length) };
}

/** As many as have about `most` tokens: one is run where the count of all shares so far grows by one. */
function evenly(texts: readonly TokenizedText[], most: number): readonly TokenizedText[] {
  const all = texts.reduce((sum, text) => sum + text.ids.length, 0);
  if (all <= most) return texts;
  const share = most / all;
  return texts.filter((_, i) => i === 0 || Math.floor((i + 1) * share) > Math.floor(i * share));
}
