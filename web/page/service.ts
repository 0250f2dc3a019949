/** The parties as the page's parts ask them: opened once, and again after it has failed. */
import type { PinnedParties } from "../../src/parties/connect.ts";
import { WorkerClient } from "./client.ts";
import type { Call, Calls, Happening, OpenedModel } from "./messages.ts";

export class Service {
  readonly parties: PinnedParties;
  private readonly worker = new WorkerClient();
  private opening: Promise<OpenedModel> | null = null;

  constructor(parties: PinnedParties) {
    this.parties = parties;
  }

  /** @throws Error of one line for people. */
  open(): Promise<OpenedModel> {
    this.opening ??= this.worker.call("open", { parties: this.parties }).catch((error: Error) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  /** This browser's own key. @throws Error of one line for people. */
  async key(): Promise<string> {
    return (await this.worker.call("key", {})).fingerprint;
  }

  /** Opens first where that has not happened. @throws Error of one line for people. */
  async ask<C extends Call>(call: C, asked: Calls[C]["asked"], happened?: (happening: Happening) => void) {
    await this.open();
    return this.worker.call(call, asked, happened);
  }

  /** Ends what is at work, soon. */
  stop(): void {
    void this.worker.call("stop", {}).catch(() => {});
  }
}
