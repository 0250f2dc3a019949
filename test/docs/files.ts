/** The files that the pages' commands speak of, small. */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SUBJECTS = ["the film", "this story", "the music", "her acting", "the ending", "every scene"];
const WORDS = [
  ["is terrible", "was a sad waste", "is cold and dull", "was simply awful"],
  ["is wonderful", "was a great joy", "is warm and funny", "was simply excellent"],
];

/**
 * CHAT_DIR: a small decoder with a chat template, EMBEDDER_DIR: a small model of sentence-transformers, both without a plan. MODEL_DIR: the demo model as Hugging Face would lay it out, without a plan. ENCODER_DIR: a small BERT. DECODER_DIR: a small
 * Llama. texts.txt: opinions; train.tsv and dev.tsv: the same with labels; stories.txt: texts to continue.
 */
export async function layFiles(folder: string): Promise<void> {
  await cp(join(ROOT, "assets", "demo"), join(folder, "MODEL_DIR"), { recursive: true });
  await cp(join(ROOT, "assets", "storyteller"), join(folder, "DECODER_DIR"), { recursive: true });
  await rm(join(folder, "MODEL_DIR", "mpcformer.json"));
  await cp(join(ROOT, "assets", "storyteller"), join(folder, "CHAT_DIR"), { recursive: true });
  await rm(join(folder, "CHAT_DIR", "mpcformer.json"));
  const config = join(folder, "CHAT_DIR", "tokenizer_config.json");
  const template = { chat_template: "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}" };
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, "utf8")), ...template }));
  const embedder = join(ROOT, "test", "models", "fixtures", "tasks", "embed-mean");
  await cp(embedder, join(folder, "EMBEDDER_DIR"), { recursive: true });
  await cp(join(ROOT, "test", "models", "fixtures", "bert-cased"), join(folder, "ENCODER_DIR"), { recursive: true });
  const rows = SUBJECTS.flatMap((subject) =>
    WORDS.flatMap((words, label) => words.map((w) => [`${subject} ${w}`, label])),
  );
  const table = (kept: readonly unknown[][]) => `sentence\tlabel\n${kept.map((row) => row.join("\t")).join("\n")}\n`;
  await writeFile(join(folder, "train.tsv"), table(rows.filter((_, i) => i % 5 !== 0)));
  await writeFile(join(folder, "dev.tsv"), table(rows.filter((_, i) => i % 5 === 0)));
  const shipped = await readFile(join(ROOT, "assets", "calibration.txt"), "utf8");
  await writeFile(join(folder, "texts.txt"), shipped.split("\n").slice(0, 60).join("\n"));
  await writeFile(join(folder, "stories.txt"), `${rows.map(([text]) => `Once upon a time, ${text}.`).join("\n")}\n`);
  await mkdir(join(folder, "data"));
}
