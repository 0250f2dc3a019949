/** One version of a model's weights: what the key of R is bound to. */
import { createHash } from "node:crypto";
import { requiredWeights } from "../models/weights.ts";
import type { ModelSpec, Weights } from "../program/spec.ts";
import { KEY_BYTES } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";

/** A digest of every number that the model reads, whichever files they lie in. Not public: who guesses weights could check. */
export function versionOf(spec: ModelSpec, weights: Weights): Uint8Array {
  const hash = createHash("sha256");
  for (const name of requiredWeights(spec).keys()) {
    const { data } = weights.get(name);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest();
}

/** The key that R comes from. Were it one for two versions, the dealer would see what their weights differ by. */
export function keyOfVersion(modelKey: Secret, version: Uint8Array): Secret {
  const digest = createHash("sha256").update(modelKey.expose()).update(version).digest();
  return new Secret(digest.subarray(0, KEY_BYTES));
}
