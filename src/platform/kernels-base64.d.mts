/** The WebAssembly kernels, which scripts/copy-kernels.mjs writes into kernels-base64.mjs: bundlers differ in how they take files along. */
export const KERNELS: string;
