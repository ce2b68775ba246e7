// Compiles the contracts with npm's solc and writes ABI and bytecode as package data.
//
//   node build.mjs           writes ../ddcai/chain/artifacts/*.json
//   node build.mjs --check   exits 1 if what is committed there is not what the sources compile to
//
// Settings are fixed here and repeated in foundry.toml; a test under test/ compares the two
// builds. Bytecode carries no metadata hash, so it depends on the sources' code, the compiler and
// these settings alone.
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { mkdirSync, readFileSync, writeFileSync, existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const solc = createRequire(import.meta.url)('solc')
const target = join(here, '..', 'ddcai', 'chain', 'artifacts')
const contracts = [
  'BlsQuorum',
  'CollaborativeTrainer',
  'EcdsaQuorum',
  'Federation',
  'KeyHolders',
  'NodeRegistry',
  'PerceptronHead',
  'SubmissionReader',
  'TeachableHead',
  'UpdateBatches',
  'WindowAssessment',
  'incentives/Bounty',
  'incentives/Points',
  'incentives/PredictionMarket',
  'incentives/SelfAssessment',
  'classifiers/DensePerceptron',
  'classifiers/NaiveBayes',
  'classifiers/NearestCentroid',
  'classifiers/SparseNearestCentroid',
  'classifiers/SparsePerceptron',
]
const settings = {
  evmVersion: 'prague',
  optimizer: { enabled: true, runs: 1000 },
  metadata: { bytecodeHash: 'none' },
}

// 2394: transient storage is used, by OpenZeppelin's reentrancy guard, which clears it.
// 6335: `leave` will be a keyword of a later Solidity.
const accepted = ['2394', '6335']

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)],
    )
    .filter((path) => path.endsWith('.sol'))
    .sort()
}

function compile(sources) {
  const input = {
    language: 'Solidity',
    sources,
    settings: {
      ...settings,
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'metadata'] } },
    },
  }
  const readImport = (name) => {
    const path = join(here, 'node_modules', name)
    return existsSync(path) ? { contents: readFileSync(path, 'utf8') } : { error: `no ${path}` }
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }))
  const messages = (output.errors ?? []).filter((each) => !accepted.includes(each.errorCode))
  if (messages.length > 0) fail(messages.map((each) => each.formattedMessage).join('\n'))
  return output.contracts
}

/** SHA-256 over "name\0content\0" of every source that went into a contract, sorted by name. */
function sourceDigest(metadata, ownSources) {
  const hash = createHash('sha256')
  for (const name of Object.keys(JSON.parse(metadata).sources).sort()) {
    const content = ownSources[name]?.content ?? readFileSync(join(here, 'node_modules', name), 'utf8')
    hash.update(`${name}\0${content}\0`)
  }
  return hash.digest('hex')
}

const sources = Object.fromEntries(
  filesUnder(join(here, 'src')).map((path) => [
    relative(here, path).replaceAll('\\', '/'),
    { content: readFileSync(path, 'utf8') },
  ]),
)
const compiled = compile(sources)
const check = process.argv.includes('--check')
mkdirSync(target, { recursive: true })
for (const path of contracts) {
  const name = basename(path)
  const contract = compiled[`src/${path}.sol`][name]
  const artifact = {
    contractName: name,
    compiler: { version: solc.version(), settings },
    sourceSha256: sourceDigest(contract.metadata, sources),
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
  }
  const text = `${JSON.stringify(artifact, null, 1)}\n`
  const file = join(target, `${name}.json`)
  if (!check) {
    writeFileSync(file, text)
  } else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    fail(`${name}.json is not what the sources compile to: run "npm run build" in contracts/`)
  }
  process.stderr.write(
    `${name}: ${contract.evm.bytecode.object.length / 2} bytes of creation code\n`,
  )
}
