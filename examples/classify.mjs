// The private answer for one text: node examples/classify.mjs "a gripping film"
import { connect } from "mpcformer";
import { parties } from "./addresses.mjs";

const text = process.argv[2] ?? "a gripping, funny and beautifully acted film";
const client = await connect(parties);
const { label, scores, seconds, flights, bytes } = await client.classify(text);
console.log(
  label,
  scores?.map((score) => score.toFixed(3)),
);
console.log(`${seconds.online.toFixed(2)} s online in ${flights} flights, ${bytes.online.client_to_server} bytes sent`);
await client.close();
