// A dealer and a server in one program, for trying it out: node examples/serve.mjs MODEL_DIR TEXTS_FILE [SERVER_PORT DEALER_PORT]
// In earnest the dealer is somebody else's: dealer and server together read the texts.
import { readFile } from "node:fs/promises";
import {
  calibrate,
  connectTcp,
  DealerService,
  listenTcp,
  loadModel,
  Ring,
  ServerService,
  servedModel,
} from "mpcformer";

const [folder = "assets/demo", texts = "assets/calibration.txt", serverPort = "7700", dealerPort = "7701"] =
  process.argv.slice(2);
const HOST = "127.0.0.1";

/** Serves each connection on its own; one that fails ends only itself. */
const listen = (service, port, peer) =>
  listenTcp(
    HOST,
    Number(port),
    (channel) => service.serve(channel).catch((error) => console.error(`a session ended: ${error.message}`)),
    { peer, deadlineMs: 60_000 },
  );

const dealer = await listen(new DealerService(await Ring.create()), dealerPort, "peer");
const connectDealer = () => connectTcp(HOST, dealer.address.port, { peer: "dealer", deadlineMs: 60_000 });

const model = await loadModel(folder);
// The ranges of the model's values, from texts like the users', one a line.
const lines = (await readFile(texts, "utf8")).split("\n").filter((line) => line !== "");
const encoded = lines.map((line) => model.tokenizer.encode(line, undefined, { truncate: true }));
const served = await servedModel(model, calibrate(model.spec, model.weights, encoded));
const service = new ServerService(await Ring.create(), served, { connectDealer });
const server = await listen(service, serverPort, "client");

console.log(`dealer tcp://${HOST}:${dealer.address.port}`);
console.log(`server tcp://${HOST}:${server.address.port}, model ${served.model.id}`);
process.once("SIGTERM", async () => {
  await Promise.all([server.close(), dealer.close()]);
  process.exit(0);
});
