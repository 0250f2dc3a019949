/** Where `--store` keeps prepared material: a folder, or redis://host:port/db. */
import { FileStore } from "../parties/file-store.ts";
import { RedisStore } from "../parties/redis-store.ts";
import type { MaterialStore } from "../parties/store.ts";
import { checkPlaintext } from "./network.ts";
import { UsageError } from "./terminal.ts";

interface StoreOptions {
  readonly store?: string;
  readonly plaintext?: boolean;
  readonly deadline: string;
}

/** @throws UsageError for an address that is none, or a network that others can read. */
export async function openStore(options: StoreOptions): Promise<MaterialStore | undefined> {
  const { store } = options;
  if (store === undefined) return undefined;
  if (!/^rediss?:/.test(store)) return new FileStore(store);
  const url = URL.canParse(store) ? new URL(store) : null;
  if (url === null || url.hostname === "" || !/^(\/\d{0,3})?$/.test(url.pathname))
    throw new UsageError("--store takes a folder, or redis://host:port/db");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (url.protocol === "redis:") checkPlaintext({ host, port: Number(url.port || 6379) }, options);
  return RedisStore.open(store, { password: process.env.MPCFORMER_REDIS_PASSWORD });
}
