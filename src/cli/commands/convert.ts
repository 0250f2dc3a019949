/** `convert`: models of other formats as Hugging Face folders. */
import type { Command } from "commander";
import { convertLlama2c } from "../../models/llama2c.ts";
import { type OutputOptions, output } from "../options.ts";
import { print, printJson } from "../terminal.ts";

interface ConvertOptions extends OutputOptions {
  readonly tokenizer: string;
  readonly out: string;
}

export function addConvert(program: Command): void {
  const command = program
    .command("convert")
    .description("turn a llama2.c checkpoint into a Hugging Face folder")
    .argument("<model>", "the checkpoint, such as stories260K.bin")
    .requiredOption("--tokenizer <file>", "its tokenizer, such as tok512.bin")
    .requiredOption("--out <dir>", "where the folder goes");
  output(command).action(convert);
}

/** A llama2.c checkpoint and its tokenizer as a folder that `serve` takes. */
async function convert(model: string, options: ConvertOptions): Promise<void> {
  const { spec } = await convertLlama2c(model, options.tokenizer, options.out);
  const { layers, hidden, heads, vocabulary } = spec;
  if (options.json)
    return printJson({ out: options.out, architecture: spec.architecture, layers, hidden, heads, vocabulary });
  print(`${options.out}: ${spec.architecture}, ${layers} layers, ${hidden} wide, ${heads} heads, ${vocabulary} tokens`);
}
