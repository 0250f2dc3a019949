// A continuation, printed as it comes: node examples/generate.mjs "Once upon a time"
import { connect } from "mpcformer";
import { parties } from "./addresses.mjs";

const text = process.argv[2] ?? "Once upon a time";
const client = await connect(parties);
process.stdout.write(text);
for await (const { text: piece } of client.generate(client.encode(text), { maxTokens: 8 })) process.stdout.write(piece);
process.stdout.write("\n");
await client.close();
