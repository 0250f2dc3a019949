/** The numbers in the documents are those of `plan` and of the kept results. */
import { expect, it } from "vitest";

interface Page {
  readonly text: string;
  readonly right: string;
}

const { pagesWithNumbers } = (await import(new URL("../../scripts/numbers.mjs", import.meta.url).href)) as {
  pagesWithNumbers: () => ReadonlyMap<string, Page>;
};

it("documents have the numbers of plan and of the kept results (else: node scripts/numbers.mjs --write)", () => {
  const pages = pagesWithNumbers();
  expect([...pages.keys()]).toEqual(["README.md", "docs/results.md", "docs/protocols.md", "docs/integrity.md"]);
  for (const [page, { text, right }] of pages) expect(text, page).toBe(right);
});
