import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classifier } from "../models/bert.ts";
import { compile } from "../models/calibrate.ts";
import { randomText } from "../models/catalog.ts";
import type { Inference } from "../parties/client.ts";
import { FloatOps } from "../program/float.ts";
import { costOf } from "../protocols/cost.ts";
import { floatMatmul } from "./float.ts";
import { overridesOf } from "./options.ts";
import { costTable, lengthOf, type PlanOptions } from "./plan.ts";
import { runJson, startParties } from "./processes.ts";
import { openSource, planJson } from "./source.ts";
import { note, Progress, print, printJson } from "./terminal.ts";

const TEXT_SEED = 7;

/** Measures one private inference over three processes, each with one thread, on random tokens of the given length. */
export async function bench(name: string, options: PlanOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const matmul = await floatMatmul();
  const source = await openSource(name, {
    overrides: overridesOf(options),
    calibration: options.calibrate,
    length: Number(options.length),
    matmul,
    progress: progress.of("calibrating"),
  });
  progress.stop();
  const { spec } = source;
  const length = lengthOf(options, spec);
  const cost = costOf(compile(spec, source.plan, length));
  const text = randomText(spec, length, TEXT_SEED);
  const reference = classifier(new FloatOps(source.weights, text, length, { matmul }), spec).data;
  const expected = spec.answer === "label" ? [reference.indexOf(Math.max(...reference))] : reference;
  const folder = await mkdtemp(join(tmpdir(), "mpcformer-bench-"));
  try {
    const [planFile, idsFile] = [join(folder, "plan.json"), join(folder, "ids.json")];
    await writeFile(planFile, planJson(spec, source.plan));
    await writeFile(idsFile, JSON.stringify(text));
    const flags = ["--plan", planFile, "--warm", String(length), "--gelu", spec.gelu, "--softmax", spec.softmax];
    if (!options.json) note("starting dealer and server");
    const parties = await startParties([name, ...flags, "--embedding", spec.embedding, "--answer", spec.answer]);
    try {
      if (!options.json) note("running");
      const run = (await runJson([
        "infer",
        "--ids",
        idsFile,
        "--server",
        parties.server,
        "--dealer",
        parties.dealer,
      ])) as Inference;
      const error = Math.max(...run.logits.map((x, i) => Math.abs(x - expected[i])));
      const result = {
        model: name,
        length,
        gelu: spec.gelu,
        softmax: spec.softmax,
        embedding: spec.embedding,
        online: { flights: run.flights, bytes: run.bytes.online },
        offline: { bytes: run.bytes.offline },
        setup: { bytes: run.bytes.setup },
        macs: cost.macs,
        steps: cost.steps,
        seconds: run.seconds,
        peak_rss_mb: run.peakRssMb,
        max_abs_logit_error: error,
      };
      if (options.json) return printJson(result);
      print(`${name}, ${length} tokens, GeLU ${spec.gelu}, softmax ${spec.softmax}, embedding ${spec.embedding}`);
      print();
      print(costTable(cost));
      print();
      print(
        `online ${run.seconds.online.toFixed(2)} s in ${run.flights} flights; offline ${run.seconds.offline.toFixed(2)} s, setup included`,
      );
      print(
        `peak memory: client ${run.peakRssMb.client} MB, server ${run.peakRssMb.server} MB, dealer ${run.peakRssMb.dealer} MB`,
      );
      print(`largest logit error against floats: ${error.toFixed(5)}`);
    } finally {
      parties.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
