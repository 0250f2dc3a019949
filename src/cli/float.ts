import type { Matmul } from "../reference/matmul.ts";
import { Ring } from "../ring/ring.ts";

/** The float reference's matrix product on the WASM kernel, in a memory of its own. */
export async function floatMatmul(): Promise<Matmul> {
  const ring = await Ring.create();
  return (a, w, m, k, n) => {
    const [fa, fw, out] = [ring.allocFloats(m * k), ring.allocFloats(n * k), ring.allocFloats(m * n)];
    fa.view().set(a.subarray(0, m * k));
    fw.view().set(w);
    ring.products.matmulF32Transposed(out, fa, fw, m, k, n);
    const result = out.view().slice();
    for (const f of [fa, fw, out]) ring.freeFloats(f);
    return result;
  };
}
