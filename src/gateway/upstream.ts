/** The gateway's own client: connected when it is needed, one run at a time, in the order in which they were asked for. */
import { ChannelError } from "../channels/channel.ts";
import type { Client } from "../parties/client.ts";
import { ApiError } from "./errors.ts";

/** Requests that may wait behind the one that runs. */
const MOST_WAITING = 32;

export class Upstream {
  private readonly connect: (model?: string) => Promise<Client>;
  private current: Promise<Client> | null = null;
  /** The id of the model that was served first: another one at the same address is refused. */
  private model: string | undefined;
  private taken = 0;

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
   * Work at the client, which takes it in turn. Once more with a new connection where the one before was found to be gone and nothing has
   * come of the work: a server lets go who is idle, and that is found out by the next run alone.
   * @throws ApiError where too many wait
   */
  async use<T>(work: (client: Client) => Promise<T>, isUntouched: () => boolean): Promise<T> {
    if (this.taken > MOST_WAITING)
      throw new ApiError("too many requests wait here: try again in a moment", {
        status: 429,
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
      });
    this.taken++;
    try {
      const known = this.current;
      const client = await this.client();
      try {
        return await work(client);
      } catch (error) {
        const isGone = error instanceof ChannelError && !error.peersWords && client.closed;
        if (known === null || !isGone || !isUntouched()) throw error;
        return await work(await this.client());
      }
    } finally {
      this.taken--;
    }
  }

  async close(): Promise<void> {
    const client = await this.current?.catch(() => null);
    await client?.close();
  }

  private forget(tried: Promise<Client>): void {
    if (this.current === tried) this.current = null;
  }
}
