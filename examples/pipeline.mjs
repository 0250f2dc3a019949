// transformers.js's calls and results, asked of a private service: node examples/pipeline.mjs "a text" ["another" ...]
import { connect, pipeline } from "mpcformer";
import { parties } from "./addresses.mjs";

const client = await connect(parties);
const classify = pipeline("text-classification", client, {
  progress: (done, total) => console.error(`${done} of ${total}`),
});
const results = await classify(process.argv.slice(2), { signal: AbortSignal.timeout(120_000) });
for (const { label, score } of results) console.log(`${label} ${(100 * score).toFixed(1)}%`);
await client.close();
