/** `deal`: correlated randomness for servers and clients. */
import type { Command } from "commander";
import type { PartyAddress } from "../../parties/connect.ts";
import { DealerService } from "../../parties/dealer.ts";
import { ringOf } from "../network.ts";
import { output, type ServiceOptions, type ShapeOptions, service, shapes } from "../options.ts";
import { dealerStatus } from "../overview.ts";
import { profileOf } from "../profile.ts";
import { compilingOf, limitsOf, measuredBy, run } from "../service.ts";
import { openMeeting } from "../store.ts";
import { Telemetry } from "../telemetry.ts";
import { address, whole } from "../values.ts";

interface DealOptions extends ServiceOptions, ShapeOptions {
  readonly meet?: string;
  /** Megabytes. */
  readonly maxWeights?: number;
}

export function addDeal(program: Command): void {
  const command = program
    .command("deal")
    .description("deal correlated randomness to servers and clients")
    .addOption(address("--listen <address>", "host:port to listen at").default("127.0.0.1:7701"))
    .option("--peers <file>", "fingerprints of servers and clients, one a line (default: whoever has a key)")
    .option("--meet <redis>", "of several dealers behind one address: their own redis://host:port/db, without any disk")
    .addOption(
      whole("--max-weights <MB>", "masked weights kept in memory; beyond it the longest unused go (default: 3221)"),
    );
  output(shapes(service(command))).action(deal);
}

/** Deals until it is stopped. */
async function deal(options: DealOptions): Promise<void> {
  const telemetry = new Telemetry(options);
  const party = new DealerService(await ringOf(options), {
    meeting: await openMeeting(options),
    log: telemetry.tell,
    ...compilingOf(options),
    limits: limitsOf(options),
    measured: measuredBy(options, telemetry),
    mostWeightBytes: options.maxWeights === undefined ? undefined : 1e6 * options.maxWeights,
  });
  telemetry.gauge("mpcformer_weight_bytes", "Masked weights that are kept.", () => party.maskedWeights.bytes);
  const shown = { status: dealerStatus(party, telemetry), studies: null };
  const profile = (own: PartyAddress) => profileOf({ dealer: own });
  await run(party, "peer", telemetry, options, { what: "dealing", page: null, shown, profile });
}
