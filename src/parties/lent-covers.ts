/** Seeds of covers that thin clients have lent the server for sessions that a helper runs (protocols/cover.ts). Each is used once. */
import type { Channel } from "../channels/channel.ts";
import { Prg } from "../ring/prg.ts";
import type { Secret } from "../ring/secret.ts";
import { PartyError } from "./messages.ts";

/** Of one connection at a time: a thin client waits for one answer before it asks again. */
const MOST_LENT = 64;

export class LentCovers {
  private readonly bySession = new Map<string, { readonly seed: Secret; readonly owner: Channel }>();

  /** @throws PartyError when the session has one, or the connection has lent too many. */
  lend(owner: Channel, session: string, seed: Secret): void {
    if (this.bySession.has(session)) throw new PartyError("this session has its covers already: ask again");
    const own = [...this.bySession.values()].filter((lent) => lent.owner === owner).length;
    if (own >= MOST_LENT) throw new PartyError(`at most ${MOST_LENT} texts wait for a helper: let one be answered`);
    this.bySession.set(session, { seed, owner });
  }

  /** The generator of a session's covers; undefined where its text comes from its owner. */
  take(session: string): Prg | undefined {
    const lent = this.bySession.get(session);
    this.bySession.delete(session);
    return lent && new Prg(lent.seed.expose());
  }

  /** The connection has ended: what it lent is forgotten. */
  end(owner: Channel): void {
    for (const [session, lent] of this.bySession) if (lent.owner === owner) this.bySession.delete(session);
  }
}
