/** A model's id: computed by the client from what it was sent, pinned, and refused when anything of it changes. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Channel } from "../../src/channels/channel.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import type { PublicModel } from "../../src/parties/messages.ts";
import { modelId, publicModel } from "../../src/parties/model-identity.ts";
import { fetchTables } from "../../src/parties/public-tables.ts";
import { TINY } from "./harness.ts";
import { World } from "./world.ts";

let here: World;
beforeEach(async () => {
  here = await World.create();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await here.close();
});

/** Lets the client receive something else as the server's welcome. */
function rewriteWelcome(change: (welcome: { model: PublicModel; tokenizer: Record<string, string> }) => void): void {
  const receive = Channel.prototype.receiveJson;
  vi.spyOn(Channel.prototype, "receiveJson").mockImplementation(async function (this: Channel, ...asked) {
    const message = (await receive.apply(this, asked)) as { model: PublicModel; tokenizer: Record<string, string> };
    if ("tokenizer" in message) change(message);
    return message;
  });
}

describe("a model's id", () => {
  it("is the same for equal parts, whatever the order of their fields, and another for each part", async () => {
    const { spec, plan, server } = await here.services();
    expect(server).toBeDefined();
    const parts = {
      spec,
      plan,
      tokenizer: { "vocab.txt": "1", "merges.txt": "2" },
      commitment: "ab".repeat(32),
      tables: null,
    };
    const id = await modelId(parts);
    const turned = Object.fromEntries(Object.entries(spec).reverse()) as unknown as typeof spec;
    expect(await modelId({ ...parts, spec: turned, tokenizer: { "merges.txt": "2", "vocab.txt": "1" } })).toBe(id);
    const others = [
      { commitment: "cd".repeat(32) },
      { tables: "ab".repeat(32) },
      { tokenizer: { "vocab.txt": "1", "merges.txt": "3" } },
      { plan: { ...plan, margin: plan.margin + 1 } },
      { spec: { ...spec, answer: "label" as const } },
    ];
    for (const other of others) expect(await modelId({ ...parts, ...other })).not.toBe(id);
  });

  it("is what the client computes, and what it pins", async () => {
    const w = await here.services({ spec: { embedding: "public" } });
    const { id } = (await w.connect()).model;
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const client = await w.connect(false, () => {}, id);
    expect((await client.infer(randomText(w.spec, 6, 1))).logits).toHaveLength(w.spec.labels);
    await expect(w.connect(false, () => {}, "0".repeat(64))).rejects.toThrow(
      /the server serves the model .*, not 0000/,
    );
  });

  it("names tokenizer, plan, shape and commitment: a server that changes one is refused before any text", async () => {
    const w = await here.services();
    const changes: ((welcome: { model: PublicModel; tokenizer: Record<string, string> }) => void)[] = [
      ({ tokenizer }) => Object.assign(tokenizer, { "vocab.txt": "[PAD]\n" }),
      ({ model }) => Object.assign(model, { plan: { ...model.plan, margin: 3 } }),
      ({ model }) => Object.assign(model, { spec: { ...model.spec, answer: "label" } }),
      ({ model }) => Object.assign(model, { commitment: "0".repeat(64) }),
    ];
    for (const change of changes) {
      rewriteWelcome(change);
      await expect(w.connect()).rejects.toThrow(/not the one that its id names/);
      vi.restoreAllMocks();
    }
  });

  it("names the public tables: others are refused before any text", async () => {
    const weights = randomWeights({ ...TINY, embedding: "public" }, 5);
    const w = await here.services({ spec: { embedding: "public" } });
    const client = await w.connect();
    expect(client.model.tables).toBe(
      (await publicModel({ ...w, tokenizer: {}, commitment: "0".repeat(64) }, weights)).tables,
    );
    const { model } = client;
    const channel = await here.greeted(w.serverPort);
    await channel.receiveJson(0);
    await expect(fetchTables(channel, { ...model, tables: "0".repeat(64) })).rejects.toThrow(/not those/);
    channel.close();
  });
});
