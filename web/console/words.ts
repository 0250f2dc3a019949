/** Numbers and models as people read them. */
import type { CompiledLength, ServerStatus } from "../../src/console/status.ts";

const PREFIXES = ["", "k", "M", "G", "T"] as const;

/** 328446 -> "328 k"; three digits at most, and a decimal where there is one digit before it. */
function prefixed(n: number): string {
  let [value, step] = [n, 0];
  while (value >= 999.5 && step < PREFIXES.length - 1) {
    value /= 1000;
    step++;
  }
  const digits = step > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${PREFIXES[step]}`;
}

export function bytes(n: number): string {
  return `${prefixed(n)}B`;
}

export function count(n: number): string {
  return n.toLocaleString("en");
}

export function multiplications(n: number): string {
  return prefixed(n).trim();
}

export function seconds(s: number): string {
  return s < 1 ? `${Math.round(s * 1000)} ms` : `${s < 9.95 ? s.toFixed(2) : s.toFixed(1)} s`;
}

/** "3 days 4 h", "12 min", "8 s": as exact as it matters. */
export function duration(s: number): string {
  const [days, hours, minutes] = [Math.floor(s / 86_400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (days > 0) return `${days} ${days === 1 ? "day" : "days"} ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(s)} s`;
}

export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** Of a score in [-1, 1], as the studies' tables have it. */
export function percent(share: number | null): string {
  return share === null ? "–" : (100 * share).toFixed(1);
}

/** What a program was compiled for. */
export function lengthOf({ length, turns, scoring, temperature }: CompiledLength): string {
  const text = `${length} tokens`;
  if (scoring) return `${text}, all scored`;
  const more = turns === 1 ? text : `${text} and ${turns} new`;
  return temperature > 0 ? `${more}, temperature ${temperature}` : more;
}

type Model = ServerStatus["model"];

const NAMES: Readonly<Record<string, string>> = {
  bert: "BERT",
  roberta: "RoBERTa",
  gpt2: "GPT-2",
  opt: "OPT",
  llama: "Llama",
};

/** A model in terms and their words. */
export function modelWords(model: Model): readonly (readonly [string, string])[] {
  const { architecture, layers, hidden, heads, intermediate, vocabulary, longest } = model;
  const feedForward = model.activation === "silu" ? "SiLU" : "GeLU";
  return [
    ["Model", `${NAMES[architecture] ?? architecture}, ${layers} layers of width ${hidden}, ${heads} heads`],
    ["Feed-forward", `width ${count(intermediate)}, ${feedForward} approximation: ${model.gelu}`],
    ["Attention", `softmax approximation: ${model.softmax}`],
    ["Texts", `up to ${count(longest)} tokens of a vocabulary of ${count(vocabulary)}`],
    ["Embedding", EMBEDDING[model.embedding]],
    ["Answer", answerWords(model)],
    ["Plan", `ranges of calibration times ${model.margin}`],
  ];
}

const EMBEDDING = {
  private: "private: its tables stay with the server",
  public: "public: clients get its tables",
} as const;

function answerWords({ problem, labels, answer }: Model): string {
  if (problem === "generation") return answer === "label" ? "the next token alone" : "every token's logit";
  if (problem === "regression") return labels === 1 ? "one value" : `${labels} values`;
  if (problem === "tokens") return `scores of all ${labels} labels, of every token`;
  if (problem === "vector") return `a vector of ${labels} values`;
  if (problem === "mask") return "of the masked word, the scores of all words";
  if (problem === "spans") return "of every token, the scores that an answer begins and ends there";
  return answer === "label" ? `the winning one of ${labels} labels alone` : `scores of all ${labels} labels`;
}
