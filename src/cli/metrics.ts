/**
 * Prometheus metrics of a service. They need the package prom-client, which a plain install does not have: clients need none of it.
 */
import { createRequire } from "node:module";
import type { Counter, Histogram, Registry } from "prom-client";

type Prometheus = typeof import("prom-client");

const SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];

export class Metrics {
  readonly #prometheus: Prometheus;
  readonly #registry: Registry;
  readonly #events: Counter<"event" | "reason">;
  readonly #seconds: Histogram<"event">;

  private constructor(prometheus: Prometheus) {
    this.#prometheus = prometheus;
    this.#registry = new prometheus.Registry();
    const registers = [this.#registry];
    prometheus.collectDefaultMetrics({ register: this.#registry });
    this.#events = new prometheus.Counter({
      name: "mpcformer_events_total",
      help: "What happened, by kind; refusals and failures by reason.",
      labelNames: ["event", "reason"],
      registers,
    });
    this.#seconds = new prometheus.Histogram({
      name: "mpcformer_seconds",
      help: "Time of an online phase (answered) or of a session's dealing (dealt).",
      labelNames: ["event"],
      buckets: SECONDS,
      registers,
    });
  }

  /** Null where prom-client is not installed. */
  static load(): Metrics | null {
    try {
      return new Metrics(createRequire(import.meta.url)("prom-client") as Prometheus);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
      throw error;
    }
  }

  count(event: string, reason: string): void {
    this.#events.inc({ event, reason });
  }

  observe(event: string, seconds: number): void {
    this.#seconds.observe({ event }, seconds);
  }

  /** Shows a number as it is whenever somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    new this.#prometheus.Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** All of them in Prometheus's format, and its media type. */
  async all(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
