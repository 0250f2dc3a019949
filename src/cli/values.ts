/** Options with a value that is checked where it is read: what is wrong with one ends the command before it begins. */
import { InvalidArgumentError, Option } from "commander";
import { MOST_VERIFY, type Verify } from "../protocols/verify/sampling.ts";
import { parseAddress } from "./address.ts";
import { UsageError } from "./failure.ts";

/** An option that takes a whole number. Its parser throws a UsageError that names it and its bounds. */
export function whole(flags: string, description: string, least = 1, most = Number.MAX_SAFE_INTEGER): Option {
  const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  return checked(flags, description, `a whole number ${bounds}`, least, most, Number.isInteger);
}

/** An option that takes a number. Its parser throws a UsageError that names it and its bounds. */
export function decimal(flags: string, description: string, least: number, most: number, what = "a number"): Option {
  return checked(flags, description, `${what} from ${least} to ${most}`, least, most, Number.isFinite);
}

/** An option that takes whole numbers, separated by commas. Its parser throws a UsageError that names it and its bounds. */
export function wholes(flags: string, description: string, least: number, most: number): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string) => {
    const numbers = text.split(",").map(Number);
    if (numbers.every((n) => Number.isInteger(n) && n >= least && n <= most)) return numbers;
    throw new UsageError(`${option.long} takes whole numbers from ${least} to ${most}, separated by commas`);
  });
}

/** An option that takes host:port, which stays as it is written. Its parser throws a UsageError. */
export function address(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    parseAddress(text);
    return text;
  });
}

function checked(
  flags: string,
  description: string,
  takes: string,
  least: number,
  most: number,
  fits: (n: number) => boolean,
): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string) => {
    const n = Number(text);
    if (text.trim() !== "" && fits(n) && n >= least && n <= most) return n;
    throw new UsageError(`${option.long} takes ${takes}`);
  });
}

/** The option that says which part of a client's openings is checked. */
export function verified(what: string, unlessTold: Verify): Option {
  const text = `${what}: all, one opening in N at random, or none (default: ${unlessTold === 0 ? "none" : unlessTold})`;
  return new Option("--verify <part>", text).argParser(verifyOf);
}

/** @throws InvalidArgumentError for what is neither a word nor a number of openings. */
function verifyOf(text: string): Verify {
  if (text === "all") return 1;
  if (text === "none") return 0;
  const number = Number(text);
  if (/^[0-9]+$/.test(text) && number >= 1 && number <= MOST_VERIFY) return number;
  throw new InvalidArgumentError(`give all, none, or a number from 1 to ${MOST_VERIFY}`);
}
