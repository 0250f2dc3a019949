/** `convert`: models of other formats as Hugging Face folders. */
import { convertLlama2c } from "../models/llama2c.ts";
import { print, printJson } from "./terminal.ts";

export interface ConvertOptions {
  readonly tokenizer: string;
  readonly out: string;
  readonly json?: boolean;
}

/** A llama2.c checkpoint and its tokenizer as a folder that `serve` takes. */
export async function convert(model: string, options: ConvertOptions): Promise<void> {
  const { spec } = await convertLlama2c(model, options.tokenizer, options.out);
  const { layers, hidden, heads, vocabulary } = spec;
  if (options.json)
    return printJson({ out: options.out, architecture: spec.architecture, layers, hidden, heads, vocabulary });
  print(`${options.out}: ${spec.architecture}, ${layers} layers, ${hidden} wide, ${heads} heads, ${vocabulary} tokens`);
}
