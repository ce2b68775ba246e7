#!/usr/bin/env node
// The npm package's solc (WebAssembly) behind the command line that forge expects of a native
// compiler: `--version`, or standard JSON on stdin. Forge also passes --allow-paths and the like;
// they concern imports read from disk, and forge sends every source in the JSON.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const solc = createRequire(import.meta.url)('solc')

if (process.argv.includes('--version')) {
  const version = solc.version().replace('.Emscripten.clang', '.Linux.g++')
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`)
} else if (process.argv.includes('--standard-json')) {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')))
} else {
  process.stderr.write('solc.mjs answers --version and --standard-json (on stdin) only\n')
  process.exit(2)
}
