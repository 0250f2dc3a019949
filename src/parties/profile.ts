/** A service profile: one file that says all that a client must know of a service. Its operators hand it out; it holds no secret. */
import * as v from "valibot";
import { described } from "./arguments.ts";
import { addressFields, type PartyAddress, type PROFILE_VERSION, type Scheme, type ServerAddress } from "./connect.ts";
import { PartyError } from "./messages.ts";

/** What `connect` takes as it stands, once a server is in it. */
export interface ServiceProfile {
  /** The version of this form: one look tells what the file is. */
  readonly mpcformer: typeof PROFILE_VERSION;
  /** Absent from a dealer's own profile, to which a server adds itself. */
  readonly server?: ServerAddress;
  readonly dealer: PartyAddress;
  /** The padded lengths that the server takes; those that every server takes unless given. */
  readonly lengths?: readonly number[];
}

/** Every address that some kind of client takes. */
const SCHEMES: readonly Scheme[] = ["tcp:", "ws:", "wss:"];

const { server, ...fields } = addressFields(SCHEMES);
const profile = v.strictObject({ ...fields, server: v.optional(server) });

/**
 * The profile that a file's text holds. `name` is what messages call it.
 * @throws PartyError of one line that says what is wrong with it.
 */
export function readProfile(text: string, name: string): ServiceProfile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new PartyError(`${name} is no service profile: it is not JSON (serve --profile writes one)`, { cause });
  }
  const result = v.safeParse(profile, parsed);
  if (!result.success) throw new PartyError(`${name} is no service profile: ${described(result.issues[0], "it")}`);
  const { output } = result;
  if (output.server !== undefined && (output.server.key === undefined) !== (output.dealer.key === undefined))
    throw new PartyError(`${name} is no service profile: it names one party's key and not the other's`);
  return output;
}

/** As files have it: one field a line, where people look at it. */
export function writtenProfile(written: ServiceProfile): string {
  return `${JSON.stringify(written, null, 2)}\n`;
}
