/** What a model's name and R hang on. */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSource } from "../../src/cli/source.ts";

const FIXTURE = fileURLToPath(new URL("../models/fixtures/bert-cased", import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "source-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

it("a model in several files has another fingerprint when a weight in any of them changes", async () => {
  const model = join(dir, "model");
  await cp(FIXTURE, model, { recursive: true });
  const shard = join(model, "model-00001-of-00001.safetensors");
  await rename(join(model, "model.safetensors"), shard);
  const bytes = await readFile(shard);
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const names = Object.keys(JSON.parse(bytes.toString("utf8", 8, end))).filter((name) => name !== "__metadata__");
  const weight_map = Object.fromEntries(names.map((name) => [name, "model-00001-of-00001.safetensors"]));
  await writeFile(join(model, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
  // The plan is given: with one calibrated anew, a change might show in it.
  const overrides = { gelu: "quad", softmax: "2quad" };
  const { spec, plan } = await openSource(model, { overrides });
  await writeFile(join(model, "mpcformer.json"), JSON.stringify({ gelu: spec.gelu, softmax: spec.softmax, plan }));
  const fingerprint = async () => (await openSource(model, { overrides })).fingerprint;
  const before = await fingerprint();
  expect(await fingerprint()).toBe(before);
  bytes[end] ^= 1;
  await writeFile(shard, bytes);
  expect(await fingerprint()).not.toBe(before);
});
