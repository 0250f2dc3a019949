export * from "./elementwise";
export * from "./matmul";
export * from "./narrow";
export * from "./packing";
export * from "./floats";
export * from "./polynomial";
export * from "./fourier";
export * from "./bits";
