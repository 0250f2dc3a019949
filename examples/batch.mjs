// Many texts, one JSON line each: node examples/batch.mjs < texts.txt
import { createInterface } from "node:readline";
import { connect } from "mpcformer";
import { parties } from "./addresses.mjs";

const texts = [];
for await (const line of createInterface({ input: process.stdin })) texts.push(line);

const client = await connect(parties);
const answers = await client.classifyAll(texts);
for (const [i, answer] of answers.entries()) {
  // A text without an answer (empty, or too long) costs the others nothing.
  const told = answer.status === "fulfilled" ? { label: answer.value.label } : { error: answer.reason.message };
  console.log(JSON.stringify({ line: i + 1, ...told }));
}
await client.close();
