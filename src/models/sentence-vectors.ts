/** Folders of sentence-transformers: modules.json names what comes behind the model, a pooling and maybe a norm. */

import * as v from "valibot";
import type { ModelSpec, Pooling } from "../program/spec.ts";
import { whole } from "./bounds.ts";
import { check, parseJson, printable } from "./json.ts";

/** A folder's modules, in their order. */
const MODULES = "modules.json";
const modulesSchema = v.array(v.looseObject({ type: v.string(), path: v.optional(v.string(), "") }));
/** How long its texts are; longer ones are cut off there. */
const LIMITS = "sentence_bert_config.json";
const limitsSchema = v.looseObject({ max_seq_length: v.nullish(whole(1, 2 ** 20)) });
const switched = v.optional(v.boolean(), false);
const poolingSchema = v.looseObject({
  word_embedding_dimension: v.number(),
  pooling_mode_cls_token: switched,
  pooling_mode_mean_tokens: switched,
  pooling_mode_max_tokens: switched,
  pooling_mode_mean_sqrt_len_tokens: switched,
  pooling_mode_weightedmean_tokens: switched,
  pooling_mode_lasttoken: switched,
});

type Text = (name: string, limit?: number) => Promise<string | undefined>;

/**
 * How a folder of sentence-transformers makes one vector of a text; undefined for a folder that has no modules.json.
 * @throws an Error of one line for modules and poolings that are not computed here.
 */
export async function poolingIn(text: Text): Promise<Pooling | undefined> {
  const modules = await text(MODULES, 2 ** 16);
  if (modules === undefined) return undefined;
  const [model, pooling, ...behind] = check(modulesSchema, parseJson(modules, MODULES), MODULES).map((one) => ({
    ...one,
    kind: one.type.split(".").at(-1) ?? "",
  }));
  if (model?.kind !== "Transformer" || model.path !== "" || pooling?.kind !== "Pooling")
    throw new Error("modules.json: only a Transformer in this folder and a Pooling behind it are supported");
  const others = behind.filter(({ kind }) => kind !== "Normalize");
  if (others.length > 0)
    throw new Error(`modules.json: ${printable(others[0].kind, 60)} is not supported: use a model without`);
  // Whatever a file says, nothing outside the folder is read.
  if (!/^[A-Za-z0-9_]{1,40}$/.test(pooling.path))
    throw new Error("modules.json: the Pooling's path must be a folder here");
  const made = { of: await pooledRows(text, `${pooling.path}/config.json`), unit: behind.length > 0 };
  const own = await text(LIMITS, 2 ** 16);
  const tokens = own === undefined ? null : check(limitsSchema, parseJson(own, LIMITS), LIMITS).max_seq_length;
  return typeof tokens === "number" ? { ...made, tokens } : made;
}

async function pooledRows(text: Text, name: string): Promise<Pooling["of"]> {
  const json = await text(name, 2 ** 16);
  if (json === undefined) throw new Error(`the folder has no ${name}: check that it is complete`);
  const { word_embedding_dimension: _, ...fields } = check(poolingSchema, parseJson(json, name), name);
  const on = Object.entries(fields).flatMap(([mode, is]) =>
    mode.startsWith("pooling_mode_") && is === true ? [mode] : [],
  );
  if (on.length === 1 && on[0] === "pooling_mode_cls_token") return "first";
  if (on.length === 1 && on[0] === "pooling_mode_mean_tokens") return "mean";
  throw new Error(`${name}: only pooling_mode_mean_tokens or pooling_mode_cls_token is supported, and one of them`);
}

/** The files of a folder that `poolingIn` reads, by name. */
export function poolingFiles({ hidden }: ModelSpec, { of, unit, tokens }: Pooling): Readonly<Record<string, string>> {
  const kinds = ["Transformer", "Pooling", ...(unit ? ["Normalize"] : [])];
  const modules = kinds.map((kind, idx) => ({
    idx,
    name: String(idx),
    path: idx === 0 ? "" : `${idx}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  }));
  const pooling = {
    word_embedding_dimension: hidden,
    pooling_mode_cls_token: of === "first",
    pooling_mode_mean_tokens: of === "mean",
    pooling_mode_max_tokens: false,
    pooling_mode_mean_sqrt_len_tokens: false,
  };
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const files = { [MODULES]: json(modules), "1_Pooling/config.json": json(pooling) };
  return tokens === undefined ? files : { ...files, [LIMITS]: json({ max_seq_length: tokens, do_lower_case: false }) };
}
