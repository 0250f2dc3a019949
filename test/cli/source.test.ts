import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSource, PLAN_FILE, planJson, planOf } from "../../src/cli/source.ts";
import { fixture } from "../models/fixtures.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mpcformer-test-"));
  cpSync(fixture("bert-topics"), folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("openSource", () => {
  it("has another fingerprint when the weights of a shard change", async () => {
    const shard = "model-00001-of-00001.safetensors";
    renameSync(join(folder, "model.safetensors"), join(folder, shard));
    const index = { weight_map: { "classifier.weight": shard } };
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
    const options = { overrides: { gelu: "quad", softmax: "2quad" } };
    const before = await openSource(folder, options);
    writeFileSync(join(folder, PLAN_FILE), planJson(before.spec, before.plan));
    expect((await openSource(folder, options)).fingerprint).toBe(before.fingerprint);
    const bytes = readFileSync(join(folder, shard));
    bytes[bytes.length - 4] ^= 1;
    writeFileSync(join(folder, shard), bytes);
    expect((await openSource(folder, options)).fingerprint).not.toBe(before.fingerprint);
  });
});

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
