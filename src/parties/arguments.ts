/** What callers of the library give, checked where it comes in: what is wrong is told in one line, before anything is done. */
import * as v from "valibot";

/** A valibot message for a value of another kind. */
export function mustBe(what: string): () => string {
  return () => `must be ${what}`;
}

/** A function, where one is given. */
export const callable = v.optional(v.function(mustBe("a function")));

/** An AbortSignal, also of another realm or a library's own. */
export const abortSignal = v.optional(
  v.custom<AbortSignal>(
    (given) => typeof given === "object" && given !== null && "aborted" in given && "addEventListener" in given,
    mustBe("an AbortSignal"),
  ),
);

/** @throws TypeError that names the call, the option, and what it must be. Values are not shown: they may be a text. */
export function checkArguments(schema: v.GenericSchema, given: unknown, call: string): void {
  const result = v.safeParse(schema, given);
  if (!result.success) throw new TypeError(`${call}: ${described(result.issues[0], "its options", "option")}`);
}

/** What is wrong, in a few words. `whole`: all that was given, and `field` a part of it, as the message calls them. */
export function described(issue: v.BaseIssue<unknown>, whole: string, field = "field"): string {
  const { type, expected, message } = issue;
  const path = v.getDotPath(issue);
  if (type !== "strict_object") return `${path ?? whole} ${message}`;
  if (expected === "never") return `there is no ${field} ${path}`;
  // Of an object valibot says what it expects; of a key that is not there, its name.
  return expected === "Object" ? `${path ?? whole} must be an object of ${field}s` : `${path} is missing`;
}
