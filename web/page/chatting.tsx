/** A conversation: messages and replies, word by word as they come. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Figures } from "./answer.tsx";
import { ChoiceOfTokens } from "./choice.tsx";
import { onceAFrame, type Progress, useWork, type Work } from "./hooks.ts";
import type { Given } from "./judging.tsx";
import type { Replied } from "./messages.ts";
import { Notice } from "./notice.tsx";
import { Question } from "./question.tsx";
import { Strip } from "./strip.tsx";
import { bytesOf, countOf, secondsOf } from "./words.ts";

/** A message, and what came of it. */
interface Turn {
  readonly message: string;
  readonly reply: string;
  /** Null while the reply comes. */
  readonly result: Replied | null;
}

export function Chatting(given: Given) {
  const { service, model, text, setText, progress } = given;
  const [maxTokens, setMaxTokens] = useState(32);
  const [temperature, setTemperature] = useState(0);
  const [stopping, setStopping] = useState(false);
  const work = useWork();
  const { turns, say, forget } = useTurns(given, progress, work);
  const ask = () => {
    if (text.trim() === "") return;
    setStopping(false);
    say(text, { maxTokens, temperature });
  };
  const stop = () => {
    setStopping(true);
    service.stop();
  };
  const last = turns.at(-1)?.result ?? null;
  // Chosen once: a run's randomness is made for it.
  const settings = turns.length === 0 && (
    <ChoiceOfTokens name="Tokens of a reply, at most" {...{ maxTokens, setMaxTokens, temperature, setTemperature }} />
  );
  // All of a conversation's turns are one run: what is left of it is nobody's waiting time.
  const shown = progress.shown.phase === "online" ? { ...progress.shown, left: null } : progress.shown;
  return (
    <>
      <Turns turns={turns} />
      <Question
        kind="chat"
        {...{ text, setText, ask, settings }}
        busy={work.busy}
        begun={turns.length > 0}
        returned={() => {}}
      >
        <button id="stop" type="button" onClick={stop} aria-disabled={!work.busy || stopping}>
          Stop
        </button>
        {turns.length > 0 && (
          <button id="forget" type="button" onClick={() => !work.busy && forget()} aria-disabled={work.busy}>
            New conversation
          </button>
        )}
      </Question>
      <Notice error={work.error ?? given.trouble} again={work.error === null ? given.warm : work.again} />
      <Strip
        layers={model!.layers}
        shown={shown}
        busy={work.busy}
        idle={given.idle}
        result={last === null ? "" : `The model says: ${last.reply.text}`}
      />
      <Figures of={figuresOf(last)} flat />
    </>
  );
}

function useTurns({ service, answered, setText }: Given, progress: Progress, work: Work) {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const now = useRef<readonly Turn[]>([]);
  const draw = useMemo(() => onceAFrame(() => setTurns(now.current)), []);
  const set = (next: readonly Turn[]) => {
    now.current = next;
    draw();
  };
  const say = (message: string, choice: { readonly maxTokens: number; readonly temperature: number }) =>
    work.run(async () => {
      const [at, before] = [new Date(), now.current];
      const turn = { message, reply: "", result: null };
      set([...before, turn]);
      setText("");
      progress.begin();
      let complete = false;
      try {
        const begins = before.length === 0 ? choice : null;
        const result = await service.ask("say", { message, begins }, (h) => {
          if (h.what === "progress") progress.take(h);
          else if (h.what === "text") set([...before, { ...turn, reply: h.text }]);
        });
        complete = true;
        set([...before, { message, reply: result.reply.text, result }]);
        const { seen, flights, reply } = result;
        answered({ seen, answer: reply.text, flights, at, lengths: lengthsOf(result) });
      } catch (error) {
        // As if it had not been said; what was typed is in its field again.
        set(before);
        setText(message);
        throw error;
      } finally {
        progress.end(complete);
      }
    });
  return { turns, say, forget: () => set([]) };
}

/** What the server sees of the message's length and the reply's. */
function lengthsOf({ length, read, reply }: Replied): string {
  const said = length === null ? countOf(read, "token") : `at most ${countOf(length, "token")}`;
  return `${said} said, ${reply.tokens} answered`;
}

function Turns({ turns }: { turns: readonly Turn[] }) {
  const place = useRef<HTMLOListElement>(null);
  useEffect(() => {
    place.current?.scrollTo({ top: place.current.scrollHeight });
  }, [turns]);
  return (
    <section aria-labelledby="talk-title" class="talk">
      <h2 id="talk-title">Conversation</h2>
      {turns.length === 0 ? (
        <p class="quiet">
          Nothing has been said yet. What you say and what the model answers stays in this browser; between messages the
          parties keep what was said behind masks, so that a message costs its own words alone.
        </p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that the keyboard must reach it
        <ol ref={place} class="turns" aria-labelledby="talk-title" tabIndex={0}>
          {turns.flatMap(({ message, reply, result }, i) => [
            <li key={`${i} said`} class="said mine">
              <span class="who">You</span>
              <p>{message}</p>
            </li>,
            <li key={`${i} heard`} class="said" aria-busy={result === null}>
              <span class="who">Model</span>
              <p>{reply === "" && result === null ? <span class="quiet">…</span> : reply}</p>
            </li>,
          ])}
        </ol>
      )}
    </section>
  );
}

function figuresOf(last: Replied | null): readonly (readonly [string, string])[] {
  const each = last?.secondsEach ?? null;
  return [
    ["New tokens", last === null ? "–" : String(last.reply.tokens)],
    ["Tokens read", last === null ? "–" : String(last.read)],
    ["Reply", last === null ? "–" : secondsOf(last.seconds)],
    ["Each token", each === null ? "–" : secondsOf(each)],
    ["Sent", last === null ? "–" : bytesOf(last.sent)],
    ["Received", last === null ? "–" : bytesOf(last.received)],
    ["Flights", last === null ? "–" : String(last.flights)],
  ];
}
