/** How likely a token was among all, as whoever learns the logits can tell. */

export interface TokenLogprob {
  readonly token: number;
  /** Natural logarithm of the probability that the model itself gives, whatever the temperature. */
  readonly logprob: number;
}

/** Of one new token. */
export interface Logprobs {
  readonly logprob: number;
  /** The likeliest tokens, the first of all first. */
  readonly top: readonly TokenLogprob[];
}

/** Of `token`, and of the `most` likeliest ones. */
export function logprobsOf(logits: readonly number[], token: number, most: number): Logprobs {
  let largest = Number.NEGATIVE_INFINITY;
  for (const x of logits) if (x > largest) largest = x;
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - largest);
  const all = largest + Math.log(sum);
  const top: TokenLogprob[] = [];
  for (const [id, x] of logits.entries()) {
    if (most === 0 || (top.length === most && x - all <= top[most - 1].logprob)) continue;
    const at = top.findIndex(({ logprob }) => logprob < x - all);
    top.splice(at < 0 ? top.length : at, 0, { token: id, logprob: x - all });
    if (top.length > most) top.pop();
  }
  return { logprob: logits[token] - all, top };
}
