/** Whose turn it is to compute. */
import { expect, it } from "vitest";
import { Processor } from "../../src/admission/processor.ts";

/** Computes so often, so long each time as far as the processor is told; `order` has who computed when. */
async function computes(processor: Processor, order: string[], account: string, times: number, ms: number) {
  for (let i = 0; i < times; i++) {
    await processor.take(account);
    order.push(account);
    processor.give(account, ms);
  }
}

it("lets one compute at a time", async () => {
  const processor = new Processor();
  await processor.take("a");
  let second = false;
  const waiting = processor.take("b").then(() => {
    second = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(second).toBe(false);
  processor.give("a", 1);
  await waiting;
});

it("gives who computes much no more than others, however many of its runs wait", async () => {
  const processor = new Processor();
  const order: string[] = [];
  // Eight runs of long steps against one of short ones: for every long step there are ten short ones.
  await Promise.all([
    ...Array.from({ length: 8 }, () => computes(processor, order, "much", 10, 100)),
    computes(processor, order, "little", 40, 10),
  ]);
  const before = order.slice(0, order.lastIndexOf("little")).filter((account) => account === "much").length;
  expect(before).toBeLessThanOrEqual(6);
  expect(order).toHaveLength(120);
});

it("owes nobody for a time when it was free", async () => {
  const processor = new Processor();
  const order: string[] = [];
  await computes(processor, order, "first", 50, 100);
  order.length = 0;
  await Promise.all([computes(processor, order, "first", 4, 10), computes(processor, order, "new", 40, 10)]);
  // The first one's turn comes after what its last step took, not after all that it ever took.
  expect(order.indexOf("first")).toBeLessThanOrEqual(1);
  expect(order.lastIndexOf("first")).toBeLessThanOrEqual(20);
});
