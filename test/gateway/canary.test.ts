/** What programs ask and are answered leaves the gateway in shares alone: nothing of it is on a wire, in a log, a metric or a status. */
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Started, start } from "../cli/started.ts";

const PROMPT = "Once upon a time, there was a little girl named Lily. She";
const LOCAL = ["--listen", "127.0.0.1:0"];

const services: Started[] = [];
const relays: Server[] = [];
/** All that crossed between two parties. */
const wire: Buffer[] = [];
let [deal, serve, gateway] = [] as unknown as [Started, Started, Started];

/** Another address of a party, with an ear at it. */
async function heard(address: string): Promise<string> {
  const [host, port] = address.split(":");
  const relay = createServer((near) => {
    const far = connect(Number(port), host);
    near.on("data", (bytes: Buffer) => wire.push(bytes)).on("error", () => {});
    far.on("data", (bytes: Buffer) => wire.push(bytes)).on("error", () => {});
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  relays.push(relay);
  return `127.0.0.1:${(relay.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  const watched = [...LOCAL, "--log", "json", "--health", "127.0.0.1:0"];
  deal = await start(["deal", ...watched]);
  serve = await start(["serve", "storyteller", "--dealer", await heard(deal.address), ...watched]);
  const peers = ["--server", await heard(serve.address), "--dealer", await heard(deal.address)];
  gateway = await start(["gateway", ...peers, ...LOCAL]);
  services.push(gateway, serve, deal);
});
afterAll(async () => {
  for (const one of services) await one.ended("SIGTERM");
  for (const relay of relays) relay.close();
});

/** Neighbouring words: a vocabulary, which is public, has words alone. */
function phrasesOf(text: string): string[] {
  const words = text.trim().split(/\s+/);
  return words
    .slice(1)
    .map((word, i) => `${words[i]} ${word}`)
    .filter((phrase) => phrase.length > 6);
}

it("finds nothing of prompt or answer", async () => {
  const openai = new OpenAI({ baseURL: `http://${gateway.address}/v1`, apiKey: "CANARY-KEY", maxRetries: 0 });
  const ask = { model: "mpcformer", prompt: PROMPT, max_tokens: 6, temperature: 0 };
  let answer = "";
  for await (const { choices } of await openai.completions.create({ ...ask, stream: true })) answer += choices[0].text;
  expect(answer.trim().split(" ").length).toBeGreaterThan(2);
  const refused = await openai.completions.create({ ...ask, made_up: PROMPT } as never).catch((e: Error) => e.message);
  const told = await Promise.all(
    [serve, deal].flatMap(({ health }) =>
      ["metrics", "status"].map(async (path) => (await fetch(`http://${health}/${path}`)).text()),
    ),
  );
  const privacy = await (await fetch(`http://${gateway.address}/privacy`)).text();
  const logs = services.map((one) => one.log());
  const crossed = Buffer.concat(wire);
  expect(crossed.length).toBeGreaterThan(1e6);
  const all = [...told, ...logs, privacy, String(refused), crossed.toString("latin1"), crossed.toString("utf16le")];
  for (const secret of [...phrasesOf(PROMPT), ...phrasesOf(answer), "CANARY-KEY"])
    for (const text of all) expect(text.includes(secret), secret).toBe(false);
  // The ear hears what there is to hear.
  expect(crossed.includes('"version"')).toBe(true);
  expect(logs.join()).toContain('"answered"');
});
