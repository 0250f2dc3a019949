/** Where `--store` keeps prepared material: a folder, or redis://host:port/db; and where `--meet` brings dealers together. */

import { Meeting } from "../parties/meeting.ts";
import { FileStore } from "../stores/file-store.ts";
import { RedisStore } from "../stores/redis-store.ts";
import type { MaterialStore } from "../stores/store.ts";
import { UsageError } from "./failure.ts";
import { checkPlaintext, deadlineMs } from "./network.ts";
import type { NetworkOptions, StoreOptions } from "./options.ts";

/** At a server, unless told. At a client one less: it is not to ask for what the server has burnt. */
const KEEP_DAYS = { server: 30, client: 29 };

/**
 * Opens it, and burns what an earlier process had claimed or half written when it ended, before anyone asks.
 * @throws UsageError for an address that is none, or a network that others can read.
 */
export async function openStore(
  options: StoreOptions & Pick<NetworkOptions, "plaintext" | "deadline">,
  side: keyof typeof KEEP_DAYS,
): Promise<MaterialStore | undefined> {
  const { store, keepDays } = options;
  if (store === undefined) return undefined;
  const days = keepDays ?? KEEP_DAYS[side];
  const keepMs = days * 86_400_000;
  if (!/^rediss?:/.test(store)) {
    const files = new FileStore(store, { keepMs });
    await files.burnLeftovers();
    return files;
  }
  checkRedis(store, options, "--store takes a folder, or redis://host:port/db");
  return RedisStore.open(store, { password: password(), keepMs });
}

/** Where the processes of one dealer bring the sides of a session together. @throws UsageError as `openStore`. */
export async function openMeeting(options: NetworkOptions & { readonly meet?: string }): Promise<Meeting | undefined> {
  const { meet } = options;
  if (meet === undefined) return undefined;
  checkRedis(meet, options, "--meet takes redis://host:port/db");
  return Meeting.open(meet, { password: password() }, deadlineMs(options));
}

/** Not in the address, which other users of a machine see among its processes. */
function password(): string | undefined {
  return process.env.MPCFORMER_REDIS_PASSWORD;
}

function checkRedis(text: string, options: Pick<NetworkOptions, "plaintext" | "deadline">, usage: string): void {
  const url = /^rediss?:/.test(text) && URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.hostname === "" || !/^(\/\d{0,3})?$/.test(url.pathname)) throw new UsageError(usage);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  // The parties' keys protect their own channels, not this one.
  const { plaintext, deadline } = options;
  if (url.protocol === "redis:") checkPlaintext({ host, port: Number(url.port || 6379) }, { plaintext, deadline });
}
