/** What files may say of a token. */

import * as v from "valibot";
import type { DeclaredToken } from "./added-tokens.ts";

const MOST_TOKEN_LETTERS = 1000;

/** A token's text. */
export const content = v.pipe(
  v.string(),
  v.minLength(1, "must not be empty"),
  v.maxLength(MOST_TOKEN_LETTERS, `must be ${MOST_TOKEN_LETTERS} letters or fewer`),
);
const flag = v.optional(v.boolean(), false);

/** An added token with all that may be said of it. */
export const addedToken = v.pipe(
  v.looseObject({
    content,
    single_word: flag,
    lstrip: flag,
    rstrip: flag,
    normalized: v.optional(v.boolean()),
    special: flag,
  }),
  v.transform(
    ({ content, single_word, lstrip, rstrip, normalized, special }): DeclaredToken => ({
      ...{ content, single_word, lstrip, rstrip, special },
      normalized: normalized ?? null,
    }),
  ),
);
