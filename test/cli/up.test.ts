/** `up`: three parties for a try, which begin and end together. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { piped, start } from "./started.ts";

function listens(port: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

it("answers programs, tells other commands where it is, and ends as one", async () => {
  const dir = await mkdtemp(join(tmpdir(), "up-"));
  try {
    const file = join(dir, "up.json");
    const up = await start(["up", "demo", "--listen", "127.0.0.1:0", "--profile", file]);
    const body = JSON.stringify({ inputs: "a gripping film" });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`http://${up.address}/predict`, { method: "POST", headers, body });
    expect(await response.json()).toMatchObject([{ label: "positive" }, { label: "negative" }]);
    const asked = await piped(["infer", "a dull film", "--service", file, "--json"]);
    expect(JSON.parse(asked.out)).toMatchObject({ label: "negative" });
    const ports = (await readFile(file, "utf8")).match(/(?<=127\.0\.0\.1:)\d+/g)!;
    expect(await Promise.all(ports.map(listens))).toEqual([true, true]);
    expect(await up.ended("SIGINT")).toEqual([0, null]);
    const gone = async () => (await Promise.all([...ports, up.address.split(":")[1]].map(listens))).some((one) => one);
    await expect.poll(gone).toBe(false);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

it("of a model that cannot be served fails with the server's own words", async () => {
  const { code, err } = await piped(["up", "bert-base"]);
  expect(code).toBe(2);
  expect(err.trim().split("\n").at(-1)).toMatch(/^mpcformer: bert-base is a shape with random weights/);
});
