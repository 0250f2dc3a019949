/** `web`: the client as a web page. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { CHANNEL_PATH } from "../../channels/web-listener.ts";
import { type CertificateOptions, helperOf, pageOf, partyOf, serverOf, webUrl } from "../browsers.ts";
import { Failure, UsageError } from "../failure.ts";
import { type KeyOptions, madeIn } from "../keys.ts";
import { MODEL, names, type OutputOptions, output, pinnedModel } from "../options.ts";
import { listenAt } from "../pages.ts";
import { start } from "../processes.ts";
import { print, printJson } from "../terminal.ts";
import { address } from "../values.ts";

interface WebCommandOptions extends CertificateOptions, KeyOptions, OutputOptions {
  readonly listen: string;
  readonly server?: string;
  readonly dealer?: string;
  readonly helper?: string;
  /** The id that the server's model must have. */
  readonly model?: string;
}

export function addWeb(program: Command): void {
  const command = program
    .command("web")
    .description("the client as a web page: for a running service, or with all parties on this machine")
    .argument("[model]", `what to serve here: ${MODEL} (default: demo)`)
    .addOption(address("--listen <address>", "host:port of the page").default("127.0.0.1:7780"))
    .option("--server <url>", "where browsers reach the server: wss://host or ws://host:port")
    .option("--server-key <fingerprint>", "its key, which ships with the page")
    .addOption(pinnedModel())
    .option("--dealer <url>", "where browsers reach the dealer")
    .option("--dealer-key <fingerprint>", "its key, which ships with the page")
    .option("--helper <url>", "where browsers reach a helper, which the page offers to phones then")
    .option("--helper-key <fingerprint>", "its key, which ships with the page")
    .option("--tls-cert <file>", "the page's certificate, as PEM: https then")
    .option("--tls-key <file>", "its key")
    .addOption(names());
  output(command).action(web);
}

/** The page for parties that run elsewhere; or with nothing named, a demonstration on this machine. */
async function web(model: string | undefined, options: WebCommandOptions): Promise<void> {
  if (options.server === undefined && options.dealer === undefined) return demonstration(model ?? "demo", options);
  if (options.server === undefined || options.dealer === undefined || model !== undefined)
    throw new UsageError("give --server and --dealer of a running service, or a model to start one here");
  const parties = {
    server: { ...partyOf(options.server, options.serverKey, "server", "--server"), model: options.model },
    dealer: partyOf(options.dealer, options.dealerKey, "dealer", "--dealer"),
    ...helperOf(options.helper, options.helperKey, "--helper"),
  };
  const { server, secure } = await serverOf(options, await pageOf(parties));
  tell(webUrl({ address: await listenAt(server, options.listen, "--listen"), secure }), options);
}

/** Dealer, server and page on this machine, with keys that live as long as they do. */
async function demonstration(model: string, options: WebCommandOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mpcformer-"));
  // Keys do not stay behind, however this ends.
  const stops: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const end = () => {
    for (const stop of stops) stop();
    setTimeout(() => process.exit(0), 200);
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  try {
    const [dealerKey, serverKey] = [join(folder, "dealer"), join(folder, "server")];
    const fingerprints = { dealer: await madeIn(dealerKey), server: await madeIn(serverKey) };
    const own = ["--listen", "127.0.0.1:0"];
    const dealer = await start(["deal", "--key", dealerKey, ...own, "--web", "127.0.0.1:0"]);
    stops.push(dealer.stop);
    const dealers = ["--dealer", dealer.address, "--dealer-key", fingerprints.dealer];
    const pages = ["--dealer-web", `ws://${dealer.web}${CHANNEL_PATH}`, "--web", options.listen];
    const server = await start([
      "serve",
      model,
      "--key",
      serverKey,
      ...own,
      ...dealers,
      ...pages,
      "--warm",
      "32",
      "--verify",
      "none",
    ]);
    stops.push(server.stop);
    tell(`http://${server.web}/`, options);
  } catch (error) {
    for (const stop of stops) stop();
    // Here it has another name than at the server.
    if (error instanceof Failure) throw new Failure(error.message.replace("--web", "--listen"), { cause: error });
    throw error;
  }
}

function tell(url: string, { json }: { readonly json?: boolean }): void {
  if (json) printJson({ page: url });
  else print(`the page is at ${url}, until Ctrl+C`);
}
