// Texts that a decoder writes by itself, to distil it on: node studies/sample-texts.mjs MODEL_DIR OUT COUNT [TOKENS] [SEED]
// Each begins with the token that begins texts and is sampled at temperature 1 until the model ends it, or at TOKENS tokens.
// They are put one behind the other into OUT, with lines <|endoftext|> between; a text that did not end is left out.
import { appendFileSync, readFileSync, existsSync } from "node:fs";
import { loadModel } from "../dist/models/checkpoint.js";
import { turnsOf } from "../dist/models/model.js";
import { generator, uniforms } from "../dist/models/random.js";
import { FloatOps } from "../dist/reference/float.js";

const END = "<|endoftext|>";
const [folder, out, count, tokens = "512", seed = "1"] = process.argv.slice(2);
const { spec, weights, tokenizer } = await loadModel(folder);
const begin = tokenizer.encode("").ids;
const most = Math.min(Number(tokens), tokenizer.limit);

/** A token drawn from softmax(logits). */
function draw(logits, uniform) {
  const top = Math.max(...logits);
  const shares = Array.from(logits, (x) => Math.exp(x - top));
  let left = uniform() * shares.reduce((a, b) => a + b, 0);
  const token = shares.findIndex((share) => (left -= share) <= 0);
  return token < 0 ? logits.length - 1 : token;
}

/** The tokens of text number `index`; null when it did not end. */
function sampled(index) {
  const uniform = uniforms(generator(`text ${index}`, Number(seed)));
  const ids = [...begin];
  const choose = (logits) => {
    ids.push(draw(logits, uniform));
    return ids[ids.length - 1];
  };
  const ops = new FloatOps(weights, { ids: begin, types: begin.map(() => 0) }, begin.length, { choose });
  const turns = turnsOf(ops, spec);
  while (ids.length < most) {
    turns.next(); // chooses from the logits of the turn before
    if (ids.length > begin.length && ids.at(-1) === tokenizer.endId) return ids.slice(0, -1);
  }
  return null;
}

const known = existsSync(out) ? readFileSync(out, "utf8").split(`\n${END}\n`).length - 1 : 0;
for (let [index, kept] = [0, 0]; kept < Number(count); index++) {
  const ids = sampled(index);
  if (ids === null) continue;
  // A run that was stopped draws the same texts again and goes on behind those that are there.
  if (kept++ >= known) appendFileSync(out, `${tokenizer.decode(ids).trim()}\n${END}\n`);
  if (kept % 100 === 0) console.error(`${kept} texts`);
}
