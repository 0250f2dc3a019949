#!/usr/bin/env node
/** `mpcformer`: one command a party, and the commands that look at cost and accuracy. */
import { Command, CommanderError, Option } from "commander";
import { bench } from "./bench.ts";
import { calibrateCommand } from "./calibrate.ts";
import { convert } from "./convert.ts";
import { demo } from "./demo.ts";
import { distill } from "./distill.ts";
import { evaluate } from "./evaluate.ts";
import { finetune } from "./finetune.ts";
import { generate } from "./generate.ts";
import { helper } from "./helper.ts";
import { keys } from "./keys.ts";
import { approximations } from "./list.ts";
import { buildNative, doctor } from "./native.ts";
import { deal, infer, prepare, serve } from "./parties.ts";
import { plan } from "./plan.ts";
import { pretrain } from "./pretrain.ts";
import { VERSION } from "./release.ts";
import { MODEL_NAMES, SHIPPED_NAMES } from "./source.ts";
import { study } from "./study.ts";
import { web } from "./web.ts";

const MODEL = `a Hugging Face folder, ${SHIPPED_NAMES}`;
const SHAPE = `a Hugging Face folder, or one of ${MODEL_NAMES}`;

const program = new Command("mpcformer")
  .description("Private Transformer inference: neither side learns the other's secret.")
  .version(VERSION)
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(`mpcformer: ${text.replace(/^error: /, "")}`) });

const json = () => new Option("--json", "print JSON for machines");
const showProgress = () => new Option("--progress", "show progress beside --json");
const approximate = (command: Command) =>
  command
    .option("--gelu <name>", "stand-in for GeLU: exact, quad, relu (default: the folder's; quad for a named shape)")
    .option(
      "--softmax <name>",
      "stand-in for softmax: exact, 2quad[:c], 2relu[:ε], 2linear (default: the folder's; 2quad for a named shape)",
    )
    .option("--embedding <mode>", "private: the tables stay with the server; public: the client gets them")
    .option("--answer <what>", "what the client learns: scores, or the label alone")
    .option(
      "--calibrate <file>",
      "texts, one a line, that set the ranges (default: the folder's plan, or texts that ship)",
    );
const network = (command: Command) =>
  command
    .option("--deadline <seconds>", "give a silent peer up after this time", "120")
    .option("--threads <n>", "threads of this party", "1")
    .option("--plaintext", "allow unencrypted channels beyond this machine")
    .option("--key <dir>", "this party's key (mpcformer keys): all channels are TLS then");
const service = (command: Command) =>
  network(command)
    .option("--web <address>", "host:port for browsers (needs --key)")
    .option("--tls-cert <file>", "certificate of --web, as PEM: https and wss then")
    .option("--tls-key <file>", "its key")
    .option("--health <address>", "host:port of the operator's /console, /livez, /readyz and /metrics (Prometheus)")
    .option("--log <format>", "text, json or none (default: text)")
    .option("--drain <seconds>", "when stopped, let what runs end for so long", "30")
    .option("--max-running <n>", "phases at work at once; the rest waits (default: 8)")
    .option("--max-waiting <n>", "phases that may wait; the rest is refused (default: 64)")
    .option("--per-minute <n>", "phases that one key may begin in a minute (default: 6000)")
    .option("--per-key <n>", "connections that one key may have at once (default: 64; of a dealer 256, of a helper 8)");
const keepDays = () =>
  new Option(
    "--keep-days <n>",
    "burn prepared material that nobody used for so long (default: 30 at a server, 29 at a client)",
  );
const link = () => new Option("--link <link>").hideHelp();
const asking = (command: Command) =>
  command
    .option("--server <address>", "host:port of the server", "127.0.0.1:7700")
    .option("--dealer <address>", "host:port of the dealer", "127.0.0.1:7701")
    .option("--server-key <fingerprint>", "the server's key, as its operator tells it")
    .option("--dealer-key <fingerprint>", "the dealer's key, as its operator tells it");
const peers = (command: Command) => asking(network(command));

program
  .command("demo")
  .description("three processes on this machine with a model that ships; shows what each party saw")
  .argument("[text]", "a sentence to judge")
  .option("--generate [prompt]", "continue a text instead: the beginning of a children's story")
  .option("--max-tokens <n>", "new tokens, at most", "48")
  .addOption(json())
  .action((text, options) => demo(text, options));

approximate(service(program.command("serve")))
  .description("serve a model to clients")
  .argument("<model>", SHAPE)
  .option("--listen <address>", "host:port to listen at", "127.0.0.1:7700")
  .option("--dealer <address>", "host:port of the dealer", "127.0.0.1:7701")
  .option("--dealer-key <fingerprint>", "the dealer's key, as its operator tells it")
  .option("--dealer-web <url>", "where browsers reach the dealer: --web has the page then, and not channels alone")
  .option("--helper-web <url>", "where browsers reach a helper, which the page offers to phones then")
  .option("--helper-key <fingerprint>", "the helper's key, as its operator tells it")
  .option("--peers <file>", "fingerprints of the clients who may ask, one a line (default: whoever has a key)")
  .option(
    "--store <where>",
    "keep prepared material in this folder, or at redis://host:port/db, until it is used, once",
  )
  .addOption(keepDays())
  .option("--max-material <MB>", "material in memory, being made or waiting; half of it for one key (default: 16000)")
  .option("--warm <length>", "compile this padded length before listening")
  .option("--studies <file>", "results.json of mpcformer study, for the console to show (needs --health)")
  .addOption(new Option("--plan <file>").hideHelp())
  .addOption(link())
  .addOption(json())
  .action((model, options) => serve(model, options));

service(program.command("deal"))
  .description("deal correlated randomness to servers and clients")
  .option("--listen <address>", "host:port to listen at", "127.0.0.1:7701")
  .option("--peers <file>", "fingerprints of servers and clients, one a line (default: whoever has a key)")
  .option("--meet <redis>", "of several dealers behind one address: their own redis://host:port/db, without any disk")
  .option("--max-weights <MB>", "masked weights kept in memory; beyond it the longest unused go (default: 3221)")
  .addOption(json())
  .action((options) => deal(options));

peers(program.command("infer"))
  .description("ask a server about a text, privately")
  .argument("[text]", "the text; it stays on this machine")
  .option("--file <file>", "take the text from a file")
  .option("--pair <text>", "the second text of a pair")
  .option("--helper <address>", "host:port of a helper, which computes while this machine only shares its text")
  .option("--helper-key <fingerprint>", "the helper's key, as its operator tells it")
  .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
  .addOption(keepDays())
  .option("--ahead <n>", "after the answer, prepare until so many texts of its length can be asked about at once")
  .addOption(new Option("--ids <file>").hideHelp())
  .addOption(new Option("--runs <n>").hideHelp())
  .addOption(link())
  .addOption(json())
  .action((text, options) => infer(text, options));

asking(service(program.command("helper")))
  .description(
    "compute for clients who only share their texts, and learn no text; not for the server's or the dealer's operator",
  )
  .option("--listen <address>", "host:port to listen at", "127.0.0.1:7702")
  .option("--peers <file>", "fingerprints of the clients who may ask, one a line (default: whoever has a key)")
  .addOption(json())
  .action((options) => helper(options));

const choices = (command: Command) =>
  command
    .option("--max-tokens <n>", "new tokens, at most", "32")
    .option("--temperature <t>", "0: always the likeliest token; the higher, the more daring (default: 0)")
    .option("--top-k <n>", "choose among the so many likeliest tokens")
    .option("--top-p <p>", "choose among the likeliest tokens of this probability together")
    .option("--seed <n>", "draws the same random numbers again (logits under MPC differ in their last bits)")
    .option("--stop <text...>", "end before this text");

choices(peers(program.command("generate")))
  .description("continue a text privately, token by token")
  .argument("[prompt]", "the text; it stays on this machine")
  .option("--file <file>", "take the text from a file")
  .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
  .addOption(keepDays())
  .addOption(new Option("--ids <file>").hideHelp())
  .addOption(new Option("--runs <n>").hideHelp())
  .addOption(link())
  .addOption(json())
  .action((prompt, options) => generate(prompt, options));

peers(program.command("prepare"))
  .description("make material ahead of time, so that a text needs the online phase only")
  .requiredOption("--store <where>", "folder or redis://host:port/db to keep it (the server needs --store of its own)")
  .addOption(keepDays())
  .option("--tokens <n>", "for texts of up to so many tokens", "32")
  .option("--max-tokens <n>", "and so many new ones, of a model that continues texts", "32")
  .option("--temperature <t>", "at which a server that tells tokens alone chooses them")
  .option("--count <n>", "how many texts", "1")
  .addOption(json())
  .action((options) => prepare(options));

program
  .command("web")
  .description("the client as a web page: for a running service, or with all parties on this machine")
  .argument("[model]", `what to serve here: ${MODEL} (default: demo)`)
  .option("--listen <address>", "host:port of the page", "127.0.0.1:7780")
  .option("--server <url>", "where browsers reach the server: wss://host or ws://host:port")
  .option("--server-key <fingerprint>", "its key, which ships with the page")
  .option("--dealer <url>", "where browsers reach the dealer")
  .option("--dealer-key <fingerprint>", "its key, which ships with the page")
  .option("--helper <url>", "where browsers reach a helper, which the page offers to phones then")
  .option("--helper-key <fingerprint>", "its key, which ships with the page")
  .option("--tls-cert <file>", "the page's certificate, as PEM: https then")
  .option("--tls-key <file>", "its key")
  .addOption(json())
  .action((model, options) => web(model, options));

approximate(program.command("plan"))
  .description("the cost of a private inference, by step and in all, without running it")
  .argument("<model>", SHAPE)
  .requiredOption("--length <n>", "padded length in tokens")
  .option("--tokens <n>", "new tokens, of a model that continues texts (default: 16)")
  .addOption(json())
  .action((model, options) => plan(model, options));

approximate(program.command("bench"))
  .description("the same, measured over three processes on this machine: where the time and the bytes go")
  .argument("<model>", SHAPE)
  .requiredOption("--length <n>", "padded length in tokens")
  .option("--tokens <n>", "new tokens, of a model that continues texts (default: 16)")
  .option("--batch <n>", "texts that run side by side and share flights", "1")
  .option("--runs <n>", "runs after a first one; medians are told", "5")
  .option("--network <name>", "loopback, lan, wan, or round-trip milliseconds,Mbit/s", "loopback")
  .option("--threads <n>", "threads of each party", "1")
  .option("--pairs <list>", "compare pairs of stand-ins: all, or such as quad+2quad,exact+exact")
  .option("--svg <file>", "draw it")
  .addOption(json())
  .action((model, options) => bench(model, options));

approximate(program.command("evaluate"))
  .description("accuracy on labelled texts, in the clear or under MPC")
  .argument("<model>", MODEL)
  .requiredOption("--data <file>", "TSV, CSV or JSONL with a text and a label on each line")
  .option("--task <name>", "columns and metrics of cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli or imdb")
  .option("--private", "run every text privately, over three processes")
  .option("--limit <n>", "only the first so many texts")
  .option("--no-range-check", "do not look for texts beyond the plan's ranges, which takes a run in fixed point")
  .addOption(json())
  .addOption(showProgress())
  .action((model, options) => evaluate(model, options));

approximate(program.command("calibrate"))
  .description("set a model's ranges from texts and keep them in its folder as mpcformer.json")
  .argument("<model>", "a Hugging Face folder")
  .requiredOption("--data <file>", "texts, one a line: the more like the users', the better")
  .option("--margin <factor>", "room beyond what the texts show", "2")
  .addOption(json())
  .action((model, options) => calibrateCommand(model, options));

const train = (command: Command) =>
  command
    .requiredOption("--data <file>", "TSV, CSV or JSONL with a text (or two) and a label on each line")
    .option("--dev <file>", "the same, to measure by: the best weights on it are kept")
    .option(
      "--task <name>",
      "columns, labels and metrics of cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli or imdb",
    )
    .requiredOption("--out <dir>", "where the model goes; a run that was stopped goes on from here")
    .option("--limit <n>", "only the first so many texts of --data")
    .option("--dev-limit <n>", "only the first so many texts of --dev")
    .option("--length <n>", "cut texts at so many tokens (default: at the model's positions)")
    .option("--batch <n>", "texts of a batch", "32")
    .option("--accumulate <n>", "batches before the weights move", "1")
    .option("--warmup <share>", "share of the steps in which the learning rate rises", "0.1")
    .option("--decay <x>", "weight decay", "0.01")
    .option("--clip <norm>", "largest norm of the gradients", "1")
    .option("--freeze <what>", "what stays as it is: nothing, words, embeddings", "nothing")
    .option("--seed <n>", "decides order, dropout and random weights", "1")
    .option("--threads <n>", "threads of the CPU (default: all cores)")
    .option("--provider <name>", "where it runs: cpu, cuda, webgpu", "cpu")
    .option("--patience <n>", "evaluations without a better one after which to stop; 0: never", "0")
    .option("--evaluations <n>", "evaluations an epoch", "1")
    .addOption(json())
    .addOption(showProgress());

program
  .command("pretrain")
  .description("make a small BERT from plain text by masked-language modelling, or a decoder by next tokens")
  .requiredOption("--texts <file>", "texts, one a line")
  .requiredOption("--out <dir>", "where the model goes; a run that was stopped goes on from here")
  .option("--architecture <name>", "bert, gpt2 or llama", "bert")
  .option("--dev <file>", "of a decoder: texts to measure perplexity by")
  .option("--key-heads <n>", "of a llama: heads of keys and values (default: as many as heads)")
  .option("--dropout <rate>", "of a decoder: rate of dropout", "0")
  .option("--tokenizer <dir>", "use this folder's tokenizer (default: learn one from the texts)")
  .option("--vocabulary <n>", "pieces to learn", "8000")
  .option("--layers <n>", "layers", "3")
  .option("--width <n>", "hidden width", "128")
  .option("--heads <n>", "attention heads", "4")
  .option("--intermediate <n>", "width of the feed-forward layers", "512")
  .option("--length <n>", "tokens of a text; longer ones are cut into pieces", "128")
  .option("--epochs <n>", "passes over the texts", "1")
  .option("--batch <n>", "pieces of a batch", "32")
  .option("--lr <rate>", "largest learning rate", "1e-3")
  .option("--seed <n>", "decides order, masks and first weights", "1")
  .option("--threads <n>", "threads of the CPU (default: all cores)")
  .option("--provider <name>", "where it runs: cpu, cuda, webgpu", "cpu")
  .addOption(json())
  .addOption(showProgress())
  .action((options) => pretrain(options));

train(program.command("finetune"))
  .description("make a teacher: train an encoder on labelled texts")
  .requiredOption("--from <model>", "a Hugging Face folder of a BERT or RoBERTa, with a classifier or without")
  .option("--layers <n>", "keep the first so many layers")
  .option("--gelu <name>", "train with this stand-in")
  .option("--softmax <name>", "train with this stand-in")
  .option("--regression", "the labels are values")
  .option("--epochs <n>", "passes over the data", "3")
  .option("--lr <rate>", "largest learning rate", "5e-5")
  .option("--dropout <rate>", "rate of dropout; 0: off", "0.1")
  .action((options) => finetune(options));

train(program.command("distill"))
  .description("train a student with stand-ins to compute what its teacher computes (MPCFormer's two stages)")
  .requiredOption("--teacher <dir>", "a fine-tuned Hugging Face folder")
  .option("--gelu <name>", "the student's stand-in for GeLU", "quad")
  .option("--softmax <name>", "the student's stand-in for softmax", "2quad")
  .option(
    "--student <from>",
    "begin with the teacher's weights (teacher), at random (scratch), or with a folder's",
    "teacher",
  )
  .option("--layers <n>", "layers of the student, evenly of the teacher's (default: all)")
  .option("--layers-epochs <n>", "first stage, all layers: passes over the data", "10")
  .option("--layers-lr <rate>", "first stage: largest learning rate", "5e-5")
  .option("--prediction-epochs <n>", "second stage, predictions: passes over the data", "5")
  .option("--prediction-lr <rate>", "second stage: largest learning rate", "1e-5")
  .option("--hidden <weight>", "weight of the hidden states' loss (first stage)", "1")
  .option("--scores <weight>", "weight of the attention scores' loss (first stage)", "1")
  .option("--prediction <weight>", "weight of the soft predictions' loss (second stage)", "1")
  .option("--labels <weight>", "weight of the data's own labels (second stage)", "0")
  .option("--ranges <weight>", "weight of a penalty on values beyond the teacher's ranges (both stages)", "0")
  .option("--sums <weight>", "weight of a penalty on sums of attention's weights far from the usual (both stages)", "0")
  .option("--temperature <t>", "softens the predictions of both", "1")
  .option("--embedding <mode>", "private: the tables stay with the server; public: the client gets them")
  .option("--answer <what>", "what the client learns: scores, or the label alone")
  .option("--dropout <rate>", "rate of dropout; 0: off", "0")
  .action((options) => distill(options));

program
  .command("study")
  .description(
    "remake MPCFormer's tables: pairs of stand-ins, without and with distillation, in the clear and under MPC",
  )
  .argument("<file>", 'a study in YAML (docs/training.md, "Studies")')
  .requiredOption("--out <dir>", "where models and results go; a study that was stopped goes on from here")
  .option("--root <dir>", "where the study's paths begin (default: the file's own folder)")
  .option("--only <names>", "only these of its tasks, separated by commas")
  .addOption(json())
  .action((file, options) => study(file, options));

program
  .command("convert")
  .description("turn a llama2.c checkpoint into a Hugging Face folder")
  .argument("<model>", "the checkpoint, such as stories260K.bin")
  .requiredOption("--tokenizer <file>", "its tokenizer, such as tok512.bin")
  .requiredOption("--out <dir>", "where the folder goes")
  .addOption(json())
  .action((model, options) => convert(model, options));

program
  .command("keys")
  .description("make a party's key in a folder, or show the one that is there: prints its fingerprint")
  .argument("<folder>", "where it is")
  .addOption(json())
  .action((folder, options) => keys(folder, options));

program
  .command("approximations")
  .description("the stand-ins for GeLU and softmax")
  .addOption(json())
  .action((options) => approximations(options));

program
  .command("build-native")
  .description(
    "compile faster kernels for this machine's processor, with its C compiler; without them WebAssembly does it",
  )
  .option("--cc <command>", "the C compiler", process.env.CC ?? "cc")
  .addOption(json())
  .action((options) => buildNative(options));

program
  .command("doctor")
  .description("what this machine runs: versions, kernels, speed of one core")
  .addOption(json())
  .action((options) => doctor(options));

/** One line that says what to do; a stack only for faults of this program. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  const message = error instanceof Error ? error.message.split("\n")[0] : "failed";
  process.stderr.write(`mpcformer: ${message}\n`);
  return 1;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
  // Sockets of a broken session must not keep the process alive.
  if (process.exitCode !== 0) process.exit();
}
