/** The plan: what one private text costs, by layer and by kind of work. */
import { useState } from "preact/hooks";
import type { CompiledLength, CostShare } from "../../src/console/status.ts";
import { Bars } from "./bars.tsx";
import { Choice } from "./choice.tsx";
import { AsTable, Section, Table } from "./table.tsx";
import { bytes, count, lengthOf, multiplications } from "./words.ts";

const MEASURES = {
  toServer: "Bytes to the server",
  toClient: "Bytes back",
  offline: "Bytes offline",
  macs: "Multiplications",
} as const;
type Measure = keyof typeof MEASURES;

export function Costs({ compiled }: { readonly compiled: readonly CompiledLength[] }) {
  const [chosen, choose] = useState("");
  const [measure, setMeasure] = useState<Measure>("toServer");
  if (compiled.length === 0)
    return (
      <Section title="Plan and cost">
        <p>
          Nothing is compiled yet: a length is when the first text of it comes, or when the server starts with --warm.
        </p>
      </Section>
    );
  const shown = compiled.find((one) => lengthOf(one) === chosen) ?? compiled[compiled.length - 1];
  return (
    <Section title="Plan and cost">
      <div class="choices">
        <Choice label="Padded length" value={lengthOf(shown)} options={compiled.map(lengthOf)} onChoose={choose} />
        <Choice
          label="Measure"
          value={measure}
          options={Object.keys(MEASURES)}
          names={MEASURES}
          onChoose={(name) => setMeasure(name as Measure)}
        />
      </div>
      <p>{inAll(shown)}</p>
      <div class="pair">
        <Shares by="layer" shares={shown.byLayer} measure={measure} />
        <Shares by="kind of work" shares={shown.byGroup} measure={measure} />
      </div>
    </Section>
  );
}

function inAll({ turns, flights, toServer, toClient, offline, macs, setup }: CompiledLength): string {
  return (
    `${turns > 1 ? "A continuation" : "A text"} takes ${count(flights)} flights, ${bytes(toServer)} to the server and ${bytes(toClient)} back; ` +
    `before it, ${bytes(offline)} of material; ${multiplications(macs)} multiplications. ` +
    `Once for the model, the dealer gets ${bytes(setup)} of masked weights.`
  );
}

interface SharesProps {
  readonly by: string;
  readonly shares: readonly CostShare[];
  readonly measure: Measure;
}

function Shares({ by, shares, measure }: SharesProps) {
  const format = measure === "macs" ? multiplications : bytes;
  const title = `${MEASURES[measure]} by ${by}`;
  return (
    <div>
      <h3>{title}</h3>
      <Bars title={title} bars={shares.map((s) => ({ name: s.name, value: s[measure] }))} format={format} />
      <AsTable
        caption={`Cost by ${by}`}
        head={[by, ...Object.values(MEASURES)]}
        rows={shares.map((s) => [
          s.name,
          bytes(s.toServer),
          bytes(s.toClient),
          bytes(s.offline),
          multiplications(s.macs),
        ])}
      />
    </div>
  );
}

/** How many texts can be answered without an offline phase. */
export function Stock({ store, compiled }: { readonly store: boolean; readonly compiled: readonly CompiledLength[] }) {
  return <Section title="Material in stock">{stockOf(store, compiled)}</Section>;
}

function stockOf(store: boolean, compiled: readonly CompiledLength[]) {
  if (!store) return <p>This server keeps no material: start it with --store to prepare ahead of time.</p>;
  if (compiled.length === 0) return <p>Nothing is compiled yet, so that nothing is counted here.</p>;
  const rows = compiled.map((one) => [
    lengthOf(one),
    one.stock === null ? "the store does not answer" : count(one.stock),
    one.stock === null ? "–" : bytes(one.stock * one.offline),
  ]);
  return (
    <>
      <Table caption="Prepared and not used yet" head={["For texts of", "Texts", "Bytes"]} rows={rows} />
      <p class="note">
        Each line is of a length that was compiled since the start; material of others is kept, and not counted here.
      </p>
    </>
  );
}
