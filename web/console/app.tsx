/** The console's page: one service, its state, and what it costs to ask it. */
import { useEffect, useState } from "preact/hooks";
import type { Status } from "../../src/console/status.ts";
import type { Study } from "../../src/console/study.ts";
import { Costs, Stock } from "./costs.tsx";
import { Phases } from "./phases.tsx";
import { type Polled, useOnce, usePolled } from "./poll.ts";
import { Studies } from "./study.tsx";
import { Section } from "./table.tsx";
import { Load, Tiles } from "./tiles.tsx";
import { clock, modelWords } from "./words.ts";

export function App() {
  const polled = usePolled<Status>("status");
  const status = polled.value;
  const study = useOnce<Study>("studies", status?.studies ?? false);
  const title = status === null ? "Console" : titleOf(status);
  useEffect(() => {
    document.title = `${title}: mpcformer`;
  }, [title]);
  const old = useStale(polled.at) || polled.failure !== "";
  return (
    <>
      <header>
        <h1>{title}</h1>
        <State polled={polled} old={old} />
      </header>
      <main class={old ? "old" : undefined}>{status !== null && <Parts status={status} study={study} />}</main>
    </>
  );
}

function titleOf(status: Status): string {
  if (status.role === "server") return `Server: ${status.model.name}`;
  return status.role === "dealer" ? "Dealer" : "Helper";
}

function Parts({ status, study }: { readonly status: Status; readonly study: Study | null }) {
  const model = status.role === "server" ? status.model : null;
  return (
    <>
      <Section title="Health">
        <Tiles status={status} />
        <Load status={status} />
      </Section>
      {status.role === "server" && <ServerParts status={status} />}
      <Phases phases={status.phases} now={status.now} />
      {study !== null && <Studies study={study} model={model} />}
    </>
  );
}

function ServerParts({ status }: { readonly status: Extract<Status, { role: "server" }> }) {
  return (
    <>
      <div class="pair">
        <Section title="Model served">
          <dl class="words">
            {modelWords(status.model).map(([term, words]) => (
              <div key={term}>
                <dt>{term}</dt>
                <dd>{words}</dd>
              </div>
            ))}
          </dl>
        </Section>
        <Stock store={status.store} compiled={status.compiled} />
      </div>
      <Costs compiled={status.compiled} />
    </>
  );
}

/** Whether the service answers, and how old what is shown is. */
function State({ polled, old }: { readonly polled: Polled<Status>; readonly old: boolean }) {
  const { value, at, failure } = polled;
  const shown = value === null ? "" : ` What is shown is of ${clock(at)}.`;
  if (failure !== "") return <Badge tone="bad" text={`Not live: ${failure}.${shown}`} />;
  if (value === null) return <Badge tone="quiet" text="Asking the service." />;
  if (old) return <Badge tone="bad" text={`No news.${shown}`} />;
  if (!value.ready) return <Badge tone="bad" text="Live, not ready." />;
  return <Badge tone="good" text="Live and ready." />;
}

/** Screen readers hear it when it changes. */
function Badge({ tone, text }: { readonly tone: "good" | "bad" | "quiet"; readonly text: string }) {
  return (
    <p class={`badge ${tone}`} role="status">
      {text}
    </p>
  );
}

const STALE_MS = 8000;

/** Whether nothing came for longer than a few tries. */
function useStale(at: number): boolean {
  const [stale, setStale] = useState(false);
  useEffect(() => {
    setStale(false);
    const timer = window.setTimeout(() => setStale(at > 0), STALE_MS);
    return () => window.clearTimeout(timer);
  }, [at]);
  return stale;
}
