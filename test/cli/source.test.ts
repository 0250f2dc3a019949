/** What a served model is known by: its public name and the key of R live exactly as long as its weights. */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { identity } from "../../src/cli/parties.ts";
import { asset, openSource } from "../../src/cli/source.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "source-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it.each(["model.safetensors", "model-00001-of-00001.safetensors"])(
  "a weight that changes in %s gives another name and another R, though the plan stays",
  async (file) => {
    const [folder, store] = [join(dir, "model"), join(dir, "store")];
    await cp(asset("demo"), folder, { recursive: true });
    await rename(join(folder, "model.safetensors"), join(folder, file));
    await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: { any: file } }));
    const known = async () => identity(await openSource(folder, { overrides: {} }), store);
    const first = await known();
    expect(await known()).toEqual(first);
    const bytes = await readFile(join(folder, file));
    // A bit of the last number's fraction.
    bytes[bytes.length - 2] ^= 1;
    await writeFile(join(folder, file), bytes);
    const second = await known();
    expect(second.id).not.toBe(first.id);
    expect(second.key).not.toEqual(first.key);
  },
);
