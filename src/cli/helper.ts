/** `helper`: computes for clients who only share their texts. */
import { HelperService } from "../parties/helper.ts";
import { connect, ringOf } from "./network.ts";
import { helperStatus } from "./overview.ts";
import { limitsOf, run, type ServiceOptions } from "./parties.ts";
import { Telemetry } from "./telemetry.ts";

export interface HelperCommandOptions extends ServiceOptions {
  readonly server: string;
  readonly dealer: string;
}

/** Helps until it is stopped. */
export async function helper(options: HelperCommandOptions): Promise<void> {
  const telemetry = new Telemetry(options, options.json ?? false);
  const service = new HelperService(await ringOf(options), {
    connectServer: () => connect("server", options.server, options),
    connectDealer: () => connect("dealer", options.dealer, options),
    log: telemetry.tell,
    limits: limitsOf(options),
  });
  const shown = { status: helperStatus(service, telemetry), studies: null };
  const what = `helping clients of the server at ${options.server}`;
  await run(service, "client", telemetry, options, { what, page: null, shown });
}
