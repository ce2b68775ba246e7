// Measures which branches of src/ the forge tests take, and exits 1 below 95 %.
//
//   node coverage.mjs
//
// forge counts the branches of Solidity's `if`, `require`, `?:` and loops; inside assembly it counts
// `if` alone. Gas tests are left out, as coverage builds without the optimizer, and the random
// walks, which take the same branches as the others for ten times as long.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const LEAST = 0.95
const here = dirname(fileURLToPath(import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'ddcai-coverage-'))
const report = join(folder, 'lcov.info')
const run = spawnSync(
  process.execPath,
  [join(here, 'forge.mjs'), 'coverage', '--report', 'lcov', '--report-file', report,
    '--no-match-contract', 'Gas|Invariants'],
  { cwd: here, encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, FORGE_SNAPSHOT_EMIT: 'false' } },
)
if (run.status !== 0) {
  process.stderr.write(run.stdout.slice(-4000) + run.stderr.slice(-4000))
  process.exit(1)
}

let file = ''
let taken = 0
let all = 0
const missed = []
for (const line of readFileSync(report, 'utf8').split('\n')) {
  if (line.startsWith('SF:')) file = line.slice(3)
  if (!line.startsWith('BRDA:') || !file.startsWith('src/')) continue
  const [number, , , hits] = line.slice(5).split(',')
  all += 1
  if (hits === '-' || hits === '0') missed.push(`${file}:${number}`)
  else taken += 1
}
rmSync(folder, { recursive: true })
for (const place of missed) process.stdout.write(`not taken: ${place}\n`)
process.stdout.write(`${taken} of ${all} branches of src/: ${((100 * taken) / all).toFixed(1)} %\n`)
process.exit(all > 0 && taken / all >= LEAST ? 0 : 1)
