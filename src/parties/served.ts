/** A loaded model, made ready to be served by a `ServerService`. Node only. */
import { createHash } from "node:crypto";
import type { Model } from "../models/checkpoint.ts";
import type { Plan } from "../program/plan.ts";
import { randomKey } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";
import type { MaterialStore } from "../stores/store.ts";
import type { ServedModel } from "./held-model.ts";
import { commitmentOf, publicModel } from "./model-identity.ts";
import { versionOf } from "./version.ts";

/**
 * What a server keeps and tells of a model: its public part, whose `id` clients can pin, and a key of R. With a store both stay the same as
 * long as the model does not change, as prepared material demands; without one each call makes them anew.
 * @example
 * const model = await loadModel("MODEL_DIR");
 * const served = await servedModel(model, calibrate(model.spec, model.weights, texts));
 * const server = new ServerService(await Ring.create(), served, { connectDealer });
 */
export async function servedModel(
  { spec, weights, tokenizer }: Model,
  plan: Plan,
  { store }: { readonly store?: MaterialStore } = {},
): Promise<ServedModel> {
  const sha256 = () => createHash("sha256");
  const version = sha256()
    .update(JSON.stringify([spec, plan]))
    .update(versionOf(spec, weights))
    .digest("hex");
  const fresh = { id: await commitmentOf(randomKey(), version), key: new Secret(randomKey()) };
  const { id, key } = store === undefined ? fresh : await store.identity(sha256().update(version).digest("hex"), fresh);
  const parts = { spec, plan, tokenizer: tokenizer.files, commitment: id };
  return {
    model: await publicModel(parts, weights),
    modelKey: key,
    weights: async () => weights,
    tokenizer: tokenizer.files,
  };
}
