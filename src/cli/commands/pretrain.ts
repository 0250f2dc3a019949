/** `pretrain`: a small model from plain text. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { readCurves } from "../../distill/curves.ts";
import { ADAM } from "../../distill/optimiser.ts";
import { type MaskTokens, maskedBatch, piecesOf, writeMaskedModelling } from "../../distill/pretrain.ts";
import { run, SAVE_SECONDS } from "../../distill/run.ts";
import { initialWeights, resident } from "../../distill/weights.ts";
import { anyTokenizer } from "../../models/any-tokenizer.ts";
import { loadTokenizer, saveModel } from "../../models/checkpoint.ts";
import { baseOf } from "../../models/families/all.ts";
import type { TextTokenizer } from "../../models/tokenizer.ts";
import { learnWordPieces, SPECIALS } from "../../models/wordpiece.ts";
import type { ModelSpec } from "../../program/spec.ts";
import { readTexts } from "../../tasks/tables.ts";
import { writeChart } from "../charts.ts";
import { Failure, UsageError } from "../failure.ts";
import { isQuiet, outputWithProgress } from "../options.ts";
import { ARCHITECTURES, type PretrainOptions, pretrainDecoder } from "../pretrain-decoder.ts";
import { Progress } from "../progress.ts";
import { note, print, printJson } from "../terminal.ts";
import { sessionOf, TRAINING, trainingProgress } from "../training.ts";
import { trainerOptions } from "../training-options.ts";
import { decimal, whole } from "../values.ts";

export function addPretrain(program: Command): void {
  const command = program
    .command("pretrain")
    .description("make a small BERT from plain text by masked-language modelling, or a decoder by next tokens")
    .requiredOption("--texts <file>", "texts, one a line")
    .option("--dev <file>", "of a decoder: texts to measure perplexity by")
    .requiredOption("--out <dir>", "where the model goes; a run that was stopped goes on from here")
    .option("--tokenizer <dir>", "use this folder's tokenizer (default: learn one from the texts)")
    .addOption(whole("--vocabulary <n>", "pieces to learn").default(8000))
    .optionsGroup("Model:")
    .addOption(new Option("--architecture <name>", "what to make").choices(ARCHITECTURES).default("bert"))
    .addOption(whole("--layers <n>", "layers").default(3))
    .addOption(whole("--width <n>", "hidden width").default(128))
    .addOption(whole("--heads <n>", "attention heads").default(4))
    .addOption(whole("--key-heads <n>", "of a llama: heads of keys and values (default: as many as heads)"))
    .addOption(whole("--intermediate <n>", "width of the feed-forward layers").default(512))
    .addOption(whole("--length <n>", "tokens of a text; longer ones are cut into pieces", 8, 4096).default(128))
    .optionsGroup("Training:")
    .addOption(decimal("--epochs <n>", "passes over the texts", 0.001, 1e4).default(1))
    .addOption(whole("--batch <n>", "pieces of a batch").default(32))
    .addOption(decimal("--lr <rate>", "largest learning rate", 1e-9, 1).default(1e-3))
    .addOption(decimal("--dropout <rate>", "of a decoder: rate of dropout", 0, 0.9).default(0));
  outputWithProgress(trainerOptions(command)).action(pretrain);
}

/** Texts from which a vocabulary is learnt: words that matter occur in the first ones. */
const VOCABULARY_TEXTS = 20_000;
/** Longer than any text: pieces are cut after the tokens are known. */
const ANY_LENGTH = 1_000_000;

/** Makes a small model from plain text: a BERT by masked-language modelling, or a decoder. */
async function pretrain(options: PretrainOptions): Promise<void> {
  const { architecture } = options;
  if (architecture !== "bert") return pretrainDecoder({ ...options, architecture });
  const progress = new Progress(isQuiet(options));
  const texts = await readTexts(options.texts);
  const shape = shapeOf(options);
  const { tokenizer, vocabulary, tokens } = await tokenizerOf(options, shape, texts);
  const spec = { ...shape, vocabulary };
  const seed = options.seed;
  const pieces = piecesOf(texts, tokenizer, tokens, spec.positions);
  if (pieces.length === 0) throw new Failure(`${options.texts} has no text of 8 tokens or more: give longer ones`);
  const model = { spec, weights: resident(spec, initialWeights(spec, seed)) };
  const folder = join(options.out, TRAINING, "tokens");
  const schedule = {
    epochs: options.epochs,
    batch: options.batch,
    learningRate: options.lr,
    warmup: 0.05,
  };
  const { weights, state, steps } = await run({
    folder,
    request: JSON.stringify({
      spec,
      schedule,
      seed,
      pieces: pieces.length,
      tokens: pieces.reduce((n, { ids }) => n + ids.length, 0),
    }),
    model,
    examples: pieces.map((text) => ({ text, label: 0 })),
    batchOf: (selection, index) =>
      maskedBatch(
        selection.map((i) => pieces[i]),
        spec,
        tokens,
        seed,
        index,
      ),
    write: (graph) => writeMaskedModelling(graph, model, seed),
    keep: "last",
    schedule,
    saveSeconds: SAVE_SECONDS,
    trainer: {
      ...sessionOf(options),
      adam: ADAM,
      dropout: 0,
      accumulate: 1,
      seed,
      vocabulary,
      wholeTables: true,
    },
    progress: trainingProgress(progress)("masked tokens"),
  });
  const final = anyTokenizer(tokenizer.files, spec);
  await saveModel(options.out, { spec, weights, tokenizer: final }, { encoderOnly: true });
  const curves = await readCurves(join(options.out, TRAINING), [{ name: "tokens" }]);
  await writeChart(join(options.out, TRAINING, "curves.svg"), ({ stageCurves }) => stageCurves(curves));
  progress.stop();
  const loss = curves[0].loss.at(-1)?.[1] ?? null;
  if (options.json) return printJson({ out: options.out, steps, seconds: Math.round(state.seconds), loss, vocabulary });
  print(`${steps} steps in ${Math.round(state.seconds)} s; loss of masked tokens ${loss?.toFixed(3)}`);
  print(`wrote ${options.out}: fine-tune it with "mpcformer finetune --from ${options.out}"`);
}

function shapeOf(o: PretrainOptions): ModelSpec {
  const [hidden, heads] = [o.width, o.heads];
  if (hidden % heads !== 0) throw new UsageError("--heads must divide --width");
  return {
    ...baseOf("bert"),
    layers: o.layers,
    hidden,
    heads,
    keyHeads: heads,
    headWidth: hidden / heads,
    intermediate: o.intermediate,
    vocabulary: o.vocabulary,
    positions: o.length,
    types: 2,
    labels: 2,
    epsilon: 1e-12,
    positionOffset: 0,
    tied: false,
    problem: "classification",
    labelNames: ["LABEL_0", "LABEL_1"],
    gelu: "exact",
    softmax: "exact",
    embedding: "private",
    answer: "scores",
  };
}

/** Another model's tokenizer, or one learnt from the texts. It takes texts of any length. */
async function tokenizerOf(o: PretrainOptions, shape: ModelSpec, texts: readonly string[]) {
  const wide = { ...shape, positions: ANY_LENGTH };
  let tokenizer: TextTokenizer;
  if (o.tokenizer !== undefined) tokenizer = await loadTokenizer(o.tokenizer, { ...wide, vocabulary: ANY_LENGTH });
  else {
    if (!isQuiet(o)) note(`learning ${shape.vocabulary} pieces of words`);
    const kept = join(o.out, "vocab.txt");
    await mkdir(o.out, { recursive: true });
    await writeFile(kept, learnWordPieces(texts.slice(0, VOCABULARY_TEXTS), shape.vocabulary));
    tokenizer = await loadTokenizer(o.out, wide);
  }
  const [cls, sep, mask] = ["[CLS]", "[SEP]", "[MASK]"].map((token) => tokenizer.idOf(token));
  if (cls === undefined || sep === undefined || mask === undefined) {
    throw new Failure(`the vocabulary lacks one of ${SPECIALS.join(", ")}: give a BERT's, or learn one`);
  }
  const tokens: MaskTokens = { cls, sep, mask };
  return { tokenizer, tokens, vocabulary: tokenizer.size };
}
