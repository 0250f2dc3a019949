// `npm test`: lint and build side by side, then the types, then the tests. What passes is told in one line; what fails, as it was printed.
// Arguments go to vitest: `npm test -- test/ring`.
import { spawn } from "node:child_process";

const shell = process.platform === "win32";

/** Runs one of package.json's scripts; resolves to whether it passed. */
async function pass(name) {
  const begun = performance.now();
  const child = spawn("npm", ["run", "--silent", name], { shell, stdio: ["ignore", "pipe", "pipe"] });
  const printed = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => printed.push(data));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) process.stdout.write(Buffer.concat(printed));
  console.log(`${name}: ${code === 0 ? "passed" : "failed"} in ${Math.round((performance.now() - begun) / 1000)} s`);
  return code === 0;
}

function vitest() {
  const quiet = ["--reporter=minimal", "--silent=passed-only"];
  const child = spawn("npx", ["vitest", "run", ...quiet, ...process.argv.slice(2)], { shell, stdio: "inherit" });
  return new Promise((resolve) => child.on("close", resolve));
}

const [linted, built] = await Promise.all([pass("lint"), pass("build")]);
if (!linted || !built || !(await pass("typecheck"))) process.exit(1);
process.exit((await vitest()) ?? 1);
