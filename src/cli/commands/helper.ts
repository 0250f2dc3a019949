/** `helper`: computes for clients who only share their texts. */
import type { Command } from "commander";
import { compilerInThread } from "../../parties/compile-thread.ts";
import { HelperService } from "../../parties/helper.ts";
import { connect, ringOf } from "../network.ts";
import { output, peers, type ServiceOptions, service } from "../options.ts";
import { helperStatus } from "../overview.ts";
import { limitsOf, run } from "../service.ts";
import { Telemetry } from "../telemetry.ts";
import { address } from "../values.ts";

interface HelperOptions extends ServiceOptions {
  readonly server: string;
  readonly dealer: string;
  readonly model?: string;
}

export function addHelper(program: Command): void {
  const command = program
    .command("helper")
    .description(
      "compute for clients who only share their texts, and learn no text; not for the server's or the dealer's operator",
    )
    .addOption(address("--listen <address>", "host:port to listen at").default("127.0.0.1:7702"))
    .option("--peers <file>", "fingerprints of the clients who may ask, one a line (default: whoever has a key)");
  output(service(peers(command))).action(helper);
}

/** Helps until it is stopped. */
async function helper(options: HelperOptions): Promise<void> {
  const telemetry = new Telemetry(options);
  const helping = new HelperService(await ringOf(options), {
    connectServer: () => connect("server", options.server, options),
    connectDealer: () => connect("dealer", options.dealer, options),
    model: options.model,
    compile: compilerInThread(),
    log: telemetry.tell,
    limits: limitsOf(options),
  });
  const shown = { status: helperStatus(helping, telemetry), studies: null };
  const what = `helping clients of the server at ${options.server}`;
  await run(helping, "client", telemetry, options, { what, page: null, shown });
}
