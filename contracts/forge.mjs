// Runs the forge binary that npm installed for this platform. package.json names the platform
// packages themselves, as optional ones, and not @foundry-rs/forge: that one needs an install
// script, and names packages that the registry did not have, which `npm ci` refuses.
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
    `no forge for ${process.platform}-${process.arch} in ${join(here, 'node_modules')}: run npm ci` +
      ' on Linux x64, macOS arm64 or Windows x64, or run your own forge 1.7.1 in this folder\n',
  )
  process.exit(2)
}
const run = spawnSync(path, process.argv.slice(2), {
  cwd: here,
  stdio: 'inherit',
  env: { ...process.env, FOUNDRY_DISABLE_NIGHTLY_WARNING: '1' },
})
process.exit(run.status ?? 1)
