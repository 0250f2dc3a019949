/** The embedding of a model whose tables are public, which clients work out themselves: apart, since other models' clients need not load it. */
import type { Channel } from "../channels/channel.ts";
import { embeddingsOf } from "../models/model.ts";
import { elementCount, publicTables, weightsOf } from "../models/weights.ts";
import type { ModelSpec, NamedTensor, Weights } from "../program/spec.ts";
import { embedded } from "../reference/layers.ts";
import { plainMatmul } from "../reference/matmul.ts";
import { FloatRun } from "../reference/run.ts";
import { centredRows } from "../reference/tensor.ts";
import { PartyError, type PublicModel } from "./messages.ts";
import { tablesDigest } from "./model-identity.ts";
import type { Embedder } from "./text.ts";

/** Embeds in floats; without each row's mean where the model takes no notice of it. */
export function embedderOf(spec: ModelSpec, tables: Weights): Embedder {
  return (text, before) => {
    const ref = embeddingsOf(spec);
    const run = new FloatRun(tables, plainMatmul, undefined);
    const rows = embedded(run, ref, text, { rows: text.ids.length, before });
    return ref.readers === "centred stream" ? centredRows(rows) : rows.data;
  };
}

/** What embeds with a server's tables, once these have come. @throws PartyError as `fetchTables` does */
export async function fetchEmbedder(channel: Channel, model: PublicModel): Promise<Embedder> {
  return embedderOf(model.spec, await fetchTables(channel, model));
}

/** The embedding tables of a model whose they are public. @throws PartyError when they are not those of the model's id. */
export async function fetchTables(channel: Channel, { spec, tables: digest }: PublicModel): Promise<Weights> {
  await channel.sendJson(0, { request: "tables" });
  const tables = new Map<string, NamedTensor>();
  let step = 0;
  for (const [name, shape] of publicTables(spec)) {
    const bytes = await channel.receive("setup", step++, 4 * elementCount(shape));
    const data = new Float32Array(bytes.slice().buffer);
    // Before any text is looked up: what is wrong with a text must not show on the wire, what is wrong with a table may.
    if (!data.every(Number.isFinite)) throw new PartyError(`the server's table ${name} has values that are no numbers`);
    tables.set(name, { shape, data: data.map(withoutDenormals) });
  }
  if ((await tablesDigest([...tables.values()].map(({ data }) => data))) !== digest)
    throw new PartyError("the server's tables are not those that its model's id names: do not send it a text");
  return weightsOf(tables);
}

/** Denormal numbers take processors longer: a server could mark a token's row with them, and time who looks it up. */
function withoutDenormals(x: number): number {
  return Math.abs(x) < 2 ** -126 ? 0 : x;
}
