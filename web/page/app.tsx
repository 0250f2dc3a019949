import { useEffect, useState } from "preact/hooks";
import { WorkerClient } from "./client.ts";
import type { Classified, Happening, OpenedModel, Parties } from "./messages.ts";

const worker = new WorkerClient();

export function App({ parties }: { parties: Parties | null }) {
  const [model, setModel] = useState<OpenedModel | null>(null);
  const [error, setError] = useState("");
  const [text, setText] = useState("");
  const [progress, setProgress] = useState<Happening | null>(null);
  const [result, setResult] = useState<Classified | null>(null);
  const failed = (e: Error) => setError(e.message);
  useEffect(() => {
    if (parties === null) return setError("this page was built without parties");
    worker
      .call("open", { parties })
      .then((opened) => {
        setModel(opened);
        return worker.call("warm", {}, setProgress);
      })
      .then(() => {}, failed);
  }, []);
  const ask = () => worker.call("classify", { text }, setProgress).then(setResult, failed);
  return (
    <main>
      <h1>Ask privately</h1>
      <p role="alert">{error}</p>
      <p>{model?.described}</p>
      <label>
        Your text <textarea value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </label>
      <button type="button" onClick={ask}>
        Ask
      </button>
      <p>
        {progress?.what === "progress" ? `${progress.phase} ${progress.layer} ${progress.done}/${progress.total}` : ""}
      </p>
      <output>
        {result === null
          ? ""
          : `${result.answer.label} ${JSON.stringify(result.answer.scores)} ${JSON.stringify(result.answer.seconds)}`}
      </output>
    </main>
  );
}
