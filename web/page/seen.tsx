/** Side by side: what you, the server and the dealer see of one question, with bytes as they crossed the wire. */
import { type ComponentChildren, Fragment } from "preact";
import type { Seen as Given, SeenFlight } from "./messages.ts";
import { bytesOf, countOf, hexOf, shortKey } from "./words.ts";

/** Rows of the wire that are shown. */
const MOST_FLIGHTS = 8;
const SHOWN_BYTES = 12;

/** One question as the parties saw it. */
export interface Asked {
  readonly seen: Given;
  /** What came of it, in a line. */
  readonly answer: string;
  /** What is told of the text's length, and of the answer's. */
  readonly lengths: string;
  readonly flights: number;
  readonly at: Date;
}

export function Seen({ asked, own }: { asked: Asked | null; own: string | null }) {
  return (
    <section id="seen" aria-labelledby="seen-title">
      <h2 id="seen-title">Who sees what</h2>
      <div class="parties">
        <You asked={asked} />
        <Server asked={asked} own={own} />
        {asked?.seen.helper ? <Helper given={asked.seen.helper} /> : <Dealer asked={asked} />}
      </div>
      <p class="quiet">
        This holds while server and dealer follow the protocol and do not pool what they know. Lengths and times are
        visible to whoever watches the network.
      </p>
    </section>
  );
}

function Column({ name, means, children }: { name: string; means: string; children: ComponentChildren }) {
  return (
    <article class="party">
      <h3>{name}</h3>
      <p>{means}</p>
      {children}
    </article>
  );
}

function You({ asked }: { asked: Asked | null }) {
  return (
    <Column
      name="You see"
      means="The text, in the pieces that the model knows, and the answer. They stay in this browser."
    >
      {asked !== null && (
        <>
          <ul class="tokens">
            {asked.seen.tokens.map((token, i) => (
              <li key={i}>{shown(token)}</li>
            ))}
          </ul>
          <p class="made">{asked.answer}</p>
        </>
      )}
    </Column>
  );
}

/** Byte-level vocabularies write a space and the end of a line with letters of their own. */
function shown(token: string): string {
  return token.replaceAll("Ġ", " ").replaceAll("Ċ", "↵").replaceAll("▁", " ");
}

function Server({ asked, own }: { asked: Asked | null; own: string | null }) {
  return (
    <Column
      name="The server sees"
      means="Numbers under masks that only this browser knows, which tell nothing about the text; and when, from which key, and how long it is at most."
    >
      {asked !== null && (
        <>
          <dl class="facts">
            <dt>When</dt>
            <dd>{asked.at.toLocaleTimeString("en-GB")}</dd>
            <dt>Texts</dt>
            <dd>{asked.lengths}</dd>
            <dt>From key</dt>
            <dd>
              <code>{own === null ? "–" : shortKey(own)}</code>
            </dd>
          </dl>
          {asked.seen.helper === null ? (
            <Wire flights={asked.seen.flights} all={asked.flights} />
          ) : (
            <p>The seed of the covers, from this browser, and masked numbers from the helper.</p>
          )}
        </>
      )}
    </Column>
  );
}

function Wire({ flights, all }: { flights: readonly SeenFlight[]; all: number }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that the keyboard must reach it
    <section class="wire" aria-label="Bytes of the wire" tabIndex={0}>
      <table>
        <caption>The first of {countOf(all, "flight")}, and their first bytes</caption>
        <tbody>
          {flights.slice(0, MOST_FLIGHTS).map(({ flight, from, bytes, head }) => (
            <tr key={`${flight}${from}`}>
              <th scope="row">
                {flight} {from === "client" ? "from you" : "to you"}, {bytesOf(bytes)}
              </th>
              <td>
                <code>{hexOf(head.subarray(0, SHOWN_BYTES))}…</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Helper({ given: { bytes, head } }: { given: NonNullable<Given["helper"]> }) {
  return (
    <Column
      name="The helper sees"
      means="Your text under covers that the server alone can take off, and an answer under one that only this browser can. It computed with the server; what the dealer sees is the same as ever."
    >
      <p>
        {bytesOf(bytes)}, of which the first are <code>{hexOf(head.subarray(0, SHOWN_BYTES))}…</code>
      </p>
    </Column>
  );
}

function Dealer({ asked }: { asked: Asked | null }) {
  const told = asked?.seen.dealer[0];
  return (
    <Column
      name="The dealer sees"
      means="What it needs to make randomness, before there is a text. Nothing that it is told depends on the text."
    >
      {told !== undefined && (
        <dl class="facts told">
          {Object.entries(told).map(([name, value]) => (
            <Fragment key={name}>
              <dt>{NAMES[name] ?? name}</dt>
              <dd>
                <code>{value}</code>
              </dd>
            </Fragment>
          ))}
          <dt>Seed</dt>
          <dd>hidden here: with it the masks could be made again</dd>
        </dl>
      )}
    </Column>
  );
}

const NAMES: Readonly<Record<string, string>> = {
  version: "Version",
  model: "Model",
  program: "Program",
  clientNonce: "Your nonce",
  serverNonce: "Server's nonce",
  client: "Your key",
  server: "Server's key",
  dealer: "Dealer's key",
};
