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
  entities: [
    "Ada Lovelace met Charles Babbage in London",
    "the United Nations have their seat in New York",
    "Maria flew from Berlin to Lisbon with Portugal's airline",
  ],
  chat: ["What is the capital of France?", "Why is the sky blue?", "Tell me a very short story"],
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
  /** Of a conversation: examples of a beginning are in the way. */
  readonly begun?: boolean;
  /** Settings, above the buttons. */
  readonly settings?: ComponentChildren;
  /** Further buttons. */
  readonly children?: ComponentChildren;
}

const WORDS = {
  judged: ["text", "Your text", "Ask"],
  text: ["prompt", "The beginning of your text", "Continue"],
  chat: ["message", "Your message", "Send"],
} as const;

function wordsOf(kind: OpenedModel["kind"]) {
  return WORDS[kind === "text" || kind === "chat" ? kind : "judged"];
}

/** Of the field where a text is typed. */
export function idOf(kind: OpenedModel["kind"]): string {
  return wordsOf(kind)[0];
}

export function Question({ kind, text, setText, busy, ask, returned, begun, settings, children }: Given) {
  const [id, label, send] = wordsOf(kind);
  const chats = kind === "chat";
  const onKeyDown = (event: KeyboardEvent) => {
    // Not the Enter that ends a word of a language with many letters.
    const sends = event.ctrlKey || event.metaKey || (chats && !event.shiftKey && !event.isComposing);
    if (event.key !== "Enter" || !sends) return;
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
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={chats ? 2 : 4}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onFocus={returned}
      />
      {!begun && <Examples of={EXAMPLES[kind]} take={setText} />}
      {settings}
      <div class="actions">
        {/* Not disabled: whoever has it focused would lose their place. */}
        <button
          id="ask"
          type="submit"
          class="main"
          aria-disabled={busy}
          aria-keyshortcuts={chats ? "Enter" : "Control+Enter Meta+Enter"}
        >
          {send}
        </button>
        {children}
        <span class="quiet keyboard">
          {chats ? "Enter sends, Shift + Enter begins a line" : "Ctrl + Enter does the same"}
        </span>
      </div>
    </form>
  );
}

function Examples({ of, take }: { of: readonly string[]; take(text: string): void }) {
  return (
    <fieldset class="examples">
      <legend>Or take an example</legend>
      {of.map((example) => (
        <button key={example} type="button" onClick={() => take(example)}>
          {example}
        </button>
      ))}
    </fieldset>
  );
}
