/** Runs a page: its commands in one shell, in its order, its programs between them. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../parties/redis.ts";
import type { Block } from "./blocks.ts";
import { LEFT_OUT, PORTS, REPLACED, SCALED } from "./rules.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PREAMBLE = fileURLToPath(new URL("preamble.sh", import.meta.url));
/** What the commands take where nothing is said. */
const USUAL_PORTS = ["7700", "7701", "7780", "7790"];

export interface Outcome {
  /** By block, its standard output. */
  readonly printed: ReadonlyMap<Block, string>;
  /** The rules that were used: their patterns, or the commands that they scale. */
  readonly used: ReadonlySet<string>;
}

/** A folder in which `mpcformer` can be imported, with what `lay` puts there. */
export async function sandbox(lay: (folder: string) => Promise<void>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "page-"));
  await mkdir(join(folder, "node_modules", "@types"), { recursive: true });
  await symlink(ROOT, join(folder, "node_modules", "mpcformer"));
  await symlink(join(ROOT, "node_modules", "@types", "node"), join(folder, "node_modules", "@types", "node"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  await lay(folder);
  return folder;
}

/** @throws an Error with the page's own output where a block fails. */
export async function runPage(
  page: string,
  blocks: readonly Block[],
  programs: ReadonlyMap<Block, string>,
  folder: string,
  main = join(ROOT, "dist", "cli", "main.js"),
): Promise<Outcome> {
  const used = new Set<string>();
  const ports = await portsOf(blocks);
  const logs = await mkdtemp(join(tmpdir(), "page-logs-"));
  const changed = (block: Block) => withPorts(replaced(programs.get(block) ?? block.text, used), ports);
  const script: string[] = [`. "${PREAMBLE}"`];
  for (const [i, block] of blocks.entries()) {
    script.push(`echo ${page}:${block.line} >"${logs}/at"`);
    const body = await bodyOf(block, i, folder, changed, used);
    if (body !== null) script.push(`{\n${body}\n} >"${logs}/${i}" 2>"${logs}/${i}.err" </dev/null`);
  }
  await writeFile(join(logs, "page.sh"), `${script.join("\n")}\n`);
  try {
    for (const command of Object.keys(SCALED)) if (blocks.some(runs(command))) used.add(command);
    const code = await bash(join(logs, "page.sh"), folder, { ...environment(folder, logs, ports), MAIN: main });
    const printed = new Map<Block, string>();
    for (const [i, block] of blocks.entries()) printed.set(block, await readOr(join(logs, String(i))));
    if (code !== 0) {
      const at = (await readOr(join(logs, "at"))).trim();
      const failed = blocks.find(({ line }) => at.endsWith(`:${line}`));
      const errors = await readOr(join(logs, `${blocks.indexOf(failed!)}.err`));
      throw new Error(`${at}: code ${code}\n${printed.get(failed!) ?? ""}${errors}`);
    }
    return { printed, used };
  } finally {
    await rm(logs, { recursive: true, force: true });
  }
}

/** What the shell does for a block; null: nothing. */
async function bodyOf(
  block: Block,
  index: number,
  folder: string,
  changed: (block: Block) => string,
  used: Set<string>,
): Promise<string | null> {
  if (block.kind === "commands") return withoutLeftOut(changed(block), used);
  if (block.kind === "file") {
    await mkdir(dirname(join(folder, block.path)), { recursive: true });
    await writeFile(join(folder, block.path), block.text);
  }
  if (block.kind !== "program") return null;
  await writeFile(join(folder, `block-${index}.js`), changed(block));
  return `with_fingerprints block-${index}.js\nnode block-${index}.js`;
}

function replaced(text: string, used: Set<string>): string {
  return REPLACED.reduce((result, { pattern, replacement }) => {
    const next = result.replace(pattern, replacement);
    if (next !== result) used.add(String(pattern));
    return next;
  }, text);
}

/** Whole commands, continued lines included. */
function withoutLeftOut(text: string, used: Set<string>): string {
  const commands = text.replace(/\\\n\s*/g, " ").split("\n");
  const kept = commands.filter((command) => {
    const rule = LEFT_OUT.find(({ pattern }) => pattern.test(command));
    if (rule !== undefined) used.add(String(rule.pattern));
    return rule === undefined;
  });
  return `:\n${kept.join("\n")}`;
}

async function portsOf(blocks: readonly Block[]): Promise<Map<string, string>> {
  const named = blocks.flatMap(({ text }) => text.match(PORTS) ?? []);
  const ports = new Map<string, string>();
  for (const port of new Set([...USUAL_PORTS, ...named])) ports.set(port, String(await freePort()));
  return ports;
}

function withPorts(text: string, ports: ReadonlyMap<string, string>): string {
  return text.replace(PORTS, (port) => ports.get(port) ?? port);
}

const runs = (command: string) => (block: Block) =>
  block.kind === "commands" && block.text.includes(`mpcformer ${command} `);

function environment(folder: string, logs: string, ports: ReadonlyMap<string, string>) {
  const scaled = Object.entries(SCALED).map(([command, { options }]) => [
    `SCALED_${command.replace(/-/g, "_")}`,
    options.join(" "),
  ]);
  return {
    ...process.env,
    ...Object.fromEntries(scaled),
    ...Object.fromEntries(USUAL_PORTS.map((port) => [`PORT_${port}`, ports.get(port)])),
    LOGS: logs,
    HOME: folder,
    NO_COLOR: "1",
  };
}

function bash(script: string, cwd: string, env: NodeJS.ProcessEnv): Promise<number | null> {
  const child = spawn("bash", [script], { cwd, env, stdio: "ignore" });
  return new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve));
}

async function readOr(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
