/** The parties that bench, demo and web start: they end with the process that started them, however that ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const PROCESSES = fileURLToPath(new URL("../../dist/cli/processes.js", import.meta.url));

/** Whether somebody listens there. */
function listens(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

it("end when it is killed", async () => {
  const script = `
    const { startParties } = await import(${JSON.stringify(PROCESSES)});
    const { server, dealer } = await startParties(["demo"]);
    console.log(server + " " + dealer);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface({ input: parent.stdout }), "line")) as [string];
  const addresses = line.split(" ");
  expect(await Promise.all(addresses.map(listens))).toEqual([true, true]);
  parent.kill("SIGKILL");
  await once(parent, "exit");
  await expect.poll(async () => (await Promise.all(addresses.map(listens))).some((one) => one)).toBe(false);
});
