/** What a served model is known by: its public name and the key of R live exactly as long as its weights. */
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { asset, identity, openSource, planOf } from "../../src/cli/source.ts";
import { FileStore } from "../../src/parties/file-store.ts";

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
    const known = async () => identity(await openSource(folder, { overrides: {} }), new FileStore(store));
    const first = await known();
    const again = await known();
    expect([again.id, again.key.expose()]).toEqual([first.id, first.key.expose()]);
    const bytes = await readFile(join(folder, file));
    // A bit of the last number's fraction.
    bytes[bytes.length - 2] ^= 1;
    await writeFile(join(folder, file), bytes);
    const second = await known();
    expect(second.id).not.toBe(first.id);
    expect(second.key.expose()).not.toEqual(first.key.expose());
  },
);

describe("planOf", () => {
  const spec = { gelu: "quad", softmax: "2quad:5" } as Parameters<typeof planOf>[1];
  const range = (ends: string) =>
    `{"gelu":"quad","softmax":"2quad:5","plan":{"ranges":{"0.out":${ends}},"exponents":{},"margin":2}}`;

  it.each(["[0,1]", "[1,1]", "[-4611686018427387904,0]"])("takes a range of %s", (ends) => {
    expect(planOf(range(ends), spec)?.ranges["0.out"]).toEqual(JSON.parse(ends));
  });

  it.each(["[1,0]", "[0,1e999]", "[-1e19,0]", "[0]", "[0,null]", "{}"])("refuses a range of %s", (ends) => {
    expect(() => planOf(range(ends), spec)).toThrow(/is not a plan: run "mpcformer calibrate" again/);
  });
});
