/** What steps of a tokenizer.json share: how they are checked, and turned into functions. */

import * as v from "valibot";

/** A file's list of steps may not be longer, nor nested deeper. */
export const MOST_STEPS = 64;

/** A step's fields, checked; anything else in it is refused, since it might change what the step does. */
export function step<E extends v.ObjectEntries>(entries: E) {
  return v.strictObject({ type: v.string(), ...entries });
}

/** A step without fields. */
export function bareStep<T>(result: T): v.GenericSchema<unknown, T> {
  return v.pipe(
    step({}),
    v.transform(() => result),
  );
}

/** A step of one of these types, as what it describes. */
export function oneOf<T>(types: Readonly<Record<string, v.GenericSchema<unknown, T>>>): v.GenericSchema<unknown, T> {
  const message = `is not supported: use one of ${Object.keys(types).join(", ")}`;
  const none = v.pipe(
    v.looseObject({ type: v.custom<never>(() => false, message) }),
    v.transform(({ type }): T => type),
  );
  return v.lazy((input) => {
    const type = typeof input === "object" && input !== null && "type" in input ? String(input.type) : "";
    return Object.hasOwn(types, type) ? types[type] : none;
  });
}

export const flag = v.boolean();
export const shortText = v.pipe(v.string(), v.maxLength(16, "must be 16 letters or fewer"));
/** One code point. */
export const oneLetter = v.pipe(
  v.string(),
  v.check((text) => [...text].length === 1, "must be one letter"),
);

/** @throws an Error when a step has made far more letters of a text than it had. */
export function checkGrowth(before: number, after: number): void {
  if (after > 64 * before + 1024) throw new Error("tokenizer.json: a step makes texts too long: use the model's own");
}

/** A field that may be missing or null. */
export function maybe<T>(schema: v.GenericSchema<unknown, T>) {
  return v.nullish(schema, null);
}

export const affix = maybe(shortText);
