// Material is used once, whoever dies and whoever races. test/parties/once.test.ts runs it short.
//   npm run long -- once [--kills 1000] [--rounds 10000] [--clients 64] [--store DIR or redis://host:port/db] [--json]
//
// kills: processes claim and "send" (write the item's id where no crash can take it back); each is ended by SIGKILL at a random
//   point and followed by another. In a folder, a copy of all items made earlier comes back after every tenth.
// rounds: so many clients, in 8 processes, race for one item; in a folder, in every tenth round, a copy of it comes back again and
//   again while they do, so that many of them hold it and the ledger decides.
import { fork } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { writeSync } from "node:fs";
import { cp, link, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openStore } from "../../dist/cli/store.js";

const KEY = "0123456789abcdef0123456789abcdef";
const PROCESSES = 8;
const SELF = fileURLToPath(import.meta.url);

const open = (store) => openStore({ store, deadline: "60" }, "server");
const newId = () => randomBytes(16).toString("hex");
/** Some pages that begin with the item's own id: what is sent must be what was put. */
const itemOf = (id) => ({ key: KEY, parts: [Buffer.from(id, "hex"), new Uint8Array(10_000)] });

/** A process that claims and sends until it is killed, and puts when nothing waits. */
async function worker(where) {
  const store = await open(where);
  await store.burnLeftovers();
  writeSync(1, "ready\n");
  for (;;) {
    const item = await store.claim(KEY);
    if (item === undefined) {
      for (let i = 0; i < 4; i++) {
        const id = newId();
        await store.put(id, itemOf(id));
      }
      continue;
    }
    const bytes = await item.bytes();
    if (Buffer.from(bytes.subarray(0, 16)).toString("hex") !== item.id) throw new Error("another item's bytes");
    writeSync(1, `${item.id}\n`);
    await item.discard();
  }
}

/** Runs one worker and kills it some milliseconds after it is ready; what it sent goes to `sent`. */
async function killed(where, sent) {
  const child = fork(SELF, ["worker", where], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const over = new Promise((resolve) => child.once("close", (_, signal) => resolve(signal)));
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "ready") setTimeout(() => child.kill("SIGKILL"), randomInt(150));
    else sent.push(line);
  });
  if ((await over) !== "SIGKILL") throw new Error("a worker failed by itself");
}

async function kills(where, count) {
  const files = !/^rediss?:/.test(where);
  const sent = [];
  let copy = null;
  let done = 0;
  while (done < count) {
    // Two at a time, so that the living go on where the dead stopped.
    await Promise.all([killed(where, sent), killed(where, sent)]);
    done += 2;
    if (!files || done % 10 !== 0) continue;
    if (copy !== null) await cp(copy, where, { recursive: true, force: false });
    else copy = `${where}.copy`;
    await rm(copy, { recursive: true, force: true });
    await cp(where, copy, { recursive: true });
  }
  return { kills: done, sent: sent.length, used_twice: sent.length - new Set(sent).size };
}

/** A process with its share of the clients: all claim at once when told, and tell who got the item. */
async function racer(where, clients) {
  const stores = [];
  for (let i = 0; i < clients; i++) stores.push(await open(where));
  process.on("message", async (id) => {
    const claims = stores.map((store, i) => store.claim(KEY, i % 2 === 0 ? id : undefined));
    const won = (await Promise.all(claims)).filter((claim) => claim !== undefined);
    for (const claim of won) await claim.discard();
    process.send(won.map((claim) => claim.id));
  });
  // Whoever started the race is gone.
  process.once("disconnect", () => process.exit());
  process.send("ready");
}

/** The item's file, a second name of it outside the store, and its return, again and again, while clients race. */
async function restoring(where, id, racing) {
  const [file] = (await readdir(join(where, KEY))).filter((name) => name.startsWith(id));
  const [path, aside] = [join(where, KEY, file), `${where}.aside`];
  await rm(aside, { force: true });
  await link(path, aside);
  const claims = racing();
  let over = false;
  const ended = claims.finally(() => {
    over = true;
  });
  while (!over) {
    await link(aside, path).catch(() => {});
    await wait(1);
  }
  return ended;
}

async function race(where, { clients, rounds }) {
  const files = !/^rediss?:/.test(where);
  const store = await open(where);
  const children = Array.from({ length: PROCESSES }, () => fork(SELF, ["racer", where, String(clients / PROCESSES)]));
  const next = (child) => new Promise((resolve) => child.once("message", resolve));
  await Promise.all(children.map(next));
  let [one, none, several] = [0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    const id = newId();
    await store.put(id, itemOf(id));
    const racing = () => {
      const answers = children.map(next);
      for (const child of children) child.send(id);
      return Promise.all(answers);
    };
    const winners = (await (files && round % 10 === 0 ? restoring(where, id, racing) : racing()))
      .flat()
      .filter((won) => won === id);
    if (winners.length === 1) one++;
    else if (winners.length === 0) none++;
    else several++;
    // What came back last is still there, and must be refused.
    if ((await store.claim(KEY)) !== undefined) several++;
  }
  for (const child of children) child.kill();
  await store.close();
  return { clients, rounds, one_winner: one, no_winner: none, several_winners: several };
}

const [mode, where, count] = process.argv.slice(2);
if (mode === "worker") await worker(where);
else if (mode === "racer") await racer(where, Number(count));
else {
  const text = { type: "string" };
  const options = { kills: text, rounds: text, clients: text, store: text, json: { type: "boolean" } };
  const { values } = parseArgs({ options });
  const dir = await mkdtemp(join(tmpdir(), "once-"));
  const place = values.store ?? join(dir, "material");
  try {
    const killed = await kills(place, Number(values.kills ?? 1000));
    if (!values.json) console.log(killed);
    const result = {
      kills: killed,
      race: await race(place, { clients: Number(values.clients ?? 64), rounds: Number(values.rounds ?? 10_000) }),
    };
    console.log(values.json ? JSON.stringify(result) : result.race);
    if (result.kills.used_twice > 0 || result.race.several_winners > 0) process.exitCode = 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
