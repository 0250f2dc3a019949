/** A request's fields, read strictly: what is wrong, unknown, or cannot be honoured is refused by its name. */
import * as v from "valibot";
import { ApiError } from "./errors.ts";

export const text = v.string("must be a text");
export const flag = v.nullish(v.boolean("must be true or false"));
export const whole = v.pipe(v.number("must be a whole number"), v.integer("must be a whole number"));

/** Fields whose only values here are these: those that ask for what every answer is. */
export type Nothing = Readonly<Record<string, readonly unknown[]>>;

/** @throws ApiError that names the field. */
export function read<S extends v.GenericSchema>(schema: S, body: unknown, nothing: Nothing): v.InferOutput<S> {
  const result = v.safeParse(schema, without(nothing, body));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const param = v.getDotPath(issue) ?? undefined;
  if (issue.type !== "strict_object")
    throw new ApiError(`${param ?? "the request"} ${issue.message}`, { status: 400, param, code: "invalid_value" });
  if (param === undefined) throw new ApiError("a request is a JSON object", { status: 400 });
  const [message, code] =
    issue.expected === "never"
      ? [`${param} is not known to this gateway: leave it out`, "unknown_parameter"]
      : [`${param} is missing`, "missing_required_parameter"];
  throw new ApiError(message, { status: 400, param, code });
}

/** Without those of these fields that say nothing, or are null. @throws ApiError for one that asks for more. */
function without(nothing: Nothing, body: unknown): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const said = Object.entries(body).filter(([field, value]) => {
    const allowed = Object.hasOwn(nothing, field) ? nothing[field] : null;
    if (value === null) return allowed === null;
    if (allowed === null) return true;
    if (allowed.includes(value)) return false;
    const only = allowed.map((one) => JSON.stringify(one)).join(", ");
    throw new ApiError(`this gateway cannot do that: ${field} is ${only} here`, {
      status: 400,
      param: field,
      code: "unsupported_value",
    });
  });
  return Object.fromEntries(said);
}
