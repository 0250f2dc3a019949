/** Who may begin work: places, queues, quotas, rates, and going down. */
import { describe, expect, it } from "vitest";
import { Admission, Refused } from "../../src/parties/admission.ts";

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
    const leave = admission.enter();
    expect(() => admission.enter()).toThrow(/all 1 connections are taken/);
    leave();
    leave();
    admission.enter();
    expect(admission.connections).toBe(1);
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
