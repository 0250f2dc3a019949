/** Calls that are given up by whoever asked, with the language's own AbortSignal. */

/** A call was given up by its `signal`; `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name: string = "AbortError";
}

/** Of a call that has not begun: nothing of it was sent. */
export function notBegun(signal: AbortSignal): AbortError {
  return new AbortError("aborted before it began: nothing of it was sent", { cause: signal.reason });
}

/** Of a call at work: its material is used up, and the peers are at different places. */
export function brokenOff(signal: AbortSignal): AbortError {
  return new AbortError("aborted while it ran: its material is burnt and its connection has ended, connect again", {
    cause: signal.reason,
  });
}

/** Settles as `work` does, or is rejected with `abort`'s error as soon as the signal says so; `abort` also ends the work. */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  abort: (signal: AbortSignal) => Error,
): Promise<T> {
  if (signal === undefined) return work;
  let listener = () => {};
  const aborted = new Promise<never>((_, reject) => {
    listener = () => reject(abort(signal));
    if (signal.aborted) listener();
    else signal.addEventListener("abort", listener, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", listener);
  }
}
