import type { NamedTensor } from "../program/spec.ts";

/** A tensor of a file of weights. */
export interface StoredWeight {
  /** As the file calls it. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Where it lies: aliases of one place are one tensor. */
  readonly place: number;
  /** Its values; only while the file is open. @throws an Error that names the tensor. */
  read(): Promise<NamedTensor>;
}
