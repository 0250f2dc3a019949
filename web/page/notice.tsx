/** What went wrong, in one line, and the way on. */
import type { ComponentChildren } from "preact";

export function Notice({
  error,
  again,
  children,
}: {
  error: string | null;
  again?: () => void;
  children?: ComponentChildren;
}) {
  return (
    <div id="alert" role="alert" class={error === null ? "alert empty" : "alert"}>
      {error !== null && (
        <>
          <p>{sentence(error)}</p>
          {children}
          {again && (
            <button type="button" onClick={again}>
              Try again
            </button>
          )}
        </>
      )}
    </div>
  );
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}
