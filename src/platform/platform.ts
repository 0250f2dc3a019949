/**
 * What differs between Node.js and browsers, as one interface with two implementations: node.ts and web.ts. Other rooms import
 * `platform` from "#platform"; package.json's `imports` picks the implementation, so that no module has to ask where it runs and
 * a bundle for browsers has no module of Node's in it.
 */

/** Fills `target` with the keystream of AES-128-CTR under a key of 16 bytes, from a counter block of 16 bytes on. */
export type CtrCipher = (key: Uint8Array, counter: Uint8Array, target: Uint8Array) => void;

/** The tag (16 bytes) of AES-128-GCM over these parts, one behind the other, and no plaintext. The IV has 12 bytes. */
export type Gmac = (key: Uint8Array, iv: Uint8Array, parts: readonly Uint8Array[]) => Uint8Array;

/** AES-256-GCM under one key; a record is the ciphertext and its tag of 16 bytes. */
export interface Aead {
  seal(iv: Uint8Array<ArrayBuffer>, content: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** @throws or rejects when it does not open. */
  open(iv: Uint8Array<ArrayBuffer>, record: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A cipher of records under a key of 32 bytes. @throws Error of one line where the platform has no cryptography. */
export type NewAead = (key: Uint8Array, use: "encrypt" | "decrypt") => Promise<Aead>;

/** What browsers' WebSocket and that of the package ws have in common. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "open" | "close" | "error", listener: () => void): void;
  /** ws alone: stops and restarts the flow of messages. */
  pause?(): void;
  resume?(): void;
  /** ws alone: ends at once. */
  terminate?(): void;
}

/** Kernels by name; `attach` says which memory the pointers of the calls that follow lie in. */
export type NativeModule = { readonly [kernel: string]: (...numbers: number[]) => number } & {
  attach(memory: Uint8Array): void;
};

/** Native kernels that are in use. */
export interface NativeKernels {
  /** The instruction set that they are built for. */
  readonly level: string;
  readonly module: NativeModule;
  /** The path of their file, for threads to load as well. */
  readonly file: string;
}

export interface Platform {
  /** The platform's AES in counter mode; null where the ring's own kernel does it. */
  readonly ctr: CtrCipher | null;
  readonly gmac: Gmac;
  readonly newAead: NewAead;
  /** Begins to connect. @throws Error when `url` is no address of a WebSocket. */
  openSocket(url: string): Socket;
  /** The bytes of the WebAssembly kernels, over a memory of their own or one that threads share. @throws Error where there are no threads. */
  readKernels(shared: boolean): Promise<Uint8Array<ArrayBuffer>>;
  /** The native kernels that were built for this processor; null where WebAssembly does it all. */
  readonly native: NativeKernels | null;
  /** Starts one thread of a ring's pool, which does not keep the process alive; resolves when it waits for work. @throws Error where it cannot begin. */
  startThread(workerData: object): Promise<void>;
  /** Processor time of this process in microseconds; 0 where it cannot be known. */
  processorTime(): number;
  /** The most memory that this process has had, in bytes; 0 where it cannot be known. */
  peakMemory(): number;
}
