/** One WebAssembly memory and who owns which part of it. Tensors of ring words and of floats live there, without copies. */

const PAGE = 65_536;
const ALIGNMENT = 64;
const MAXIMUM_PAGES = 65_536;
/** Below this address lie the kernels' own tables. */
const HEAP_BASE = 65_536;

interface Span {
  start: number;
  size: number;
}

/** A first-fit allocator that joins free neighbours. Views must be made afresh: growth detaches old ones. */
export class Memory {
  readonly wasm: WebAssembly.Memory;
  private readonly free: Span[] = [];
  private readonly owned = new Map<number, number>();
  private end = HEAP_BASE;
  private inUse = 0;
  private peak = 0;

  constructor() {
    this.wasm = new WebAssembly.Memory({ initial: 16, maximum: MAXIMUM_PAGES });
  }

  get bytesInUse(): number {
    return this.inUse;
  }

  get peakBytes(): number {
    return this.peak;
  }

  /** @throws RangeError when 4 GiB do not suffice. */
  allocate(bytes: number): number {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const pointer = this.takeFree(size) ?? this.extend(size);
    this.owned.set(pointer, size);
    this.inUse += size;
    this.peak = Math.max(this.peak, this.inUse);
    return pointer;
  }

  /** @throws RangeError for what is not allocated here, or no longer. */
  release(pointer: number): void {
    const size = this.owned.get(pointer);
    if (size === undefined) throw new RangeError("freed twice, or not from this memory");
    this.owned.delete(pointer);
    this.inUse -= size;
    this.giveBack({ start: pointer, size });
  }

  owns(pointer: number): boolean {
    return this.owned.has(pointer);
  }

  private takeFree(size: number): number | null {
    const index = this.free.findIndex((span) => span.size >= size);
    if (index < 0) return null;
    const span = this.free[index];
    const pointer = span.start;
    if (span.size === size) this.free.splice(index, 1);
    else {
      span.start += size;
      span.size -= size;
    }
    return pointer;
  }

  private extend(size: number): number {
    const last = this.free.at(-1);
    // A free span at the end is used first, so that the memory grows by what is missing only.
    const pointer = last !== undefined && last.start + last.size === this.end ? last.start : this.end;
    const missing = pointer + size - this.wasm.buffer.byteLength;
    if (missing > 0) this.grow(missing);
    if (pointer !== this.end) this.free.pop();
    this.end = pointer + size;
    return pointer;
  }

  /** Grows in steps of an eighth of the present size: rarely, and never by much more than needed. */
  private grow(missing: number): void {
    const pages = Math.ceil(missing / PAGE);
    const present = this.wasm.buffer.byteLength / PAGE;
    const wanted = Math.min(MAXIMUM_PAGES - present, Math.max(pages, present >> 3));
    if (pages > wanted) throw new RangeError("out of ring memory: more than 4 GiB are needed; use a shorter text");
    try {
      this.wasm.grow(wanted);
    } catch {
      throw new RangeError("out of memory: this machine has not enough for the model at this length");
    }
  }

  private giveBack(span: Span): void {
    let low = 0;
    let high = this.free.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.free[mid].start < span.start) low = mid + 1;
      else high = mid;
    }
    const next = this.free[low];
    if (next !== undefined && span.start + span.size === next.start) {
      span.size += next.size;
      this.free.splice(low, 1);
    }
    const before = this.free[low - 1];
    if (before !== undefined && before.start + before.size === span.start) before.size += span.size;
    else this.free.splice(low, 0, span);
  }
}

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** A tensor of 64-bit ring words. Whatever prints it sees its length, never its contents. */
export class Words {
  readonly pointer: number;
  readonly length: number;
  private readonly memory: Memory;

  constructor(memory: Memory, pointer: number, length: number) {
    this.memory = memory;
    this.pointer = pointer;
    this.length = length;
  }

  /** Low and high halves in turn; valid until the memory grows. */
  i32(): Int32Array {
    return new Int32Array(this.memory.wasm.buffer, this.pointer, 2 * this.length);
  }

  /** Valid until the memory grows. */
  bytes(): Uint8Array {
    return new Uint8Array(this.memory.wasm.buffer, this.pointer, 8 * this.length);
  }

  toString(): string {
    return `Words(${this.length})`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect](): string {
    return this.toString();
  }
}

/** A tensor of 32-bit floats, for the float reference. */
export class Floats {
  readonly pointer: number;
  readonly length: number;
  private readonly memory: Memory;

  constructor(memory: Memory, pointer: number, length: number) {
    this.memory = memory;
    this.pointer = pointer;
    this.length = length;
  }

  /** Valid until the memory grows. */
  view(): Float32Array {
    return new Float32Array(this.memory.wasm.buffer, this.pointer, this.length);
  }
}
