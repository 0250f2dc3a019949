/** The files of deploy/ fit the program: flags that exist, and the settings that its promises rest on. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { DEMANDED } from "../../src/stores/redis-store.ts";

const file = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");
const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

interface ComposeService {
  readonly image: string;
  readonly command: readonly string[];
  readonly user: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
  readonly mem_limit: string;
  readonly cpus: number;
  readonly networks: readonly string[];
  readonly volumes?: readonly string[];
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly securityContext: { readonly readOnlyRootFilesystem: boolean; readonly allowPrivilegeEscalation: boolean };
  readonly resources: { readonly limits: { readonly cpu: string; readonly memory: string } };
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
}

interface Workload {
  readonly kind: string;
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly spec: { readonly securityContext: { readonly runAsNonRoot: boolean }; readonly containers: Container[] };
    };
  };
}

const compose = (parse(file("deploy/compose.yaml"), { merge: true }) as { services: Record<string, ComposeService> })
  .services;
const documents = parseAllDocuments(file("deploy/kubernetes.yaml"));
const workloads = documents
  .map((document) => document.toJS() as Workload)
  .filter(({ kind }) => ["Deployment", "StatefulSet"].includes(kind));
const containers = workloads.flatMap(({ spec }) => spec.template.spec.containers);

/** The commands of this program in both files, and those of Redis. */
const ours = [...Object.values(compose).map((s) => s.command), ...containers.map((c) => c.args ?? c.command ?? [])];
const isRedis = (command: readonly string[]) => command.join(" ").includes("redis-server");

it("are YAML without faults", () => {
  for (const document of documents) expect([document.errors, document.warnings]).toEqual([[], []]);
  expect(Object.keys(compose).sort()).toEqual(["dealer", "redis", "server-1", "server-2"]);
  expect(workloads.map(({ spec }) => [spec.template.spec.containers[0].name, spec.replicas])).toEqual([
    ["dealer", 1],
    ["server", 2],
    ["redis", 1],
  ]);
});

it("give the program flags that it has, and every party's health a port", () => {
  const commands = ours.filter((command) => !isRedis(command));
  expect(commands.map(([name]) => name).sort()).toEqual(["deal", "deal", "serve", "serve", "serve"]);
  for (const [name, ...rest] of commands) {
    const help = execFileSync(process.execPath, [MAIN, name, "--help"], { encoding: "utf8" });
    const flags = rest.filter((arg) => arg.startsWith("-")).map((arg) => arg.split("=")[0]);
    expect(flags).toContain("--health");
    // Until --health is in this program's help, it is taken on trust.
    for (const flag of flags.filter((f) => f !== "--health")) expect(help).toMatch(new RegExp(`^ +${flag}\\b`, "m"));
  }
});

it("run Redis as the store demands it", () => {
  const commands = ours.filter(isRedis);
  expect(commands.length).toBe(2);
  for (const command of commands) {
    for (const [setting, value] of DEMANDED) expect(command.join(" ")).toContain(`--${setting} ${value}`);
    expect(command.join(" ")).toContain("--requirepass");
  }
});

it("run nothing as root, on file systems that cannot be written, within limits, watched", () => {
  for (const service of Object.values(compose)) {
    expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"] });
    expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect([service.mem_limit, service.cpus, service.healthcheck.test]).not.toContain(undefined);
  }
  for (const { spec } of workloads) expect(spec.template.spec.securityContext.runAsNonRoot).toBe(true);
  for (const { name, securityContext, resources, livenessProbe, readinessProbe } of containers) {
    expect(securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    expect(Object.keys(resources.limits).sort()).toEqual(["cpu", "memory"]);
    if (name === "redis") continue;
    expect(livenessProbe.httpGet).toEqual({ path: "/livez", port: "health" });
    expect(readinessProbe.httpGet).toEqual({ path: "/readyz", port: "health" });
  }
});

describe("the dealer", () => {
  it("cannot reach the servers' Redis, whose content with its own would open the texts", () => {
    expect(compose.dealer.networks.filter((network) => compose.redis.networks.includes(network))).toEqual([]);
    const policy = documents.map((d) => d.toJS()).find(({ kind }) => kind === "NetworkPolicy");
    expect(policy.spec.ingress[0].from).toEqual([{ podSelector: { matchLabels: { app: "server" } } }]);
  });
});
