/** SentencePiece's byte pairs as rules: files that keep a score with each token, and no rules, mean these. */

/** A token and its score: the higher, the sooner its parts are joined. */
export interface ScoredPiece {
  readonly text: string;
  readonly score: number;
}

/**
 * All pairs of tokens whose union is a token, by its score, highest first. SentencePiece joins the two neighbours whose union
 * has the highest score, the leftmost of equals; rules in this order do the same.
 */
export function scoredMerges(pieces: readonly ScoredPiece[]): readonly (readonly [string, string])[] {
  const known = new Set(pieces.map(({ text }) => text));
  return [...pieces]
    .sort((a, b) => b.score - a.score)
    .flatMap(({ text }) => cuts(text).filter(([left, right]) => known.has(left) && known.has(right)));
}

/** A text in two, between any two letters. */
function cuts(text: string): [string, string][] {
  const pairs: [string, string][] = [];
  let at = 0;
  for (const letter of text) {
    if (at > 0) pairs.push([text.slice(0, at), text.slice(at)]);
    at += letter.length;
  }
  return pairs;
}
