/** An answer: label and scores, a value, or the label alone; and what it took. */
import { Fragment } from "preact";
import type { Answer as Given } from "../../src/parties/answer.ts";
import type { Run } from "../../src/parties/run.ts";
import { Entities } from "./entities.tsx";
import type { OpenedModel } from "./messages.ts";
import { bytesOf, entitiesIn, percentOf, secondsOf } from "./words.ts";

type Read = Pick<Given, "label" | "index" | "scores" | "value" | "entities">;

/** Labels that are shown one by one; of more, those with the highest scores. */
const MOST_LABELS = 8;

interface Shown {
  readonly model: OpenedModel | null;
  readonly answer: Read | null;
  /** What was asked about. */
  readonly text: string;
}

export function Answer({ model, answer, text }: Shown) {
  return (
    <section id="answer" aria-labelledby="answer-title" class={answer === null ? "answer none" : "answer"}>
      <h2 id="answer-title">Answer</h2>
      {model?.kind === "entities" ? (
        <Entities labels={model.labels} text={text} entities={answer?.entities ?? null} />
      ) : model?.kind === "value" ? (
        <Value answer={answer} />
      ) : (
        <Label model={model} answer={answer} />
      )}
    </section>
  );
}

/** In words, for screen readers. */
export function spoken({ label, index, scores, value, entities }: Read): string {
  if (value !== undefined) return `Answer: ${value.toFixed(2)}`;
  if (entities !== undefined) return `Answer: ${entitiesIn(entities)}`;
  return `Answer: ${label}${scores === undefined ? "" : `, ${percentOf(scores[index!])}`}`;
}

function Value({ answer }: { answer: Read | null }) {
  return <p class="verdict">{answer === null ? "–" : answer.value!.toFixed(3)}</p>;
}

function Label({ model, answer }: { model: OpenedModel | null; answer: Read | null }) {
  return (
    <>
      <p class="verdict">{answer?.label ?? "–"}</p>
      {model?.scores === false ? (
        <p class="quiet">This server tells the label alone, so that there are no scores.</p>
      ) : (
        <Scores labels={model?.labels ?? ["–", "–"]} answer={answer} />
      )}
    </>
  );
}

function Scores({ labels, answer }: { labels: readonly string[]; answer: Read | null }) {
  const scores = answer?.scores;
  const order = [...labels.keys()];
  if (labels.length > MOST_LABELS && scores !== undefined) order.sort((a, b) => scores[b] - scores[a]);
  return (
    <table class="scores">
      <caption class="unseen">Scores of the labels</caption>
      <tbody>
        {order.slice(0, MOST_LABELS).map((i) => (
          <tr key={i} class={i === answer?.index ? "first" : ""}>
            <th scope="row">{labels[i]}</th>
            <td class="bar" aria-hidden="true">
              <span style={{ inlineSize: percentOf(scores?.[i] ?? 0) }} />
            </td>
            <td class="number">{scores === undefined ? "–" : percentOf(scores[i])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What one run took; `ahead`: its material was ready before the question. */
export function Costs({
  run,
  ahead,
  more = [],
}: {
  run: Run | null;
  ahead: boolean;
  more?: readonly [string, string][];
}) {
  const costs: readonly (readonly [string, string])[] = [
    ["Computing", run === null ? "–" : secondsOf(run.seconds.online)],
    ["Preparing", run === null ? "–" : ahead ? "done before you asked" : secondsOf(run.seconds.offline)],
    ["Sent", run === null ? "–" : bytesOf(run.bytes.online.client_to_server + run.bytes.offline.client_to_server)],
    ["Received", run === null ? "–" : bytesOf(run.bytes.online.server_to_client + run.bytes.offline.server_to_client)],
    ["Flights", run === null ? "–" : String(run.flights)],
    ...more,
  ];
  return <Figures of={costs} />;
}

/** Names and their values, below each other; `flat`: side by side. */
export function Figures({ of, flat }: { of: readonly (readonly [string, string])[]; flat?: boolean }) {
  if (flat) {
    return (
      <dl class="costs row">
        {of.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    );
  }
  return (
    <dl class="costs">
      {of.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}
