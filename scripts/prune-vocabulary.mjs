// A model with fewer words: keeps the rows of its word table that another folder's tokenizer names, in that order, and takes
// that tokenizer. So a small student with its own vocabulary can be compared with its teacher layer by layer.
//   npm run build && node scripts/prune-vocabulary.mjs MODEL_DIR TOKENIZER_DIR OUT_DIR
import { loadModel, loadTokenizer, saveModel } from "../dist/models/checkpoint.js";

const [modelDir, tokenizerDir, out] = process.argv.slice(2);
if (out === undefined) {
  console.error("usage: prune-vocabulary.mjs MODEL_DIR TOKENIZER_DIR OUT_DIR");
  process.exit(1);
}
const model = await loadModel(modelDir);
const tokenizer = await loadTokenizer(tokenizerDir, model.spec);
const spec = { ...model.spec, vocabulary: tokenizer.size };
const words = model.weights.get("embeddings.word");
const width = words.shape[1];
const data = new Float32Array(tokenizer.size * width);
const pieces = (tokenizer.files["vocab.txt"] ?? "").split(/\r?\n/).slice(0, tokenizer.size);
pieces.forEach((piece, row) => {
  const id = model.tokenizer.idOf(piece);
  if (id === undefined)
    throw new Error(`the model has no piece for row ${row} of vocab.txt: its vocabulary must contain the other`);
  data.set(words.data.subarray(id * width, (id + 1) * width), row * width);
});
const table = { shape: [tokenizer.size, width], data };
const weights = { get: (name) => (name === "embeddings.word" ? table : model.weights.get(name)) };
await saveModel(out, { spec, weights, tokenizer });
console.log(`${out}: ${tokenizer.size} of ${model.spec.vocabulary} pieces`);
