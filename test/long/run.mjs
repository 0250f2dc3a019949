// Checks too long for every run of the tests: npm run long -- NAME [arguments] runs test/long/NAME.mjs on the built package.
const [name, ...rest] = process.argv.slice(2);
if (!/^[a-z][a-z0-9-]*$/.test(name ?? "")) {
  console.error("usage: npm run long -- NAME [arguments]; NAME is a file of test/long, such as once");
  process.exit(1);
}
process.argv = [process.argv[0], new URL(`./${name}.mjs`, import.meta.url).pathname, ...rest];
await import(`./${name}.mjs`);
