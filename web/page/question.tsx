/** Where a text is typed: one field for a text to judge and for one to continue, so that nothing typed is lost between them. */
import type { ComponentChildren } from "preact";
import type { OpenedModel } from "./messages.ts";

const EXAMPLES = {
  labels: [
    "a gripping, funny and beautifully acted film",
    "the plot makes no sense and the jokes fall flat",
    "it is a charming and often affecting journey",
  ],
  value: ["a gripping, funny and beautifully acted film", "my card was charged twice, and nobody answers the phone"],
  text: ["Once upon a time, there was a little", "One day, Tom and his dog went to the", "Lily had a red ball. She"],
};

interface Given {
  readonly kind: OpenedModel["kind"];
  readonly text: string;
  setText(text: string): void;
  readonly busy: boolean;
  ask(): void;
  /** The person has come back to the field. */
  returned(): void;
  /** Settings, above the buttons. */
  readonly settings?: ComponentChildren;
  /** Further buttons. */
  readonly children?: ComponentChildren;
}

export function Question({ kind, text, setText, busy, ask, returned, settings, children }: Given) {
  const continues = kind === "text";
  const id = continues ? "prompt" : "text";
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    ask();
  };
  return (
    <form
      class="question"
      onSubmit={(event) => {
        event.preventDefault();
        ask();
      }}
    >
      <label for={id}>{continues ? "The beginning of your text" : "Your text"}</label>
      <textarea
        id={id}
        rows={4}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onFocus={returned}
      />
      <fieldset class="examples">
        <legend>Or take an example</legend>
        {EXAMPLES[kind].map((example) => (
          <button key={example} type="button" onClick={() => setText(example)}>
            {example}
          </button>
        ))}
      </fieldset>
      {settings}
      <div class="actions">
        {/* Not disabled: whoever has it focused would lose their place. */}
        <button id="ask" type="submit" class="main" aria-disabled={busy} aria-keyshortcuts="Control+Enter Meta+Enter">
          {continues ? "Continue" : "Ask"}
        </button>
        {children}
        <span class="quiet keyboard">Ctrl + Enter does the same</span>
      </div>
    </form>
  );
}
