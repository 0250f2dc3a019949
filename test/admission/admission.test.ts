/** Who may begin work: places, queues, quotas, rates, and going down. */
import { describe, expect, it } from "vitest";
import { Admission, SHORT_MESSAGE } from "../../src/admission/admission.ts";
import { Quota, Refused } from "../../src/admission/quota.ts";

const refusal = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Refused);
  return (error as Refused).reason;
};

describe("admission", () => {
  it("lets so many work, so many wait in their order, and refuses the next at once", async () => {
    const admission = new Admission({ running: 2, waiting: 2 });
    const [a, b] = [await admission.turn("a"), await admission.turn("b")];
    const order: string[] = [];
    const third = admission.turn("c").then((place) => {
      order.push("c");
      return place;
    });
    const fourth = admission.turn("d").then((place) => {
      order.push("d");
      return place;
    });
    expect([admission.running, admission.waiting]).toEqual([2, 2]);
    expect(await refusal(admission.turn("e"))).toBe("full");
    a.end();
    (await third).end();
    (await fourth).end();
    b.end();
    b.end(); // Twice is once.
    expect(order).toEqual(["c", "d"]);
    expect([admission.running, admission.waiting]).toEqual([0, 0]);
  });

  it("gives no identity more than its share, and anonymous ones none of their own", async () => {
    const admission = new Admission({ each: 2 });
    const [first] = [await admission.turn("a"), await admission.turn("a")];
    expect(await refusal(admission.turn("a"))).toBe("quota");
    first.end();
    await admission.turn("a");
    for (let i = 0; i < 5; i++) (await admission.turn("")).end();
  });

  it("counts a minute's work by identity, and forgives with time", async () => {
    const admission = new Admission({ perMinute: 2 });
    for (let i = 0; i < 2; i++) (await admission.turn("a", { now: 0 })).end();
    expect(await refusal(admission.turn("a", { now: 1000 }))).toBe("rate");
    (await admission.turn("b", { now: 1000 })).end();
    (await admission.turn("a", { now: 31_000 })).end();
    expect(await refusal(admission.turn("a", { now: 31_000 }))).toBe("rate");
  });

  it("takes no more connections than it has places for", () => {
    const admission = new Admission({ connections: 1 });
    const leave = admission.enter("");
    expect(() => admission.enter("")).toThrow(/all 1 connections are taken/);
    leave();
    leave();
    admission.enter("");
    expect(admission.connections).toBe(1);
  });

  it("leaves others their connections, whatever one key opens; without keys the total alone binds", () => {
    const admission = new Admission({ connections: 6, connectionsEach: 2 });
    const leave = [admission.enter("a"), admission.enter("a")];
    for (let i = 0; i < 3; i++)
      expect(() => admission.enter("a")).toThrow(
        /^2 connections of yours are open already: close one, or ask over them$/,
      );
    admission.enter("b");
    for (let i = 0; i < 3; i++) admission.enter("");
    expect(() => admission.enter("c")).toThrow(/^all 6 connections are taken: try again in a moment$/);
    leave[0]();
    admission.enter("a");
    expect(admission.connections).toBe(6);
  });

  it("goes down when what runs has ended, and refuses who waits", async () => {
    const admission = new Admission({ running: 1 });
    const place = await admission.turn("a");
    const waiting = refusal(admission.turn("b"));
    let down = false;
    const drained = admission.drain().then(() => {
      down = true;
    });
    expect(await waiting).toBe("draining");
    expect(await refusal(admission.turn("c"))).toBe("draining");
    expect(down).toBe(false);
    const last = admission.turn("a", { goesOn: true });
    place.end();
    (await last).end();
    await drained;
  });

  it("gives no account more than half of the places, and lets the next of another in before its own", async () => {
    const admission = new Admission({ running: 4 });
    const order: string[] = [];
    const turn = (account: string) =>
      admission.turn(account).then((place) => {
        order.push(account);
        return place;
      });
    const greedy = Array.from({ length: 6 }, () => turn("greedy"));
    const others = [turn("b"), turn("c"), turn("d")];
    await Promise.all([greedy[0], greedy[1], others[0], others[1]]);
    expect([admission.running, admission.waiting]).toEqual([4, 5]);
    (await greedy[0]).end();
    (await others[0]).end();
    await Promise.all([greedy[2], others[2]]);
    expect(order).toEqual(["greedy", "greedy", "b", "c", "greedy", "d"]);
  });

  it("counts nobody who waits for his peer, and lets him go on at once", async () => {
    const admission = new Admission({ running: 2, each: 8 });
    const idle = [];
    for (let i = 0; i < 8; i++) {
      const place = await admission.turn("idle");
      place.pause();
      place.pause(); // Twice is once.
      idle.push(place);
    }
    expect(admission.running).toBe(8);
    const [a, b] = [await admission.turn("a"), await admission.turn("b")];
    for (const place of idle) place.resume();
    // Ten go on where there are two places: nobody else begins before nine have ended.
    const waits = admission.turn("c");
    for (const place of [a, b, ...idle.slice(0, 6)]) place.end();
    expect(admission.waiting).toBe(1);
    idle[6].end();
    expect(admission.waiting).toBe(0);
    await waits;
  });

  it("bounds the greetings of an account by their bytes, and always gives one", () => {
    const admission = new Admission({ greetingBytesPerMinute: 100 });
    admission.greet("a", 1000, 0);
    expect(() => admission.greet("a", 1, 60_000)).toThrow(/^you connect too often/);
    admission.greet("b", 1, 0);
    admission.greet("a", 1, 600_000);
    for (let i = 0; i < 5; i++) admission.greet("", 1000, 0);
  });

  it("bounds the long messages of an account by their bytes beyond the short ones", () => {
    const admission = new Admission({ longBytesPerMinute: 100_000 });
    for (let i = 0; i < 1000; i++) admission.hear("a", SHORT_MESSAGE, 0);
    admission.hear("a", SHORT_MESSAGE + 150_000, 0);
    expect(() => admission.hear("a", SHORT_MESSAGE + 1, 0)).toThrow(/^you send many long messages/);
    admission.hear("a", SHORT_MESSAGE, 0);
    admission.hear("b", SHORT_MESSAGE + 1, 0);
    admission.hear("a", SHORT_MESSAGE + 1, 60_000);
    for (let i = 0; i < 5; i++) admission.hear("", 1e6, 0);
  });

  it("leaves no trace of who was refused", async () => {
    const admission = new Admission({ running: 1, waiting: 0, each: 1 });
    const place = await admission.turn("a");
    for (let i = 0; i < 3; i++) expect(await refusal(admission.turn("b"))).toBe("full");
    place.end();
    (await admission.turn("b")).end();
  });
});

describe("a quota", () => {
  it("bounds what all and each have, in any amounts, and knows again what was given back", () => {
    const quota = new Quota({ most: 100, each: 60, full: "no room", own: "yours is full" });
    const [a, b] = [quota.take("a", 60), quota.take("b", 30)];
    expect(() => quota.take("a", 1)).toThrow(expect.objectContaining({ reason: "quota", message: "yours is full" }));
    expect(() => quota.take("b", 11)).toThrow(expect.objectContaining({ reason: "full", message: "no room" }));
    expect(() => quota.take("", 11)).toThrow("no room");
    expect(quota.taken).toBe(90);
    a();
    a(); // Twice is once.
    expect(quota.taken).toBe(30);
    const rest = quota.take("", 70);
    for (const back of [b, rest]) back();
    expect(quota.taken).toBe(0);
  });
});
