/** Who may begin work: places, queues, quotas, rates, and going down. */
import { describe, expect, it } from "vitest";
import { Admission } from "../../src/admission/admission.ts";
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
    const third = admission.turn("c").then((done) => {
      order.push("c");
      return done;
    });
    const fourth = admission.turn("d").then((done) => {
      order.push("d");
      return done;
    });
    expect([admission.running, admission.waiting]).toEqual([2, 2]);
    expect(await refusal(admission.turn("e"))).toBe("full");
    a();
    (await third)();
    (await fourth)();
    b();
    b(); // Twice is once.
    expect(order).toEqual(["c", "d"]);
    expect([admission.running, admission.waiting]).toEqual([0, 0]);
  });

  it("gives no identity more than its share, and anonymous ones none of their own", async () => {
    const admission = new Admission({ each: 2 });
    const [first] = [await admission.turn("a"), await admission.turn("a")];
    expect(await refusal(admission.turn("a"))).toBe("quota");
    first();
    await admission.turn("a");
    for (let i = 0; i < 5; i++) (await admission.turn(""))();
  });

  it("counts a minute's work by identity, and forgives with time", async () => {
    const admission = new Admission({ perMinute: 2 });
    for (let i = 0; i < 2; i++) (await admission.turn("a", { now: 0 }))();
    expect(await refusal(admission.turn("a", { now: 1000 }))).toBe("rate");
    (await admission.turn("b", { now: 1000 }))();
    (await admission.turn("a", { now: 31_000 }))();
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
    const done = await admission.turn("a");
    const waiting = refusal(admission.turn("b"));
    let down = false;
    const drained = admission.drain().then(() => {
      down = true;
    });
    expect(await waiting).toBe("draining");
    expect(await refusal(admission.turn("c"))).toBe("draining");
    expect(down).toBe(false);
    const last = admission.turn("a", { goesOn: true });
    done();
    (await last)();
    await drained;
  });

  it("leaves no trace of who was refused", async () => {
    const admission = new Admission({ running: 1, waiting: 0, each: 1 });
    const done = await admission.turn("a");
    for (let i = 0; i < 3; i++) expect(await refusal(admission.turn("b"))).toBe("full");
    done();
    (await admission.turn("b"))();
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
