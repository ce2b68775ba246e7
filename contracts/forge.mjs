// Runs the forge binary that npm installed for this platform, whether or not npm was allowed to
// run install scripts (the package's own launcher works either way; this one also finds the
// binary when node_modules/.bin was not linked). Works offline and in this folder.
import { createRequire } from 'node:module'
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const platform = { linux: 'linux', darwin: 'darwin', win32: 'win32' }[process.platform]
const machine = { x64: 'amd64', arm64: 'arm64' }[process.arch]
const binary = process.platform === 'win32' ? 'forge.exe' : 'forge'

let path
try {
  path = require.resolve(`@foundry-rs/forge-${platform}-${machine}/bin/${binary}`)
} catch {
  process.stderr.write(
    `no forge for ${process.platform}-${process.arch} in ${join(here, 'node_modules')}: run npm ci\n`,
  )
  process.exit(2)
}
const run = spawnSync(path, process.argv.slice(2), {
  cwd: here,
  stdio: 'inherit',
  env: { ...process.env, FOUNDRY_DISABLE_NIGHTLY_WARNING: '1' },
})
process.exit(run.status ?? 1)
