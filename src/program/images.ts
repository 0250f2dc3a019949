/** Images as models read them: cut into patches, a row each. */

import type { Patches, TokenizedText } from "./spec.ts";

/** How many patches an image has. */
export function patchCount({ image, size }: Patches): number {
  const across = Math.floor(image / size);
  return across * across;
}

/** Values of one patch. */
export function patchWidth({ size, channels }: Patches): number {
  return channels * size * size;
}

/**
 * An image as a model reads it: `client.infer(imageInput(client.spec.blocks.patches, pixels))`.
 * @param pixels normalised values, [channels, image, image]
 * @throws an Error when there are not as many as the model takes, or one is no number.
 */
export function imageInput(patches: Patches, pixels: Float32Array): TokenizedText {
  const { image, size, channels } = patches;
  if (pixels.length !== channels * image * image)
    throw new Error(`the model takes images of ${channels} times ${image} by ${image} values: resize the image`);
  if (!pixels.every(Number.isFinite)) throw new Error("the image has values that are no numbers: normalise it again");
  const [across, width, count] = [Math.floor(image / size), patchWidth(patches), patchCount(patches)];
  const rows = new Float32Array((count + 1) * width);
  for (let i = 0; i < count * width; i++) {
    const [patch, at] = [Math.floor(i / width), i % width];
    const [channel, y, x] = [Math.floor(at / (size * size)), Math.floor(at / size) % size, at % size];
    const [top, left] = [Math.floor(patch / across) * size, (patch % across) * size];
    rows[width + i] = pixels[(channel * image + top + y) * image + left + x];
  }
  const zeros = Array.from({ length: count + 1 }, () => 0);
  return { ids: zeros, types: zeros, patches: rows };
}
