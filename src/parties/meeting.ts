/**
 * Where both sides of a session find each other when several dealer processes serve one address, and client and server reach
 * different ones. The client's side leaves its message; the process with the server's side takes it, deals, and answers.
 *
 *   mpcformer:meet:<session>          the client's message, seed and all, until it is taken
 *   mpcformer:met:<session>           the answer: "" or why not
 *   mpcformer:came:<role>:<session>   seen: a session is dealt once
 *
 * A seed must never reach a disk: a Redis that writes anything down is refused. The servers' store is refused by this as well,
 * which is as it should be: dealer and servers share nothing.
 */

import { connectRedis, type Redis, type RedisOptions, settingOf } from "../stores/redis.ts";
import { PartyError } from "./messages.ts";

/** Nobody waits longer for the other side than a channel for a byte, unless told. */
const PATIENCE_MS = 120_000;
const POLL_MS = 10;
const REMEMBERED_SECONDS = "3600";

const DEMANDED = [
  ["appendonly", "no"],
  ["save", ""],
] as const;

export class Meeting {
  private readonly redis: Redis;
  private readonly patienceMs: number;

  private constructor(redis: Redis, patienceMs: number) {
    this.redis = redis;
    this.patienceMs = patienceMs;
  }

  /** @throws Error of one line when there is no Redis, or one that writes seeds to a disk. */
  static async open(url: string, options: RedisOptions = {}, patienceMs = PATIENCE_MS): Promise<Meeting> {
    const meeting = new Meeting(await connectRedis(url, options), patienceMs);
    try {
      await meeting.demandForgetful();
    } catch (error) {
      await meeting.close();
      throw error;
    }
    return meeting;
  }

  /** The client's side: resolves when the server's side is dealt to. @throws PartyError with its refusal, or when it does not come. */
  async offer(session: string, message: string): Promise<void> {
    await this.come("client", session);
    // Each time: Redis may have been started again with other settings, or have a replica now.
    await this.demandForgetful();
    await this.redis.send("SET", `mpcformer:meet:${session}`, message, "PX", String(this.patienceMs));
    const refusal = await this.next(`mpcformer:met:${session}`);
    if (refusal !== "") throw new PartyError(refusal);
  }

  /** The server's side: the client's message. @throws PartyError when the client does not come. */
  async take(session: string): Promise<string> {
    await this.come("server", session);
    return this.next(`mpcformer:meet:${session}`);
  }

  /** Tells the client's side that its session is dealt, or why not. */
  async answer(session: string, refusal = ""): Promise<void> {
    await this.redis.send("SET", `mpcformer:met:${session}`, refusal, "PX", String(this.patienceMs));
  }

  close(): Promise<void> {
    return this.redis.end();
  }

  /** @throws Error for a Redis that writes to a disk, or that tells another one. */
  private async demandForgetful(): Promise<void> {
    for (const [setting, demanded] of DEMANDED) {
      const value = await settingOf(this.redis.send, setting);
      if (value !== demanded)
        throw new Error(
          `the dealers' Redis must run with ${setting} "${demanded}", not "${value}": seeds reach no disk`,
        );
    }
    const role = await this.redis.send("ROLE");
    if (!Array.isArray(role) || String(role[0]) !== "master" || (role[2] as unknown[]).length > 0)
      throw new Error("the dealers' Redis must be alone, without a replica: seeds reach nobody else");
  }

  private async come(role: "client" | "server", session: string): Promise<void> {
    const name = `mpcformer:came:${role}:${session}`;
    if ((await this.redis.send("SET", name, "", "EX", REMEMBERED_SECONDS, "NX")) === null)
      throw new PartyError("this session was dealt before: material is made once only");
  }

  private async next(name: string): Promise<string> {
    for (const end = Date.now() + this.patienceMs; Date.now() < end; ) {
      const found = await this.redis.send("GETDEL", name);
      if (found !== null) return String(found);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new PartyError("the other side of this session did not come");
  }
}
