/** The gateway's own client: connected when it is needed, one run at a time; who asks much waits for those who ask little. */
import { FairQueue } from "../admission/fair-queue.ts";
import { ChannelError } from "../channels/channel.ts";
import { notBegun } from "../parties/abort.ts";
import type { Client } from "../parties/client.ts";
import { ApiError } from "./errors.ts";

/** Requests that may wait behind the one that runs: of all, and of one key. */
const MOST_WAITING = { all: 32, each: 16 };

/** A request's place among the others. */
export interface Turn {
  /** Whose it is: the accounts take turns. */
  readonly account: string;
  readonly signal: AbortSignal;
  /** Whether nothing has come of the work yet. */
  readonly isUntouched: () => boolean;
}

export class Upstream {
  private readonly connect: (model?: string) => Promise<Client>;
  private current: Promise<Client> | null = null;
  /** The id of the model that was served first: another one at the same address is refused. */
  private model: string | undefined;
  private busy = false;
  private readonly queue = new FairQueue<() => void>();

  /** `connect`: to the model of that id, or to whichever is served. */
  constructor(connect: (model?: string) => Promise<Client>) {
    this.connect = connect;
  }

  /** A client that is connected. @throws ChannelError, PartyError */
  async client(): Promise<Client> {
    for (;;) {
      this.current ??= this.connect(this.model);
      const tried = this.current;
      const client = await tried.catch((error: unknown) => {
        this.forget(tried);
        throw error;
      });
      this.model ??= client.model.id;
      if (!client.closed) return client;
      this.forget(tried);
    }
  }

  /**
   * Work at the client, in its turn. Once more with a new connection where the one before was found to be gone and nothing has
   * come of the work: a server lets go who is idle, and that is found out by the next run alone.
   * @throws ApiError where too many wait, AbortError of who went away meanwhile
   */
  async use<T>(turn: Turn, work: (client: Client) => Promise<T>): Promise<T> {
    await this.turn(turn);
    try {
      const known = this.current;
      const client = await this.client();
      try {
        return await work(client);
      } catch (error) {
        const isGone = error instanceof ChannelError && !error.peersWords && client.closed;
        if (known === null || !isGone || !turn.isUntouched()) throw error;
        return await work(await this.client());
      }
    } finally {
      const next = this.queue.next();
      if (next === undefined) this.busy = false;
      else next();
    }
  }

  async close(): Promise<void> {
    const client = await this.current?.catch(() => null);
    await client?.close();
  }

  /** Waits until nobody else works. */
  private async turn({ account, signal }: Turn): Promise<void> {
    if (signal.aborted) throw notBegun(signal);
    if (!this.busy) {
      this.busy = true;
      return;
    }
    if (this.queue.size >= MOST_WAITING.all || this.queue.sizeOf(account) >= MOST_WAITING.each)
      throw new ApiError("too many requests wait here: try again in a moment", {
        status: 429,
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
      });
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.queue.drop((one) => one === place);
        reject(notBegun(signal));
      };
      const place = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      signal.addEventListener("abort", leave, { once: true });
      this.queue.push(account, place);
    });
  }

  private forget(tried: Promise<Client>): void {
    if (this.current === tried) this.current = null;
  }
}
