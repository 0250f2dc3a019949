/** The page: a text is asked about or continued, and it is shown who saw what. */
import type { FunctionComponent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PinnedParties } from "../../src/parties/connect.ts";
import { type Progress, useProgress } from "./hooks.ts";
import { type Given, Judging, type Ready } from "./judging.tsx";
import { Keys } from "./keys.tsx";
import { continues, type OpenedModel } from "./messages.ts";
import { idOf } from "./question.tsx";
import { type Asked, Seen } from "./seen.tsx";
import { Service } from "./service.ts";
import { countOf, plainly } from "./words.ts";

export function App({ parties }: { parties: PinnedParties | null }) {
  return (
    <>
      <header>
        <h1>Ask privately</h1>
        <p>
          Ask a model about a text that nobody else may read. The text stays in this browser: what leaves it are numbers
          under random masks, with which a server computes without being able to read them.
        </p>
      </header>
      <main>{parties === null ? <NoParties /> : <Asking parties={parties} />}</main>
    </>
  );
}

function NoParties() {
  return (
    <div id="alert" role="alert" class="alert">
      <p>
        This page does not know whom to ask: whoever serves it names a server and a dealer (<code>mpcformer web</code>).
      </p>
    </div>
  );
}

/** A model, and what it is asked with. */
interface Served {
  readonly model: OpenedModel;
  readonly View: FunctionComponent<Given>;
}

function Asking({ parties }: { parties: PinnedParties }) {
  const service = useMemo(() => new Service(parties), [parties]);
  const [served, setServed] = useState<Served | null>(null);
  const { model, View } = served ?? { model: null, View: Judging };
  const [text, setText] = useState("");
  const [asked, setAsked] = useState<Asked | null>(null);
  const progress = useProgress(model?.layers ?? 1);
  const ready = useReady(service, progress, setServed);
  const [own, setOwn] = useState<string | null>(null);
  useEffect(() => {
    // Where it cannot be told, opening says why.
    service.key().then(setOwn, () => {});
    ready.warm();
  }, []);
  const given = { service, model, text, setText, progress, ...ready, answered: setAsked };
  return (
    <>
      <p class="quiet model">{model === null ? "Model: not known yet" : describedBy(model)}</p>
      <View {...given} />
      <Seen asked={asked} own={own} />
      <Keys parties={parties} own={own} />
    </>
  );
}

/** Most models judge texts: what shows the others' answers is loaded for them alone. */
async function viewOf({ kind }: OpenedModel): Promise<Served["View"]> {
  if (kind === "chat") return (await import("./chatting.tsx")).Chatting;
  if (kind === "text") return (await import("./continuing.tsx")).Continuing;
  return Judging;
}

function describedBy({ described, kind, labels, limit }: OpenedModel): string {
  const answers = {
    labels: `answers with one of ${countOf(labels.length, "label")}`,
    value: "answers with a value",
    entities: "marks names and the like in a text",
    text: "continues a text",
    chat: "answers in a conversation",
  };
  return `Model: ${described}; ${answers[kind]}; texts of up to ${limit} tokens`;
}

/** Opens, and makes material while nobody waits. */
function useReady(service: Service, progress: Progress, setServed: (served: Served) => void): Ready {
  const [idle, setIdle] = useState("Connecting…");
  const [trouble, setTrouble] = useState<string | null>(null);
  const latest = useRef(progress);
  latest.current = progress;
  const [open, warm] = useMemo(() => {
    const opened = async () => {
      const model = await service.open();
      const View = await viewOf(model);
      const typing = document.activeElement?.id === "text";
      setServed({ model, View });
      setTrouble(null);
      // The field for a beginning takes the place of the other, also under somebody's hands.
      if (typing && continues(model)) requestAnimationFrame(() => document.getElementById(idOf(model.kind))?.focus());
      return model;
    };
    const failed = (error: Error) => {
      setIdle("Not connected");
      setTrouble(plainly(error.message));
    };
    const prepare = (model: OpenedModel) => {
      if (continues(model)) return setIdle("Ready");
      // Nobody has asked yet: a failure is told in passing, and again to whoever asks.
      return prepared(service, latest).then(setIdle, (error: Error) => setIdle(`Not ready: ${plainly(error.message)}`));
    };
    return [opened, () => void opened().then(prepare, failed)];
  }, []);
  return { idle, trouble, open, warm };
}

async function prepared(service: Service, progress: { readonly current: Progress }): Promise<string> {
  let complete = false;
  try {
    await service.ask("warm", {}, (h) => h.what === "progress" && progress.current.take(h));
    complete = true;
  } finally {
    progress.current.end(complete);
  }
  return "Ready: prepared for your next question";
}
