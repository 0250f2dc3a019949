/** Vectors of texts, in the words of OpenAI (`/v1/embeddings`) and of text-embeddings-inference (`/embed`). */
import * as v from "valibot";
import type { Answer } from "../parties/answer.ts";
import type { Client } from "../parties/client.ts";
import { flag, type Nothing, read, text } from "./fields.ts";
import { spentBy } from "./forms.ts";
import { type Judgement, type JudgeOptions, judged, NOTHING, several, wrongModel } from "./judgements.ts";

const oneOrMore = (what: string) =>
  v.union(
    [
      v.pipe(
        text,
        v.transform((one) => [one]),
      ),
      several(text, what),
    ],
    "must be a text or an array of texts",
  );

const embeddings = v.strictObject({
  model: v.string("must be the name of a model: see /v1/models"),
  input: oneOrMore("must have texts"),
  encoding_format: v.nullish(v.picklist(["float", "base64"], "must be float or base64")),
  // Who asks is told to nobody, and changes nothing.
  user: v.nullish(text),
});
const embed = v.strictObject({ inputs: oneOrMore("must have texts"), normalize: flag });

const NO_FIELDS: Nothing = {};

/** `POST /v1/embeddings`. @throws ApiError that names the field. */
export function embeddingsRequest(body: unknown): { readonly model: string; readonly judgement: Judgement } {
  const { model, input, encoding_format } = read(embeddings, body, NO_FIELDS);
  const judgement: Judgement = async (client, options) => {
    const answers = await vectors(client, input, options);
    const tokens = answers.reduce((all, one) => all + one.tokens, 0);
    return {
      object: "list",
      model,
      data: answers.map(({ logits }, index) => ({
        object: "embedding",
        index,
        embedding: encoding_format === "base64" ? base64(logits) : logits,
      })),
      // Texts of one padded length share a run: their figures are its own.
      usage: { prompt_tokens: tokens, total_tokens: tokens, mpc: spentBy(runsOf(answers)) },
    };
  };
  return { model, judgement };
}

/** `POST /embed`: unit vectors unless told otherwise. @throws ApiError that names the field. */
export function embedRequest(body: unknown): Judgement {
  const { inputs, normalize } = read(embed, body, NOTHING);
  return async (client, options) => {
    const answers = await vectors(client, inputs, options);
    return answers.map(({ logits }) => (normalize === false ? logits : unit(logits)));
  };
}

async function vectors(client: Client, texts: readonly string[], options: JudgeOptions): Promise<readonly Answer[]> {
  if (client.spec.problem !== "vector") throw wrongModel("a model that embeds texts");
  return judged(client, texts, options);
}

/** One answer of each run: those of one run have the same object of bytes. */
function runsOf(answers: readonly Answer[]): readonly Answer[] {
  return [...new Map(answers.map((one) => [one.bytes, one])).values()];
}

/** As OpenAI's clients ask for them unless told otherwise: 32-bit numbers, the lowest byte first. */
function base64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (const [i, x] of vector.entries()) bytes.writeFloatLE(x, 4 * i);
  return bytes.toString("base64");
}

function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((x) => (length === 0 ? 0 : x / length));
}
