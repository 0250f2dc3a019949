#!/usr/bin/env node
/** The program `mpcformer`. */
import { report } from "./failure.ts";
import { run } from "./program.ts";

process.on("uncaughtException", (error) => process.exit(report(error)));
process.exitCode = await run(process.argv.slice(2));
// Sockets of a broken session must not keep the process alive.
if (process.exitCode !== 0) process.exit();
