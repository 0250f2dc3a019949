/** A service's health at a glance: numbers, and how full what is limited is. */
import type { Common, Status } from "../../src/console/status.ts";
import { bytes, count, duration } from "./words.ts";

interface TileProps {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
  readonly tone?: "bad";
}

function Tile({ name, value, note, tone }: TileProps) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd class={tone}>{value}</dd>
      {note !== undefined && <dd class="note">{note}</dd>}
    </div>
  );
}

export function Tiles({ status }: { readonly status: Status }) {
  const { memory, refused, failed, ready, uptimeSeconds } = status;
  const lost = sum(failed);
  return (
    <dl class="tiles">
      <Tile
        name="State"
        value={ready ? "ready" : "not ready"}
        note={ready ? "new work is taken" : "nothing new is taken"}
        tone={ready ? undefined : "bad"}
      />
      <Tile name="Up for" value={duration(uptimeSeconds)} note={`release ${status.release}`} />
      <Tile name="Memory" value={bytes(memory.resident)} note={`at most ${bytes(memory.peak)} so far`} />
      {status.role === "dealer" ? <Dealt status={status} /> : <Answered {...status.done} />}
      <Tile name="Refused" value={count(sum(refused))} note={reasons(refused, REFUSALS)} />
      <Tile
        name="Ended early"
        value={count(lost)}
        note={reasons(failed, FAILURES)}
        tone={failed.fault > 0 ? "bad" : undefined}
      />
    </dl>
  );
}

function Answered({ runs, texts, prepared }: Common["done"]) {
  const note = `in ${count(runs)} ${runs === 1 ? "run" : "runs"}; ${count(prepared)} prepared ahead`;
  return <Tile name="Texts answered" value={count(texts)} note={note} />;
}

function Dealt({ status }: { readonly status: Extract<Status, { role: "dealer" }> }) {
  const { maskedWeights, done } = status;
  return (
    <>
      <Tile name="Sessions dealt" value={count(done.dealt)} />
      <Tile name="Masked weights" value={bytes(maskedWeights.bytes)} note={`${count(maskedWeights.count)} matrices`} />
    </>
  );
}

const REFUSALS: Readonly<Record<keyof Common["refused"], string>> = {
  full: "all places taken",
  quota: "too many at once",
  rate: "too many a minute",
  draining: "going down",
  deviations: "shut out after failed checks",
};
const FAILURES: Readonly<Record<keyof Common["failed"], string>> = {
  channel: "connection lost",
  party: "broke the rules",
  fault: "faults here",
};

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, n) => total + n, 0);
}

/** Those that happened, in words. */
function reasons<K extends string>(counts: Readonly<Record<K, number>>, names: Readonly<Record<K, string>>): string {
  const happened = (Object.keys(names) as K[]).filter((reason) => counts[reason] > 0);
  if (happened.length === 0) return "none since the start";
  return happened.map((reason) => `${names[reason]}: ${count(counts[reason])}`).join(", ");
}

/** How much of each limit is used. */
export function Load({ status }: { readonly status: Status }) {
  const { load } = status;
  const { limits } = load;
  return (
    <>
      <div class="meters">
        <Meter name="Running" value={load.running} most={limits.running} />
        <Meter name="Waiting" value={load.waiting} most={limits.waiting} />
        <Meter name="Connections" value={load.connections} most={limits.connections} />
        {status.role === "server" && (
          <Meter name="Material in memory" value={status.material.bytes} most={status.material.most} format={bytes} />
        )}
      </div>
      <p class="note">
        {keys(load.keysAtWork)} work here now. Each may have{" "}
        {count(Math.min(limits.each, limits.running + limits.waiting))} phases at work or waiting, begin{" "}
        {count(limits.perMinute)} in a minute, and keep {count(Math.min(limits.connectionsEach, limits.connections))}{" "}
        connections open.
      </p>
    </>
  );
}

function keys(n: number): string {
  return n === 0 ? "No client's key has" : n === 1 ? "One client's key has" : `${count(n)} clients' keys have`;
}

interface MeterProps {
  readonly name: string;
  readonly value: number;
  readonly most: number;
  readonly format?: (n: number) => string;
}

/** From this part of a limit on it is time to look. */
const NEARLY_FULL = 0.8;

function Meter({ name, value, most, format = count }: MeterProps) {
  return (
    <div class="meter">
      <span>{name}</span>
      <span class="amount">
        {format(value)} of {format(most)}
      </span>
      <meter aria-label={name} min={0} max={most} high={NEARLY_FULL * most} value={value} />
    </div>
  );
}
