/** What an operator sees of a service: log lines, numbers for the console, and Prometheus metrics. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Admission } from "../admission/admission.ts";
import { ChannelError } from "../channels/channel.ts";
import { lineOf, referenceOf, type ServiceEvent } from "../parties/events.ts";
import { PartyError } from "../parties/messages.ts";
import { Activity } from "./activity.ts";
import type { ServiceOptions } from "./options.ts";
import { note } from "./terminal.ts";

const MOST_WORDS = 500;
const SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];

/** Counts a service's events and tells them. Nothing gets in but what `ServiceEvent` has. */
export class Telemetry {
  private readonly registry = new Registry();
  private readonly events: Counter<"event" | "reason">;
  private readonly seconds: Histogram<"event">;
  private readonly format: "text" | "json" | "none";
  /** Since the start. */
  readonly activity = new Activity();
  private ready = false;

  constructor({ log, json }: Pick<ServiceOptions, "log" | "json">) {
    this.format = log ?? (json ? "none" : "text");
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.events = new Counter({
      name: "mpcformer_events_total",
      help: "What happened, by kind; refusals and failures by reason.",
      labelNames: ["event", "reason"],
      registers,
    });
    this.seconds = new Histogram({
      name: "mpcformer_seconds",
      help: "Time of an online phase (answered) or of a session's dealing (dealt).",
      labelNames: ["event"],
      buckets: SECONDS,
      registers,
    });
  }

  /** For a service's `log` option. */
  readonly tell = (event: ServiceEvent): void => {
    const reason = event.event === "refused" ? event.reason : event.event === "failed" ? event.kind : "";
    this.events.inc({ event: event.event, reason });
    this.activity.count(event);
    if ("seconds" in event) this.seconds.observe({ event: event.event }, event.seconds);
    // Of failures `explain` says more.
    if (this.format === "text" && event.event !== "failed" && event.event !== "refused") note(lineOf(event));
    else if (this.format === "json") note(JSON.stringify({ time: new Date().toISOString(), ...event }));
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
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Whether /readyz says so. */
  setReady(ready: boolean): void {
    this.ready = ready;
  }

  get isReady(): boolean {
    return this.ready;
  }

  /** For Prometheus. */
  async metrics(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.registry.contentType, text: await this.registry.metrics() };
  }
}
