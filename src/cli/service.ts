/** What `serve`, `deal` and `helper` share: they listen until they are told to stop. */

import { totalmem } from "node:os";
import type { Limits } from "../admission/admission.ts";
import type { Channel } from "../channels/channel.ts";
import { compilerInThread } from "../parties/compile-thread.ts";
import type { PartyAddress, PinnedParties } from "../parties/connect.ts";
import type { Measured } from "../parties/meter.ts";
import type { ServiceProfile } from "../parties/profile.ts";
import type { ProgramLimits } from "../parties/programs.ts";
import type { ServerService } from "../parties/server.ts";
import { shownAddress } from "./address.ts";
import { type BrowserListener, channelUrl, listenForBrowsers, webUrl } from "./browsers.ts";
import { listen } from "./network.ts";
import { type Console, listenForOperator } from "./operator.ts";
import type { OutputOptions, ServiceOptions, ShapeOptions } from "./options.ts";
import { publicAddress, writeProfile } from "./profile.ts";
import type { Telemetry } from "./telemetry.ts";
import { outliveReaders, print, printJson } from "./terminal.ts";

/** The bounds that the options name; the others are the service's own. */
export function limitsOf({ maxRunning, maxWaiting, perMinute, perKey }: ServiceOptions): Partial<Limits> {
  return {
    ...(maxRunning === undefined ? {} : { running: maxRunning }),
    ...(maxWaiting === undefined ? {} : { waiting: maxWaiting }),
    ...(perMinute === undefined ? {} : { perMinute }),
    ...(perKey === undefined ? {} : { connectionsEach: perKey }),
  };
}

/** How a service compiles what its peers ask for: in a thread, within the options' bounds. */
export function compilingOf({ lengths, maxTurns, maxSteps, maxPrograms }: ShapeOptions) {
  const limits: Partial<ProgramLimits> = {
    ...(maxSteps === undefined ? {} : { bounds: { steps: maxSteps }, stepsPerMinute: 2 * maxSteps }),
    ...(maxPrograms === undefined ? {} : { bytes: 1e6 * maxPrograms }),
  };
  return { programs: { compile: compilerInThread(), limits }, shapes: { lengths, turns: maxTurns } };
}

/** Bytes: a part of this machine's memory, or of what the process may have of it. */
export function partOfMemory(part: number): number {
  // Without a bound it is 0, or more than there is.
  const allowed = process.constrainedMemory?.() ?? 0;
  return Math.floor(part * (allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()));
}

/** Listens until it is told to stop; then nothing begins, and what runs may end. */
export async function run(
  service: Pick<ServerService, "serve" | "drain" | "admission">,
  peer: "client" | "peer",
  telemetry: Telemetry,
  options: ServiceOptions,
  {
    what,
    model,
    page,
    shown,
    profile,
  }: {
    readonly what: string;
    /** The id of the model that is served. */
    readonly model?: string;
    readonly page: PinnedParties | null;
    readonly shown: Console;
    /** What clients must know of the service, which is reached by them at this address; none of a helper. */
    readonly profile?: (own: PartyAddress) => ServiceProfile;
  },
): Promise<void> {
  outliveReaders();
  telemetry.watch(service.admission);
  const health = await listenForOperator(options.health, telemetry, shown, options);
  const serveOne = (channel: Channel) => service.serve(channel);
  const listener = await listen(options.listen, peer, options, serveOne, telemetry.explain);
  const browsers = await browsersOf(options, peer, (c) => void serveOne(c).catch(telemetry.explain), page);
  let asked = false;
  const stop = () => {
    // Asked twice: at once.
    if (asked) process.exit(1);
    asked = true;
    telemetry.setReady(false);
    listener.stop();
    browsers?.stop();
    const late = setTimeout(() => process.exit(0), options.drain * 1000);
    service
      .drain()
      .then(() => {
        browsers?.close();
        return listener.close();
      })
      .catch(telemetry.explain)
      .finally(() => {
        clearTimeout(late);
        process.exit(0);
      });
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  const { host, port } = listener.address;
  const written = profile?.(await publicAddress(options, listener.address));
  if (written !== undefined && options.profile !== undefined) await writeProfile(options.profile, written);
  telemetry.setReady(true);
  if (options.json)
    printJson({
      listening: { host, port },
      ...(model === undefined ? {} : { model }),
      ...(health === null ? {} : { health }),
      ...(browsers === null ? {} : { web: browsers.address }),
      ...(written === undefined ? {} : { profile: written }),
    });
  else {
    print(`${what} on ${shownAddress({ host, port })}, until Ctrl+C`);
    // Without the page its address would show nothing to who opens it.
    if (browsers !== null)
      print(page === null ? `channels of the page at ${channelUrl(browsers)}` : `the page at ${webUrl(browsers)}`);
    if (health !== null) print(`the console at http://${shownAddress(health)}/console`);
    if (model !== undefined) print(`model ${model}`);
    if (written !== undefined) printProfile(written, options.profile);
  }
}

function printProfile(profile: ServiceProfile, file: string | undefined): void {
  if (file === undefined) print(`profile ${JSON.stringify(profile)}`);
  else if (profile.server === undefined) print(`profile written: mpcformer serve MODEL --service ${file}`);
  else print(`profile written: mpcformer infer --service ${file}`);
}

async function browsersOf(
  options: ServiceOptions,
  peer: "client" | "peer",
  onChannel: (channel: Channel) => void,
  page: PinnedParties | null,
): Promise<BrowserListener | null> {
  const { web } = options;
  return web === undefined ? null : listenForBrowsers({ ...options, web }, peer, onChannel, page);
}

/** Keeps what each phase took for the console; machines that start a party read it too. */
export function measuredBy(options: OutputOptions, telemetry: Telemetry): (measured: Measured) => void {
  return (measured) => {
    telemetry.activity.measured(measured);
    if (options.json) printJson({ measured });
  };
}
