/** What moves bytes. */
export interface Wire {
  /** Resolves when the bytes have left this process or its buffers; `progress` is told how many whenever some have. */
  write(parts: readonly Uint8Array[], progress: (bytes: number) => void): Promise<void>;
  /** Stops and restarts the flow of chunks into the channel. */
  pause(): void;
  resume(): void;
  close(): void;
}
