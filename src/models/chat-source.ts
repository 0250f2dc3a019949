/** Where a model's chat template stands, for those who only ask whether there is one: what runs it is large. */
import * as v from "valibot";
import type { TextTokenizer } from "./tokenizer.ts";

/** One template, or several by name. */
const templates = v.union([v.string(), v.array(v.object({ name: v.string(), template: v.string() }))]);
const special = v.nullish(
  v.union([
    v.string(),
    v.pipe(
      v.object({ content: v.string() }),
      v.transform((token) => token.content),
    ),
  ]),
);
const config = v.object({
  chat_template: v.nullish(templates),
  bos_token: special,
  eos_token: special,
  unk_token: special,
  pad_token: special,
});

/** A model's chat template, undefined where it has none, and the special tokens that it may name. */
export function chatSource({ files }: Pick<TextTokenizer, "files">) {
  const { chat_template, ...specials } = v.parse(config, JSON.parse(files["tokenizer_config.json"] ?? "{}"));
  return { source: files["chat_template.jinja"] ?? named(chat_template), specials };
}

function named(given: v.InferOutput<typeof templates> | null | undefined): string | undefined {
  if (given === null || given === undefined || typeof given === "string") return given ?? undefined;
  return (given.find(({ name }) => name === "default") ?? given[0])?.template;
}
