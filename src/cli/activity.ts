/** What a service has done since it started, in numbers: what its events and measurements add up to. */

import type { RefusalReason } from "../admission/quota.ts";
import type { Common, Phase } from "../console/status.ts";
import type { FailureKind, ServiceEvent } from "../parties/events.ts";
import type { Measured } from "../parties/meter.ts";

/** Phases kept, the latest of all. */
const KEPT_PHASES = 120;

export class Activity {
  readonly done = { runs: 0, texts: 0, prepared: 0, dealt: 0 };
  readonly refused: Record<RefusalReason, number> = { full: 0, quota: 0, rate: 0, draining: 0, deviations: 0 };
  readonly failed: Record<FailureKind, number> = { channel: 0, party: 0, fault: 0 };
  private readonly latest: Phase[] = [];

  count(event: ServiceEvent): void {
    if (event.event === "answered") {
      this.done.runs++;
      this.done.texts += event.texts;
    } else if (event.event === "prepared" || event.event === "dealt") this.done[event.event]++;
    else if (event.event === "refused") this.refused[event.reason]++;
    else if (event.event === "failed") this.failed[event.kind]++;
  }

  measured({ phase, seconds }: Measured): void {
    this.latest.push({ at: Date.now(), phase, seconds });
    if (this.latest.length > KEPT_PHASES) this.latest.shift();
  }

  /** For a status. */
  get numbers(): Pick<Common, "done" | "refused" | "failed" | "phases"> {
    return { done: this.done, refused: this.refused, failed: this.failed, phases: this.latest };
  }
}
