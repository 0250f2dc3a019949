/** Options with a value that is checked where it is read: what is wrong with one ends the command before it begins. */
import { Option } from "commander";
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
