/** What an operator sees of a service: log lines, numbers for the console, and Prometheus metrics. */
import type { Admission } from "../admission/admission.ts";
import { ChannelError } from "../channels/channel.ts";
import { lineOf, referenceOf, type ServiceEvent } from "../parties/events.ts";
import { PartyError } from "../parties/messages.ts";
import { Activity } from "./activity.ts";
import { Metrics } from "./metrics.ts";
import type { ServiceOptions } from "./options.ts";
import { note } from "./terminal.ts";

const MOST_WORDS = 500;

/** Counts a service's events and tells them. Nothing gets in but what `ServiceEvent` has. */
export class Telemetry {
  private readonly prometheus = Metrics.load();
  private readonly format: "text" | "json" | "none";
  /** Where nothing is logged but faults, their form. */
  private readonly faults: "text" | "json";
  /** Since the start. */
  readonly activity = new Activity();
  private ready = false;

  constructor({ log, json }: Pick<ServiceOptions, "log" | "json">) {
    this.format = log ?? (json ? "none" : "text");
    this.faults = json ? "json" : "text";
  }

  /** For a service's `log` option. */
  readonly tell = (event: ServiceEvent): void => {
    const reason = event.event === "refused" ? event.reason : event.event === "failed" ? event.kind : "";
    this.prometheus?.count(event.event, reason);
    this.activity.count(event);
    if ("seconds" in event) this.prometheus?.observe(event.event, event.seconds);
    // Of failures `explain` says more. A peer was told to have a fault's reference looked up: it is logged even where nothing else is.
    const fault = event.event === "failed" && event.kind === "fault";
    const form = this.format === "none" && fault ? this.faults : this.format;
    if (form === "json") note(JSON.stringify({ time: new Date().toISOString(), ...event }));
    else if (form === "text" && event.event !== "refused" && (event.event !== "failed" || this.format === "none"))
      note(lineOf(event));
  };

  /** Why a session ended, for the operator's terminal; a peer's own words stay out of it. */
  readonly explain = (error: Error): void => {
    if (this.format !== "text") return;
    const known = error instanceof ChannelError || error instanceof PartyError;
    const words = known && error.peersWords ? "the other side gave up or refused" : error.message;
    const why = words.slice(0, MOST_WORDS).replace(/[^\x20-\x7e]/g, " ");
    const reference = referenceOf(error);
    note(`mpcformer: a session ended: ${why}${reference === "" ? "" : ` (${reference})`}`);
  };

  /** Shows who is served and who waits. */
  watch(admission: Admission): void {
    this.gauge("mpcformer_running", "Phases at work.", () => admission.running);
    this.gauge("mpcformer_waiting", "Phases that wait for their turn.", () => admission.waiting);
    this.gauge("mpcformer_connections", "Open connections.", () => admission.connections);
  }

  /** Shows a number as it is whenever somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    this.prometheus?.gauge(name, help, read);
  }

  /** Whether /readyz says so. */
  setReady(ready: boolean): void {
    this.ready = ready;
  }

  get isReady(): boolean {
    return this.ready;
  }

  /** For Prometheus; null where prom-client is not installed. */
  async metrics(): Promise<{ readonly type: string; readonly text: string } | null> {
    return this.prometheus === null ? null : this.prometheus.all();
  }
}
