/** The fenced blocks of a page, in its order. */
import MarkdownIt from "markdown-it";

/** What a block is for; see `kindOf`. */
type BlockKind = "commands" | "program" | "excerpt" | "output" | "file";

export interface Block {
  readonly kind: BlockKind;
  readonly language: string;
  /** What follows the language: the path of an excerpt or of a file. */
  readonly path: string;
  readonly text: string;
  /** Of its first line in the page. */
  readonly line: number;
}

const FILES = new Set(["yaml", "json", "tsv"]);

/** The blocks of a page. @throws an Error for one that nobody would know how to run. */
export function blocksOf(markdown: string, page: string): Block[] {
  return new MarkdownIt().parse(markdown, {}).flatMap((token) => {
    if (token.type === "code_block")
      throw new Error(`${page}:${token.map![0] + 1}: fence this block and name its language`);
    if (token.type !== "fence") return [];
    const [language = "", path = ""] = token.info.trim().split(/\s+/);
    const line = token.map![0] + 1;
    const kind = kindOf(language, path);
    if (kind === null) {
      throw new Error(`${page}:${line}: a block "${token.info}" is not run by any test: see test/docs/blocks.ts`);
    }
    return [{ kind, language, path, text: token.content, line }];
  });
}

/**
 * `bash` is run; `ts` is type-checked and run; `ts PATH` must be a piece of that file of the repository; `text` must be what the
 * block before printed; `yaml NAME`, `json NAME` and `tsv NAME` are files for the commands that follow.
 */
function kindOf(language: string, path: string): BlockKind | null {
  if (language === "bash" && path === "") return "commands";
  if (language === "ts") return path === "" ? "program" : "excerpt";
  if (language === "text" && path === "") return "output";
  return FILES.has(language) && path !== "" ? "file" : null;
}
