/** What went wrong, in one line, and the way on. */
import { useEffect, useRef } from "preact/hooks";

/** Stands next to what was asked, and is brought into view on small screens. */
export function Notice({ error, again }: { error: string | null; again: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (error !== null) place.current?.scrollIntoView({ block: "nearest" });
  }, [error]);
  return (
    <div ref={place} id="alert" role="alert" class={error === null ? "alert empty" : "alert"}>
      {error !== null && (
        <>
          <p>{sentence(error)}</p>
          <button type="button" onClick={again}>
            Try again
          </button>
        </>
      )}
    </div>
  );
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}
