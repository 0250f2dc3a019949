/** `audit`: whether a dealer deals what it should. */
import type { Command } from "commander";
import { auditDealer } from "../../parties/audit.ts";
import type { Client } from "../../parties/client.ts";
import type { Verify } from "../../protocols/verify/sampling.ts";
import { type Prepared, preparedShape } from "../client.ts";
import { Failure } from "../failure.ts";
import { formatBytes } from "../format.ts";
import { securityTo } from "../keys.ts";
import { connect, ringOf } from "../network.ts";
import {
  approximate,
  MODEL,
  type ModelOptions,
  type NetworkOptions,
  network,
  type OutputOptions,
  output,
} from "../options.ts";
import { takesProfile } from "../profile.ts";
import { Progress } from "../progress.ts";
import { DEFAULT_VERIFY, servedModel } from "../served.ts";
import { print, printJson } from "../terminal.ts";
import { address, verified, whole } from "../values.ts";

interface AuditOptions extends NetworkOptions, ModelOptions, OutputOptions, Prepared {
  readonly dealer: string;
  readonly sessions: number;
  readonly verify?: Verify;
}

export function addAudit(program: Command): void {
  const described = program
    .command("audit")
    .description(
      "have a dealer deal sessions whose seeds are all known here, deal them again, and compare: nothing in them is anybody's secret",
    )
    .argument("[model]", MODEL, "demo");
  const command = takesProfile(described, "dealer")
    .addOption(address("--dealer <address>", "host:port of the dealer").default("127.0.0.1:7701"))
    .option("--dealer-key <fingerprint>", "the dealer's key, as its operator tells it")
    .addOption(whole("--sessions <n>", "how many sessions").default(3))
    .addOption(whole("--tokens <n>", "for texts of up to so many tokens").default(32))
    .addOption(whole("--max-tokens <n>", "and so many new ones, of a model that continues texts").default(4))
    .addOption(verified("as for a server that checks what clients open", DEFAULT_VERIFY));
  output(network(approximate(command))).action(audit);
}

/** Audits a dealer, session by session. @throws Failure at the first that is wrong */
async function audit(name: string, options: AuditOptions): Promise<void> {
  const { sessions, verify = DEFAULT_VERIFY } = options;
  const progress = new Progress(options.json ?? false);
  const served = await servedModel(name, options, progress);
  const owner = (await securityTo("dealer", options))?.identity.fingerprint ?? "";
  const shapeOf = (client: Client) => preparedShape(client, options);
  const connectDealer = () => connect("dealer", options.dealer, options);
  const found = await auditDealer(await ringOf(options), served, {
    ...{ connectDealer, owner, verify, shapeOf, sessions },
    progress: progress.of("sessions"),
  });
  progress.stop();
  const { messages, bytes, different } = found;
  if (different !== null) {
    const { label, kind } = different;
    throw new Failure(
      `session ${found.sessions}: what the dealer sent for ${label} (${kind}) is not what the seeds say: do not use it`,
    );
  }
  if (options.json) return printJson({ sessions, messages, bytes });
  print(`${sessions} sessions, ${messages} messages, ${formatBytes(bytes)}: all are what the seeds say`);
}
