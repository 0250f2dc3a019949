/**
 * Follows secrets through compiled WebAssembly: what a word loaded from memory may decide. Every use that may take another time
 * for another value is a finding: conditions of branches and choices, addresses and sizes, and instructions whose time depends on
 * their operands or that engines translate with a branch.
 *
 * Values are sets of bits: SECRET, or the pointers that they were made from. A load through a pointer to something public is public,
 * any other load is secret. Calls are followed with their arguments' values; locals are in single assignment (Binaryen's pass), so that the
 * order of statements needs no care; loops and globals are gone through until nothing changes.
 */
import binaryen from "assemblyscript/binaryen";

const SECRET = 1;
/** Made from a pointer to public data, from another pointer, from a number found in public data (an index, or a pointer to secrets). */
const PUBLIC_POINTER = 2;
const POINTER = 4;
const FOUND = 8;

/** One letter a parameter: s, a pointer to secrets; p, a pointer to public data; n, a number. */
export type Signature = string;

/** The names of an operation's numbers, which differ between unary and binary ones. */
function operations(pattern: RegExp): Set<number> {
  return new Set(
    Object.entries(binaryen)
      .filter(([name, value]) => pattern.test(name) && typeof value === "number")
      .map(([, value]) => value as number),
  );
}

/** Rounding may be a call without SSE4.1; V8 makes branches of truncation and of conversion from unsigned 64 bits. */
const SLOW_UNARY = operations(/^(Clz|Ctz|Ceil|Floor|Nearest|Sqrt|TruncS|TruncU|TruncFloat|ConvertUInt64)/);
const SLOW_BINARY = operations(/^(Div|Rem|(Min|Max)(Float|VecF))/);
const SHIFTS = operations(/^(Shl|Shr[SU]|Rot[LR])Int/);
const FLOAT_UNARY = operations(/^(Convert.*ToFloat|Promote|Demote)/);
const FLOAT_BINARY = operations(/^(Add|Sub|Mul)(Float|VecF)/);

/** Whether a pointer stays within public data, by public steps. */
function isPublic(pointer: number): boolean {
  return pointer === PUBLIC_POINTER || pointer === (PUBLIC_POINTER | FOUND);
}

interface Frame {
  readonly locals: Map<number, number>;
  readonly labels: Map<string, number>;
  result: number;
}

export class Taint {
  private readonly module: binaryen.Module;
  private readonly globals = new Map<string, number>();
  private readonly memo = new Map<string, number>();
  private readonly findings = new Set<string>();
  private changed = false;
  private name = "";

  constructor(wasm: Uint8Array) {
    this.module = binaryen.readBinary(wasm);
    this.module.runPasses(["ssa"]);
  }

  /** Names of exported functions. */
  get exports(): string[] {
    return [...this.functions().keys()];
  }

  /** What an export does with secrets that may be seen from outside; `floats`: arithmetic on floats is a finding too (denormals). */
  of(name: string, signature: Signature, floats = true): string[] {
    this.findings.clear();
    this.globals.clear();
    const args = Array.from(signature, (kind) => (kind === "s" ? POINTER : kind === "p" ? PUBLIC_POINTER : 0));
    do {
      this.changed = false;
      this.memo.clear();
      this.call(this.functions().get(name)!, args);
    } while (this.changed);
    return [...this.findings].filter((finding) => floats || !finding.startsWith("arithmetic")).sort();
  }

  private functions(): Map<string, string> {
    const all = Array.from({ length: this.module.getNumExports() }, (_, i) =>
      binaryen.getExportInfo(this.module.getExportByIndex(i)),
    );
    return new Map(all.filter(({ kind }) => kind === binaryen.ExternalFunction).map((e) => [e.name, e.value]));
  }

  private call(target: string, args: readonly number[]): number {
    const key = `${target}(${args})`;
    const known = this.memo.get(key);
    if (known !== undefined) return known;
    this.memo.set(key, 0);
    const { body } = binaryen.getFunctionInfo(this.module.getFunction(target));
    const outer = this.name;
    this.name = target;
    const frame: Frame = { locals: new Map(args.entries()), labels: new Map(), result: 0 };
    for (let before = ""; ; ) {
      frame.result |= this.value(body, frame);
      const after = JSON.stringify([[...frame.locals], [...frame.labels], frame.result]);
      if (after === before) break;
      before = after;
    }
    this.name = outer;
    this.memo.set(key, frame.result);
    return frame.result;
  }

  private report(what: string, value: number): void {
    if (value & SECRET) this.findings.add(`${what} (function ${this.name})`);
  }

  private loaded(pointer: number): number {
    this.report("an address", pointer);
    return isPublic(pointer) ? FOUND : SECRET;
  }

  private stored(pointer: number, value: number): void {
    this.report("an address", pointer);
    if (isPublic(pointer)) this.report("a store into public data", value);
  }

  /** An expression's value; findings on the way. */
  private value(ref: number, frame: Frame): number {
    if (!ref) return 0;
    const e = binaryen.getExpressionInfo(ref) as unknown as Expression;
    const of = (child: number) => this.value(child, frame);
    switch (e.id) {
      case binaryen.BlockId: {
        const last = e.children.reduce((_, child) => of(child), 0);
        return last | (frame.labels.get(e.name) ?? 0);
      }
      case binaryen.LoopId:
        return of(e.body);
      case binaryen.IfId:
        this.report("a branch", of(e.condition));
        return of(e.ifTrue) | of(e.ifFalse);
      case binaryen.BreakId:
      case binaryen.SwitchId: {
        this.report("a branch", of(e.condition));
        const value = of(e.value);
        for (const name of e.names ?? [e.name]) frame.labels.set(name, (frame.labels.get(name) ?? 0) | value);
        return value;
      }
      case binaryen.SelectId:
        this.report("a choice", of(e.condition));
        return of(e.ifTrue) | of(e.ifFalse);
      case binaryen.CallId:
        return this.call(e.target, e.operands.map(of));
      case binaryen.LocalGetId:
        return frame.locals.get(e.index as number) ?? 0;
      case binaryen.LocalSetId: {
        const value = of(e.value) | (frame.locals.get(e.index as number) ?? 0);
        frame.locals.set(e.index as number, value);
        return value;
      }
      case binaryen.GlobalGetId:
        return this.globals.get(e.name) ?? 0;
      case binaryen.GlobalSetId: {
        const before = this.globals.get(e.name) ?? 0;
        const value = before | of(e.value);
        this.changed ||= value !== before;
        this.globals.set(e.name, value);
        return 0;
      }
      case binaryen.LoadId:
      case binaryen.SIMDLoadId:
        return this.loaded(of(e.ptr));
      case binaryen.StoreId:
        this.stored(of(e.ptr), of(e.value));
        return 0;
      case binaryen.MemoryCopyId:
        this.report("a size", of(e.size));
        this.stored(of(e.dest), this.loaded(of(e.source)));
        return 0;
      case binaryen.MemoryFillId:
        this.report("a size", of(e.size));
        this.stored(of(e.dest), of(e.value));
        return 0;
      case binaryen.UnaryId: {
        const value = of(e.value);
        if (SLOW_UNARY.has(e.op)) this.report("an instruction of varying time", value);
        if (FLOAT_UNARY.has(e.op)) this.report("arithmetic on floats", value);
        return value;
      }
      case binaryen.BinaryId: {
        const [left, right] = [of(e.left), of(e.right)];
        if (SLOW_BINARY.has(e.op)) this.report("an instruction of varying time", left | right);
        if (SHIFTS.has(e.op)) this.report("a shift by a secret", right);
        if (FLOAT_BINARY.has(e.op)) this.report("arithmetic on floats", left | right);
        return left | right;
      }
      case binaryen.SIMDShiftId:
        this.report("a shift by a secret", of(e.shift));
        return of(e.vec);
      case binaryen.SIMDExtractId:
        return of(e.vec);
      case binaryen.SIMDReplaceId:
        return of(e.vec) | of(e.value);
      case binaryen.SIMDShuffleId:
        return of(e.left) | of(e.right);
      case binaryen.SIMDTernaryId:
        return of(e.a) | of(e.b) | of(e.c);
      case binaryen.DropId:
        of(e.value);
        return 0;
      case binaryen.ReturnId:
        frame.result |= of(e.value);
        return 0;
      case binaryen.ConstId:
      case binaryen.NopId:
      case binaryen.UnreachableId:
        return 0;
    }
    // What is not known here is not known to be harmless.
    throw new Error(`an expression of kind ${e.id} in function ${this.name}`);
  }
}

/** The fields of all kinds of expressions that occur. */
interface Expression {
  readonly id: number;
  readonly op: number;
  readonly name: string;
  readonly names?: readonly string[];
  readonly index: number;
  readonly target: string;
  readonly children: readonly number[];
  readonly operands: readonly number[];
  readonly condition: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly body: number;
  readonly value: number;
  readonly ptr: number;
  readonly dest: number;
  readonly source: number;
  readonly size: number;
  readonly left: number;
  readonly right: number;
  readonly vec: number;
  readonly shift: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}
