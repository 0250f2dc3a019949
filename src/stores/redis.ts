/** Talking to Redis: what the store of material and the dealers' meeting place have in common. */

/** Sends one command; bulk replies are buffers. */
export type Send = (...args: readonly (string | Buffer)[]) => Promise<unknown>;

export interface RedisOptions {
  /** Instead of one in the address, which other users of the machine may see. */
  readonly password?: string;
}

export interface Redis {
  readonly send: Send;
  end(): Promise<void>;
}

const CONNECT_MS = 10_000;

/** What a setting is; "unknown" where it cannot be asked for, so that a demand is not met. */
export async function settingOf(send: Send, setting: string): Promise<string> {
  const found = await send("CONFIG", "GET", setting).catch(() => null);
  return Array.isArray(found) && found.length === 2 ? String(found[1]) : "unknown";
}

/**
 * Connects to redis://host:port/db (rediss: over TLS). @throws Error of one line when nobody answers there, and when the optional
 * package is not installed. It is loaded here alone: whoever keeps to files needs none of it.
 */
export async function connectRedis(url: string, { password }: RedisOptions): Promise<Redis> {
  const { createClient, RESP_TYPES } = await import("@redis/client").catch(() => {
    throw new Error("Redis needs a package that is not installed: npm install @redis/client@6.3.1");
  });
  let ready = false;
  const client = createClient({ ...settingsOf(url, password), socket: socketOf(() => ready) });
  // Each command's own promise tells; without a listener the process would end.
  client.on("error", () => {});
  try {
    await client.connect();
    // Without a password that is asked for, connecting succeeds.
    await client.ping();
  } catch (error) {
    client.destroy();
    throw new Error(`Redis cannot be used at ${new URL(url).host}: ${reasonOf(error)}`, { cause: error });
  }
  ready = true;
  const raw = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  return { send: (...args) => raw.sendCommand(args), end: async () => void client.destroy() };
}

function settingsOf(url: string, password: string | undefined) {
  return {
    url,
    ...(password === undefined ? {} : { password }),
    RESP: 2 as const,
    // A command that was sent and not answered is not sent again, nor kept until Redis is back: its sender learns of it.
    disableOfflineQueue: true,
    pingInterval: CONNECT_MS,
  };
}

/** Fails at once where nobody answers; comes back, later and later, where somebody did. */
function socketOf(ready: () => boolean) {
  return {
    connectTimeout: CONNECT_MS,
    socketTimeout: 3 * CONNECT_MS,
    reconnectStrategy: (retries: number): number | false => ready() && Math.min(50 * 2 ** retries, 2000),
  };
}

/** Of an AggregateError, which has no message, its first. */
function reasonOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error ? first.message.split("\n")[0] : "no answer";
}
