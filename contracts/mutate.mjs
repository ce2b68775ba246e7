// Plants one fault at a time in a copy of the contracts, and expects a test to fail.
//
//   node mutate.mjs            all of mutations.json
//   node mutate.mjs 3 7        these alone, counted from 1
//
// Exits 1 if a fault is not caught, cannot be planted (its text is not there exactly once), or does
// not compile. Some seconds each: run it after a change of what it plants in.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const faults = JSON.parse(readFileSync(join(here, 'mutations.json'), 'utf8'))
const wanted = process.argv.slice(2).map(Number)
const copy = mkdtempSync(join(tmpdir(), 'ddcai-faults-'))
for (const name of ['src', 'test', 'snapshots', 'cache', 'out', 'foundry.toml', 'forge.mjs', 'solc.mjs', 'package.json']) {
  if (existsSync(join(here, name))) cpSync(join(here, name), join(copy, name), { recursive: true })
}
symlinkSync(join(here, 'node_modules'), join(copy, 'node_modules'))

// The test's names that failed; null where nothing compiled.
function failures(test) {
  const run = spawnSync(process.execPath, ['forge.mjs', 'test', '--match-path', test], {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, FORGE_SNAPSHOT_EMIT: 'false' },
  })
  if (!run.stdout.includes('Suite result')) return null
  // A test's name stands behind its failure, an invariant's on a line of its own behind the walk.
  const failing = run.stdout.split('Failing tests:')[1] ?? ''
  return [...new Set([...failing.matchAll(/^(?:\[FAIL.*\])? ((?:test|invariant)\w+)\(/gm)].map((one) => one[1]))]
}

let bad = 0
faults.forEach((fault, index) => {
  const number = index + 1
  if (wanted.length > 0 && !wanted.includes(number)) return
  const path = join(copy, fault.file)
  const source = readFileSync(path, 'utf8')
  let verdict
  if (source.split(fault.find).length !== 2) {
    verdict = 'NOT PLANTED: its text is not there exactly once'
  } else {
    writeFileSync(path, source.replace(fault.find, () => fault.replace))
    const failed = failures(fault.test)
    writeFileSync(path, source)
    if (failed === null) verdict = 'NOT COMPILED'
    else if (failed.length === 0) verdict = 'NOT CAUGHT'
    else verdict = `caught by ${failed.slice(0, 3).join(', ')}${failed.length > 3 ? ` and ${failed.length - 3} more` : ''}`
  }
  if (!verdict.startsWith('caught')) bad += 1
  process.stdout.write(`${number}. ${fault.fault}: ${verdict}\n`)
})
rmSync(copy, { recursive: true })
process.exit(bad === 0 ? 0 : 1)
