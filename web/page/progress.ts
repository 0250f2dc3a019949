/** How far the work is: the cells of the model's strip, and the time left. */
import type { Happening } from "./messages.ts";

export type Step = Extract<Happening, { readonly what: "progress" }>;

export interface Shown {
  /** What is at work; null when nothing is. */
  readonly phase: Step["phase"] | null;
  /** Cells that are lit, in each phase's row. */
  readonly offline: number;
  readonly online: number;
  readonly layer: string;
  readonly group: string;
  /** Seconds; null while it cannot be told, or for what takes less than a second. */
  readonly left: number | null;
}

export const NOTHING_YET: Shown = { phase: null, offline: 0, online: 0, layer: "", group: "", left: null };

/** Cells of the strip: the embeddings, each layer, the answer. */
export function cellsOf(layers: number): number {
  return layers + 2;
}

/** Which cell a layer's name belongs to: "embeddings", "layer.3", or what comes behind the layers. */
function cellOf(layer: string, layers: number): number {
  if (layer === "embeddings") return 0;
  const index = /^[a-z]+\.(\d+)$/.exec(layer)?.[1];
  return index === undefined ? layers + 1 : Math.min(Number(index), layers - 1) + 1;
}

/** Follows one call after the other. */
export class Meter {
  shown: Shown = NOTHING_YET;
  private last: Step | null = null;
  private begun = 0;
  private from = 0;

  take(step: Step, layers: number, now = performance.now()): Shown {
    const { phase, done, total, layer, group } = step;
    if (this.last?.phase !== phase || done < this.last.done) [this.begun, this.from] = [now, done];
    this.last = step;
    const over = done >= total;
    const lit = over ? cellsOf(layers) : cellOf(layer, layers) + 1;
    const rows = phase === "offline" ? { offline: lit, online: this.shown.online } : this.onlineRow(lit, layers);
    this.shown = { phase: over ? null : phase, ...rows, layer, group, left: this.left(done, total, now) };
    return this.shown;
  }

  /** A question begins: nothing of it is computed yet. */
  begin(): Shown {
    this.last = null;
    this.shown = { ...this.shown, phase: null, online: 0, left: null };
    return this.shown;
  }

  /** Nothing is at work any more. What broke off in the middle is dark again. */
  end(complete: boolean): Shown {
    const broken = complete ? undefined : this.last?.phase;
    const offline = broken === undefined ? this.shown.offline : 0;
    const online = broken === "online" ? 0 : this.shown.online;
    this.last = null;
    this.shown = { ...this.shown, phase: null, offline, online, left: null };
    return this.shown;
  }

  private onlineRow(lit: number, layers: number) {
    return { offline: cellsOf(layers), online: lit };
  }

  private left(done: number, total: number, now: number): number | null {
    const elapsed = (now - this.begun) / 1000;
    if (done <= this.from || elapsed <= 0.1) return null;
    const left = ((total - done) * elapsed) / (done - this.from);
    return elapsed + left > 1 && left > 0 ? left : null;
  }
}
