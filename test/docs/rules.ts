/**
 * What is different when a page's blocks run in a test, all of it: nothing else is changed or left out. A rule that no page
 * needs fails a test.
 */

export interface Rule {
  readonly pattern: RegExp;
  readonly replacement: string;
  readonly because: string;
}

/** On the text of commands and programs. */
export const REPLACED: readonly Rule[] = [
  { pattern: /\bnpm ci\b/g, replacement: ":", because: "the test runs in an installed clone" },
  { pattern: /\bnpm test\b/g, replacement: ":", because: "this is that test" },
  {
    pattern: /\bnpm run demo --/g,
    replacement: "mpcformer demo",
    because: "what package.json says, in another folder",
  },
  { pattern: /\bnpm install onnxruntime-node.*/g, replacement: ":", because: "a clone has it" },
  { pattern: /\bHOST\b/g, replacement: "127.0.0.1", because: "a placeholder" },
  { pattern: /\b0\.0\.0\.0\b/g, replacement: "127.0.0.1", because: "a test listens on this machine alone" },
  { pattern: /\b(DEALER|SERVER|HELPER)_FINGERPRINT\b/g, replacement: "$$(fingerprint $1)", because: "a placeholder" },
];

/** Ports that pages name: each becomes a free one. */
export const PORTS = /\b(77\d\d|63\d\d|9000)\b/g;

export interface Scaled {
  readonly options: readonly string[];
  readonly because: string;
}

/** Options put behind those of a command, which they outdo. */
export const SCALED: Readonly<Record<string, Scaled>> = {
  finetune: { options: ["--epochs", "1", "--threads", "1"], because: "a test has seconds" },
  distill: {
    options: ["--layers-epochs", "1", "--prediction-epochs", "1", "--threads", "1"],
    because: "a test has seconds",
  },
  pretrain: { options: ["--epochs", "1", "--threads", "1"], because: "a test has seconds" },
  evaluate: { options: ["--limit", "2"], because: "a test has seconds" },
};

export interface LeftOut {
  /** A line that has this is not run. */
  readonly pattern: RegExp;
  readonly because: string;
}

/** The last resort. */
export const LEFT_OUT: readonly LeftOut[] = [
  {
    pattern: /^mpcformer build-native/,
    because: "it would change the kernels of all tests that follow; .ci/run runs it after them",
  },
];
