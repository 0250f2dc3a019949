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
  readonly shared: boolean;
  private readonly free: Span[] = [];
  private readonly owned = new Map<number, number>();
  private end = HEAP_BASE;
  private inUse = 0;
  private peak = 0;

  /** `shared`: threads may work on it too. */
  constructor(shared = false) {
    this.shared = shared;
    this.wasm = new WebAssembly.Memory({ initial: 16, maximum: MAXIMUM_PAGES, shared });
  }

  /** Bytes handed out and not given back, with the padding of each part. */
  get bytesInUse(): number {
    return this.inUse;
  }

  /** The most that `bytesInUse` has been. */
  get peakBytes(): number {
    return this.peak;
  }

  /** @throws RangeError when 4 GiB do not suffice. */
  allocate(bytes: number): number {
    if (!(bytes >= 0)) throw new RangeError(`cannot allocate ${bytes} bytes`);
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
    } catch (cause) {
      throw new RangeError("out of memory: this machine has not enough for the model at this length", { cause });
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

/**
 * Numbers in one memory: its owner, or a part of another's. Whatever prints it sees its length, never its contents; once freed
 * it refuses all use.
 */
abstract class Tensor {
  readonly length: number;
  readonly #pointer: number;
  #memory: Memory | null;
  readonly #whole: Tensor | null;

  constructor(memory: Memory, length: number, bytesEach: number, within: { whole: Tensor; offset: number } | null) {
    if (!Number.isSafeInteger(length) || length < 0) throw new RangeError(`a tensor cannot have ${length} elements`);
    if (within !== null && !(within.offset >= 0 && within.offset + length <= within.whole.length))
      throw new RangeError("a part lies outside its whole");
    this.#pointer =
      within === null ? memory.allocate(length * bytesEach) : within.whole.pointer + within.offset * bytesEach;
    this.#memory = memory;
    this.#whole = within?.whole ?? null;
    this.length = length;
  }

  /** Where it begins. @throws RangeError once freed. */
  get pointer(): number {
    this.home();
    return this.#pointer;
  }

  /** Whether it lies in `memory` and is not freed. */
  isIn(memory: Memory): boolean {
    return this.#memory === memory && (this.#whole === null || this.#whole.isIn(memory));
  }

  /** Gives its memory back. @throws RangeError the second time, and for a part, which goes with its whole. */
  release(): void {
    if (this.#whole !== null) throw new RangeError("a part is freed with its whole");
    this.home().release(this.#pointer);
    this.#memory = null;
  }

  toString(): string {
    return `${this.constructor.name}(${this.length})`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect](): string {
    return this.toString();
  }

  protected home(): Memory {
    if (this.#memory === null) throw new RangeError("used after it was freed, or freed twice");
    return this.#whole === null ? this.#memory : this.#whole.home();
  }
}

/** A tensor of 64-bit ring words. */
export class Words extends Tensor {
  /** Allocates uninitialised words; or stands for `length` words of a whole, from `offset` on. */
  constructor(memory: Memory, length: number, within: { whole: Words; offset: number } | null = null) {
    super(memory, length, 8, within);
  }

  /** Some of these words, shared with them. Valid as long as they are. */
  part(offset: number, length: number): Words {
    return new Words(this.home(), length, { whole: this, offset });
  }

  /** Low and high halves in turn; valid until the memory grows. */
  i32(): Int32Array {
    return new Int32Array(this.home().wasm.buffer, this.pointer, 2 * this.length);
  }

  /** Valid until the memory grows. */
  bytes(): Uint8Array {
    return new Uint8Array(this.home().wasm.buffer, this.pointer, 8 * this.length);
  }
}

/** A tensor of 32-bit floats, for the float reference. */
export class Floats extends Tensor {
  /** Allocates uninitialised floats. */
  constructor(memory: Memory, length: number) {
    super(memory, length, 4, null);
  }

  /** Valid until the memory grows. */
  view(): Float32Array {
    return new Float32Array(this.home().wasm.buffer, this.pointer, this.length);
  }
}
