/** `convert`: models of other formats as Hugging Face folders. */
import type { Command } from "commander";
import { loadModel, type Model, saveModel } from "../../models/checkpoint.ts";
import { loadLlama2c } from "../../models/llama2c.ts";
import { isGguf } from "../../models/model-files.ts";
import { UsageError } from "../failure.ts";
import { type OutputOptions, output } from "../options.ts";
import { print, printJson } from "../terminal.ts";

interface ConvertOptions extends OutputOptions {
  readonly tokenizer?: string;
  readonly out: string;
}

export function addConvert(program: Command): void {
  const command = program
    .command("convert")
    .description("turn a GGUF file or a llama2.c checkpoint into a Hugging Face folder")
    .argument("<model>", "the file, such as model.gguf or stories260K.bin")
    .option("--tokenizer <file>", "a llama2.c checkpoint's tokenizer, such as tok512.bin")
    .requiredOption("--out <dir>", "where the folder goes");
  output(command).action(convert);
}

/** A file of another format as a folder that every command takes. */
async function convert(path: string, options: ConvertOptions): Promise<void> {
  const model = await opened(path, options.tokenizer);
  await saveModel(options.out, model);
  const { layers, hidden, heads, vocabulary, architecture } = model.spec;
  if (options.json) return printJson({ out: options.out, architecture, layers, hidden, heads, vocabulary });
  print(`${options.out}: ${architecture}, ${layers} layers, ${hidden} wide, ${heads} heads, ${vocabulary} tokens`);
}

/** @throws UsageError where the tokenizer is missing, or too many. */
async function opened(path: string, tokenizer: string | undefined): Promise<Model> {
  if (isGguf(path)) {
    if (tokenizer !== undefined) throw new UsageError("a GGUF file has its tokenizer inside: leave --tokenizer out");
    return loadModel(path);
  }
  if (tokenizer === undefined)
    throw new UsageError("a llama2.c checkpoint has its tokenizer apart: give --tokenizer FILE");
  return loadLlama2c(path, tokenizer);
}
