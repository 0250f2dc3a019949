/** The programs of all pages, type-checked as they are written, and as JavaScript. */
import { join } from "node:path";
import ts from "typescript";
import type { Block } from "./blocks.ts";

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ["node"],
  strict: true,
  skipLibCheck: true,
  // As Node.js runs them: types are taken away, and nothing else.
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
};

/**
 * `folder`: a sandbox in which their imports are found.
 * @throws an Error that names page and line of what does not type-check.
 */
export function compiled(programs: readonly { page: string; block: Block }[], folder: string): Map<Block, string> {
  const sources = new Map(programs.map((program, i) => [join(folder, `program-${i}.ts`), program]));
  const host = ts.createCompilerHost(OPTIONS);
  const { readFile, fileExists, getSourceFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name)?.block.text ?? readFile(name);
  host.getSourceFile = (name, options) => {
    const own = sources.get(name);
    if (own === undefined) return getSourceFile(name, options);
    const source = ts.createSourceFile(name, own.block.text, options);
    source.impliedNodeFormat = ts.ModuleKind.ESNext;
    return source;
  };
  const program = ts.createProgram([...sources.keys()], OPTIONS, host);
  const faults = ts.getPreEmitDiagnostics(program).map((fault) => described(fault, sources));
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const out = new Map<Block, string>();
  program.emit(undefined, (name, text) => {
    const own = sources.get(name.replace(/\.js$/, ".ts"));
    if (own !== undefined) out.set(own.block, text);
  });
  return out;
}

function described(fault: ts.Diagnostic, sources: ReadonlyMap<string, { page: string; block: Block }>): string {
  const message = ts.flattenDiagnosticMessageText(fault.messageText, "\n");
  const own = sources.get(fault.file?.fileName ?? "");
  if (own === undefined || fault.file === undefined) return message;
  const { line } = fault.file.getLineAndCharacterOfPosition(fault.start ?? 0);
  return `${own.page}:${own.block.line + 1 + line}: ${message}`;
}
