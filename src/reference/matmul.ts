/** The product of matrices that every float interpreter can be given. */

/** a [m, k] times the transpose of w [n, k]: [m, n]. */
export type Matmul = (a: Float32Array, w: Float32Array, m: number, k: number, n: number) => Float32Array;

/** The readable matrix product: four rows of w stay in the cache while all of a passes. */
export function plainMatmul(a: Float32Array, w: Float32Array, m: number, k: number, n: number): Float32Array {
  const out = new Float32Array(m * n);
  const blocks = n - (n % 4);
  for (let j = 0; j < blocks; j += 4) {
    const [w0, w1, w2, w3] = [j * k, (j + 1) * k, (j + 2) * k, (j + 3) * k];
    for (let i = 0; i < m; i++) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let c = 0, at = i * k; c < k; c++, at++) {
        const x = a[at];
        s0 += x * w[w0 + c];
        s1 += x * w[w1 + c];
        s2 += x * w[w2 + c];
        s3 += x * w[w3 + c];
      }
      const to = i * n + j;
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
    }
  }
  for (let j = blocks; j < n; j++) {
    for (let i = 0; i < m; i++) {
      let sum = 0;
      for (let c = 0; c < k; c++) sum += a[i * k + c] * w[j * k + c];
      out[i * n + j] = sum;
    }
  }
  return out;
}
