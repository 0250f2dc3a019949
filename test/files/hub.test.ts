import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { cachedModel, hubCache } from "../../src/files/hub.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "hub-"));
});
afterEach(() => rm(cache, { recursive: true }));

/** A model as huggingface_hub keeps it: a snapshot of links to its files. */
async function keep(name: string, ref = COMMIT): Promise<string> {
  const repository = join(cache, name);
  const snapshot = join(repository, "snapshots", COMMIT);
  for (const folder of [snapshot, join(repository, "refs"), join(repository, "blobs")])
    await mkdir(folder, { recursive: true });
  await writeFile(join(repository, "refs", "main"), ref);
  for (const file of ["config.json", "model.Q4_K_M.gguf"]) {
    await writeFile(join(repository, "blobs", file), "");
    await symlink(join("..", "..", "blobs", file), join(snapshot, file));
  }
  return snapshot;
}

it("a model is found by its name, with an owner or without, and its GGUF file behind it", async () => {
  const [owned, plain] = [await keep("models--owner--name.v1"), await keep("models--gpt2")];
  expect(await cachedModel("owner/name.v1", cache)).toBe(owned);
  expect(await cachedModel("gpt2", cache)).toBe(plain);
  expect(await cachedModel("owner/name.v1/model.Q4_K_M.gguf", cache)).toBe(join(owned, "model.Q4_K_M.gguf"));
  expect(await cachedModel("owner/name.v1/other.gguf", cache)).toBeUndefined();
  expect(await cachedModel("owner/other", cache)).toBeUndefined();
});

it("nothing outside the cache is reached", async () => {
  await keep("models--owner--astray", "../../../elsewhere");
  expect(await cachedModel("owner/astray", cache)).toBeUndefined();
  await keep("models--owner--name");
  for (const id of ["owner/../name", "..", "owner/name/../model.Q4_K_M.gguf", "/owner/name", "owner\\name", ""])
    expect(await cachedModel(id, cache)).toBeUndefined();
});

it("lies where Hugging Face's programs keep it", () => {
  const all = { HF_HUB_CACHE: "/a", HF_HOME: "/b", XDG_CACHE_HOME: "/c" };
  expect(hubCache(all)).toBe("/a");
  expect(hubCache({ ...all, HF_HUB_CACHE: "" })).toBe(join("/b", "hub"));
  expect(hubCache({ XDG_CACHE_HOME: "/c" })).toBe(join("/c", "huggingface", "hub"));
  expect(hubCache({})).toBe(join(homedir(), ".cache", "huggingface", "hub"));
});
