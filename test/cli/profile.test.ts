/** One file to connect: services write it, commands and programs need it alone. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, readProfile } from "../../src/index.ts";
import { piped, type Started, start } from "./started.ts";

const TEXT = "a gripping film";
const LOCAL = ["--listen", "127.0.0.1:0"];
let dir: string;
const services: Started[] = [];
const file = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "profile-"));
  for (const name of ["dealer", "server"]) await piped(["keys", file(name)]);
  const deal = ["deal", "--key", file("dealer"), "--profile", file("dealer.json"), ...LOCAL];
  services.push(await start(deal));
  const serve = ["serve", "demo", "--key", file("server"), "--service", file("dealer.json"), "--lengths", "32,16"];
  services.push(await start([...serve, "--profile", file("service.json"), ...LOCAL]));
});
afterAll(async () => {
  for (const one of services) await one.ended("SIGTERM");
  await rm(dir, { recursive: true, force: true });
});

describe("a profile", () => {
  it("has addresses, fingerprints, the model's id and the padded lengths, and nothing else", async () => {
    const [server, dealer] = await Promise.all(
      ["server", "dealer"].map(async (name) => (await piped(["keys", file(name)])).out.trim()),
    );
    const written = JSON.parse(await readFile(file("service.json"), "utf8"));
    expect(written).toEqual({
      mpcformer: 1,
      server: { url: `tcp://${services[1].address}`, key: server, model: expect.stringMatching(/^[0-9a-f]{64}$/) },
      dealer: { url: `tcp://${services[0].address}`, key: dealer },
      lengths: [16, 32],
    });
  });

  it("is all that a command needs, by option or by environment; what is given beside it outdoes it", async () => {
    const answer = JSON.parse((await piped(["infer", TEXT, "--service", file("service.json"), "--json"])).out);
    // The server takes no 8.
    expect(answer).toMatchObject({ label: "positive", length: 16 });
    const other = await piped(["infer", TEXT, "--service", file("service.json"), "--model", "0".repeat(64)]);
    expect(other.err).toMatch(/^mpcformer: the server serves the model/m);
    process.env.MPCFORMER_SERVICE = file("dealer.json");
    try {
      const { err, code } = await piped(["generate", "x"]);
      expect([code, err]).toEqual([2, expect.stringMatching(/^mpcformer: .* is a dealer's profile: .*\n$/)]);
    } finally {
      delete process.env.MPCFORMER_SERVICE;
    }
  });

  it("is what connect takes", async () => {
    const client = await connect(JSON.parse(await readFile(file("service.json"), "utf8")));
    expect(await client.classify(TEXT)).toMatchObject({ label: "positive", length: 16 });
    await client.close();
  });

  it("that is wrong is told in one line", async () => {
    await writeFile(file("bad.json"), JSON.stringify({ mpcformer: 1, dealer: { url: "tcp://h:1" }, sever: 1 }));
    const { err, code } = await piped(["infer", TEXT, "--service", file("bad.json")]);
    expect(code).toBe(1);
    expect(err).toMatch(/^mpcformer: .*bad\.json is no service profile: there is no field sever\n$/);
    expect((await piped(["infer", TEXT, "--service", file("none.json")])).err).toMatch(/^mpcformer: cannot read .*\n$/);
  });
});

describe("of what a profile must be", () => {
  const KEY = "a".repeat(64);
  const good = { mpcformer: 1, server: { url: "tcp://h:1", key: KEY }, dealer: { url: "tcp://h:2", key: KEY } };
  it.each<[unknown, string]>([
    [{ ...good, mpcformer: 2 }, "mpcformer must be 1: another release wrote this profile"],
    [{ ...good, dealer: undefined }, "dealer is missing"],
    [{ ...good, dealer: { url: "h:2", key: KEY } }, "dealer.url must be an address with a port"],
    [{ ...good, dealer: { url: "ws://h:2" } }, "dealer must be named with its key"],
    [{ ...good, server: { url: "tcp://h:1", key: "ab" } }, "server.key must be a key's fingerprint"],
    [{ ...good, dealer: { url: "tcp://h:2" } }, "it names one party's key and not the other's"],
    [{ ...good, lengths: [32, 16] }, "lengths must be padded lengths"],
    [{ ...good, lengths: [] }, "lengths must be padded lengths"],
    [[], "mpcformer is missing"],
    ["x", "it must be an object of fields"],
  ])("%j is refused", (given, why) => {
    expect(() => readProfile(JSON.stringify(given), "f")).toThrow(`f is no service profile: ${why}`);
  });

  it("JSON is the first", () => {
    expect(() => readProfile("{", "f")).toThrow("f is no service profile: it is not JSON");
    expect(readProfile(JSON.stringify(good), "f")).toEqual(good);
  });
});
