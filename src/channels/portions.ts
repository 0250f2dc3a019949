/** The same bytes in groups of `size`, but for the last; nothing is copied. Empty parts vanish. */
export function* portions(parts: Iterable<Uint8Array>, size: number): Generator<Uint8Array[]> {
  let group: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const piece = part.subarray(at, at + size - bytes);
      group.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes < size) continue;
      yield group;
      [group, bytes] = [[], 0];
    }
  }
  if (group.length > 0) yield group;
}
