/** What every door owes to every input: a valid value, or one line from this package, soon and within its memory. */

export interface Verdict {
  readonly outcome: "taken" | "refused";
  /** Of processor time: what other programs of the machine take does not count. */
  readonly ms: number;
}

/** A way in for what others send. */
export interface Door<T> {
  readonly name: string;
  /** Valid inputs. */
  readonly bases: readonly T[];
  /** The input with changes, made of four numbers each (edits.ts). */
  edited(base: T, edits: readonly (readonly [number, number, number, number])[]): T;
  /** Enters, and checks that what comes out is valid. @throws what the door throws, or a Finding. */
  enter(input: T): Promise<void>;
  /** An input of the corpus. */
  parse(bytes: Uint8Array): T;
}

/** A door broke its promise. */
export class Finding extends Error {
  override readonly name = "Finding";
}

const LIMIT_MS = 100;
const LIMIT_KB = 64 * 1024;
/** Errors made on purpose; a TypeError or RangeError is an accident. */
const OWN = new Set(["Error", "ChannelError", "PartyError", "PlanError", "UsageError", "Failure"]);
/** What is wrong, a colon, and what to do. */
const ONE_LINE = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,500}: [^\p{Cc}\p{Zl}\p{Zp}]{1,500}$/u;

/**
 * Enters with this input.
 * @throws Finding when the door breaks its promise; a slow input is tried again, as memory may have been collected meanwhile.
 */
export async function judge<T>(door: Door<T>, input: T): Promise<Verdict> {
  const memory = process.resourceUsage().maxRSS;
  let verdict = await timed(door, input);
  for (let again = 0; verdict.ms > LIMIT_MS && again < 3; again++) verdict = await timed(door, input);
  if (verdict.ms > LIMIT_MS) throw new Finding(`took ${verdict.ms.toFixed(0)} ms`);
  const grown = process.resourceUsage().maxRSS - memory;
  if (grown > LIMIT_KB) throw new Finding(`took ${grown} kB of memory`);
  if (Object.keys(Object.prototype).length > 0) throw new Finding("changed Object.prototype");
  return verdict;
}

async function timed<T>(door: Door<T>, input: T): Promise<Verdict> {
  const start = process.cpuUsage();
  try {
    await door.enter(input);
    return { outcome: "taken", ms: since(start) };
  } catch (error) {
    const ms = since(start);
    if (error instanceof Finding) throw error;
    if (!isOwn(error)) {
      throw new Finding(`threw ${String(error).slice(0, 300)}`, { cause: error });
    }
    return { outcome: "refused", ms };
  }
}

/** Milliseconds that this process has computed. */
function since(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function isOwn(error: unknown): boolean {
  return error instanceof Error && OWN.has(error.name) && !("code" in error) && ONE_LINE.test(error.message);
}
