/** What an operator reads on standard error, by the form of the log. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ChannelError } from "../../src/channels/channel.ts";
import { Telemetry } from "../../src/cli/telemetry.ts";
import { failureOf, lineForPeer } from "../../src/parties/events.ts";

let written: string;
beforeEach(() => {
  written = "";
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    written += chunk;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

it.each([
  ["text", { log: "text" }],
  ["json", { log: "json" }],
  ["none", { log: "none" }],
  ["none, of a command with --json", { json: true }],
] as const)("has a fault's reference, which its peer was told to look up: %s", (_, options) => {
  const telemetry = new Telemetry(options);
  const fault = new TypeError("a file of this machine");
  telemetry.tell(failureOf(fault));
  telemetry.explain(fault);
  const [reference] = /[0-9a-f]{8}/.exec(lineForPeer(fault))!;
  expect(written.split(reference)).toHaveLength(2);
  if ("json" in options) expect(JSON.parse(written)).toMatchObject({ event: "failed", kind: "fault", reference });
});

it("has nothing else where nothing is to be logged", () => {
  const telemetry = new Telemetry({ log: "none" });
  const lost = new ChannelError("the client is lost");
  telemetry.tell(failureOf(lost));
  telemetry.explain(lost);
  telemetry.tell({ event: "refused", reason: "rate" });
  telemetry.tell({ event: "weights sent", count: 3 });
  expect(written).toBe("");
});
