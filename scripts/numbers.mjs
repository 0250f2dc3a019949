// The numbers that the documents take from `plan` and from kept results of the bench (bench/results): `node scripts/numbers.mjs` says which
// are out of date, `--write` puts the right ones in. test/docs/numbers.test.ts compares. Needs dist/.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const KEPT = "bench/results/zen5-2-cores.json";

const mega = (bytes, digits = 0) => (bytes / 1e6).toFixed(digits);
const seconds = (value, digits) =>
  value < 0.1 && digits > 1 ? `${(1000 * value).toFixed(0)} ms` : `${value.toFixed(digits)} s`;
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** What `plan` prints for one shape. */
function plan(...args) {
  const options = { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] };
  return JSON.parse(execFileSync(process.execPath, ["dist/cli/main.js", "plan", ...args, "--json"], options));
}

/** Words that each side sends online, in millions, and their mean width in bits. */
function widths({ steps, online }) {
  // Of an opening of a linear layer's result the server sends the truncated bits; as many words as the client sent ahead of the text.
  const words = (step) =>
    (8 * (step.online.client_to_server || step.offline.client_to_server || step.online.server_to_client)) / step.bits;
  const sent = (way) => {
    const count = sum(steps.filter((step) => step.bits > 0 && step.online[way] > 0).map(words));
    return { millions: (count / 1e6).toFixed(1), bits: ((8 * online.bytes[way]) / count).toFixed(1), count };
  };
  return { client: sent("client_to_server"), server: sent("server_to_client") };
}

/**
 * What the documents claim: in `page`, the groups of `pattern` are `values`.
 * @returns {{ page: string, pattern: RegExp, values: string[] }[]}
 */
function claims() {
  const { results } = JSON.parse(readFileSync(KEPT, "utf8"));
  return [...measured(results), ...planned()];
}

/** Rows of tables, from the bench. */
function measured(results) {
  const both = ({ online }, digits) => [
    mega(online.bytes.client_to_server, digits),
    mega(online.bytes.server_to_client, digits),
  ];
  const shortRow = (name, kept) => ({
    page: "README.md",
    pattern: row(name, "(.*?) | (.*?) | (\\d+) | (\\d+) / (\\d+) MB | ([\\d.]+) |"),
    values: [
      seconds(kept.seconds.online, 1),
      seconds(kept.seconds.offline, 1),
      String(kept.online.flights),
      ...both(kept),
      kept.max_abs_logit_error.toFixed(3),
    ],
  });
  const longRow = (name, kept) => ({
    page: "docs/results.md",
    pattern: row(name, "(.*?) | (.*?) | (.*?) s | .*? | (\\d+) | ([\\d.]+) / ([\\d.]+) MB | (\\d+) MB | ([\\d.]+) |"),
    values: [
      seconds(kept.seconds.online, 2),
      seconds(kept.seconds.offline, 2),
      sum(Object.values(kept.cpu_seconds)).toFixed(1),
      String(kept.online.flights),
      ...both(kept, 1),
      mega(kept.offline.bytes.dealer_to_server),
      kept.max_abs_logit_error.toFixed(4),
    ],
  });
  return [
    shortRow("BERT-base, Quad + 2Quad", results.base),
    shortRow("the same, without native kernels", results["base wasm"]),
    shortRow("BERT-base, exact GeLU + exact softmax", results["base exact"]),
    shortRow("BERT-base, Quad + 2Quad, 512 tokens", results["base 512"]),
    shortRow("BERT-large, Quad + 2Quad", results["bert-large"]),
    shortRow("BERT-base, Quad + 2Quad, WAN (100 Mbit/s, 80 ms)", results["base wan"]),
    longRow("BERT-base, Quad + 2Quad", results.base),
    longRow("the same, two threads a party", results["base 2 threads"]),
    longRow("BERT-base, exact GeLU + exact softmax", results["base exact"]),
    longRow("BERT-base, 32 tokens", results["base 32"]),
    longRow("512 tokens", results["base 512"]),
    longRow("BERT-tiny", results["bert-tiny"]),
    longRow("BERT-mini", results["bert-mini"]),
    longRow("RoBERTa-base", results["roberta-base"]),
    longRow("BERT-large", results["bert-large"]),
    longRow("BERT-base, WAN (100 Mbit/s, 80 ms)", results["base wan"]),
  ];
}

/** What `plan` says now. */
function planned() {
  const base = plan("bert-base", "--length", "128");
  const [mini, tiny] = ["bert-mini", "bert-tiny"].map((name) => plan(name, "--length", "128").online.flights);
  const { client, server } = widths(base);
  const { client_to_server: up, server_to_client: down } = base.online.bytes;
  const CHECKED_BITS = 40;
  const checked = up + down + (CHECKED_BITS / 8) * (client.count + server.count);
  return [
    {
      page: "docs/protocols.md",
      pattern: /takes (\d+) flights at 128 tokens/d,
      // BERT-mini has two layers more than BERT-tiny.
      values: [String((mini - tiny) / 2)],
    },
    {
      page: "docs/integrity.md",
      pattern:
        /sends ([\d.]+) million words online, ([\d.]+) bits wide in\s+the mean \((\d+) MB\); the server ([\d.]+) million words of ([\d.]+) bits \((\d+) MB\)/d,
      values: [client.millions, client.bits, mega(up), server.millions, server.bits, mega(down)],
    },
    {
      page: "docs/integrity.md",
      pattern:
        /\| online, both ways \| (\d+) MB \| about (\d+) MB: (\d+) bits more for each of the ([\d.]+) million words \|/d,
      values: [
        mega(up + down),
        String(10 * Math.round(checked / 1e7)),
        String(CHECKED_BITS),
        ((client.count + server.count) / 1e6).toFixed(1),
      ],
    },
    {
      page: "docs/integrity.md",
      pattern: /\| flights \| (\d+) \| (\d+) \|/d,
      values: [String(base.online.flights), String(base.online.flights + 3)],
    },
    {
      page: "docs/integrity.md",
      pattern: /\| dealer to server \| (\d+) MB \|/d,
      values: [mega(base.offline.bytes.dealer_to_server)],
    },
  ];
}

/** A table's row by its first cell. */
function row(name, rest) {
  const literal = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const cells = rest.replace(/ \| /g, " \\| ").replace(/ \|$/, " \\|").replaceAll("/", "\\/");
  return new RegExp(`^\\| ${literal(name)} \\| ${cells}`, "dm");
}

/** The pages with numbers: their text as it is, and as it should be. @throws Error when a page no longer has what a claim is about. */
export function pagesWithNumbers() {
  const pages = new Map();
  for (const { page, pattern, values } of claims()) {
    const text = pages.get(page)?.right ?? readFileSync(page, "utf8");
    const found = pattern.exec(text);
    if (found === null) throw new Error(`${page} has nothing like ${pattern}: correct scripts/numbers.mjs`);
    let right = text;
    // From the end, so that what comes before keeps its place.
    for (let i = values.length; i >= 1; i--) {
      const [start, end] = found.indices[i];
      right = right.slice(0, start) + values[i - 1] + right.slice(end);
    }
    pages.set(page, { text: pages.get(page)?.text ?? text, right });
  }
  return pages;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const stale = [...pagesWithNumbers()].filter(([, { text, right }]) => text !== right);
  for (const [page, { right }] of stale) {
    console.log(`${page} has other numbers than plan and the kept results`);
    if (process.argv.includes("--write")) writeFileSync(page, right);
  }
  process.exitCode = stale.length > 0 && !process.argv.includes("--write") ? 1 : 0;
}
