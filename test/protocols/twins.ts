/** Two texts of one padded length, asked by turns: whether anything but the answer tells them apart. */
import { randomText } from "../../src/models/catalog.ts";
import type { Harness } from "../parties/harness.ts";
import { type Frame, tapped } from "../parties/tapped.ts";
import { shapeOf } from "./evidence.ts";
import { histogram, nearestMeanAuc } from "./statistics.ts";
import { watchOpenings } from "./watch.ts";

/** Of the padded length 16. */
const TOKENS = [11, 14];

export interface Twins {
  /** Number, order and size of all frames, control messages included: one where sessions are alike. */
  readonly shapes: number;
  readonly frames: number;
  /** How well a classifier of byte histograms tells the texts apart: 0.5 is not at all. */
  readonly server: { readonly auc: number; readonly deviation: number };
  readonly dealer: { readonly auc: number; readonly deviation: number };
}

/** `sessions` in all. The dealer's view is what it receives, the server's also what it holds after its openings. */
export async function twins(h: Harness, sessions: number): Promise<Twins> {
  const texts = TOKENS.map((tokens, i) => randomText(h.spec, tokens, 3 + i));
  const views = { server: [[], []] as Float64Array[][], dealer: [[], []] as Float64Array[][] };
  const shapes = new Set<string>();
  let held: Uint8Array[] = [];
  const undo = watchOpenings((name, bytes) => name.endsWith("server") && held.push(bytes));
  const world = await tapped(h);
  let frames = 0;
  try {
    const client = await world.connect();
    // The first session also brings the weights.
    for (let i = -1; i < sessions; i++) {
      world.frames.length = 0;
      held = [];
      const text = Math.abs(i) % 2;
      await client.infer(texts[text]);
      if (i < 0) continue;
      shapes.add(shapeOf(world.frames));
      frames += world.frames.length;
      views.server[text].push(histogram([...dataTo("server", world.frames), ...held]));
      views.dealer[text].push(histogram(world.frames.filter((f) => f.to === "dealer").map((f) => f.payload)));
    }
    await client.close();
  } finally {
    undo();
  }
  const told = ([zeros, ones]: Float64Array[][]) => nearestMeanAuc(zeros, ones);
  return { shapes: shapes.size, frames, server: told(views.server), dealer: told(views.dealer) };
}

function dataTo(name: string, frames: readonly Frame[]): Uint8Array[] {
  return frames.filter((f) => f.to === name && f.phase !== "control").map((f) => f.payload);
}
