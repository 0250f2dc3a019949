/** Errors that every room may throw. */

/**
 * Something that must hold does not: a fault of this program, not of its input, its peers or its machine.
 *
 * @example
 * if (words === undefined) throw new InternalError(`step order: no value ${id}`);
 */
export class InternalError extends Error {
  override readonly name: string = "InternalError";
}
