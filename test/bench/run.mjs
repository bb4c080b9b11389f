// Benchmarks: ratios against a baseline in the same run, never a time by itself. `npm run bench [name ...]`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'
import { markdownTable } from './markdown.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const out = join(root, '.rethread/bench')
await build({
  input: join(root, 'src/database/embedded.ts'),
  platform: 'node',
  external: /^[^./]/,
  output: { dir: out },
  logLevel: 'warn',
})
const { startEmbedded } = await import(join(out, 'embedded.js'))

export const median = list => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
/**
 * Runs the command line; seconds, the JSON report and the most memory it held, in MB. The event loop stays
 * free for a load beside it. Exit codes above `most` are faults.
 */
export async function rethread(url, args, env = {}, most = 0) {
  const start = performance.now()
  const child = spawn(
    process.execPath,
    [join(root, 'dist/cli/main.js'), ...args, '--quiet', '--format', 'json'],
    { env: { ...process.env, DATABASE_URL: url, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'])
    child[stream].on('data', chunk => {
      said[stream] += chunk
    })
  let memory = 0
  const watch = setInterval(() => {
    memory = Math.max(memory, peakMemory(child.pid))
  }, 50)
  const [status] = await once(child, 'close')
  clearInterval(watch)
  const seconds = (performance.now() - start) / 1000
  if (status === null || status > most)
    throw new Error(`rethread ${args.join(' ')}: exit ${status}\n${said.stdout}\n${said.stderr}`)
  return { seconds, report: JSON.parse(said.stdout), memory }
}

/** The most resident memory a process has had, in MB; 0 where the system does not say. */
function peakMemory(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** A server with stock settings in a temporary folder. */
export async function server(settings = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'rethread-bench-'))
  const started = await startEmbedded({ dataDir, from: [root], settings })
  return {
    url: started.url,
    stop: async () => {
      await started.stop('immediate')
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

const benches = {
  startup: './startup.mjs',
  small: './small.mjs',
  apply: './apply.mjs',
  backfill: './backfill.mjs',
  explode: './explode.mjs',
  verify: './verify.mjs',
  plan: './plan.mjs',
  rollback: './rollback.mjs',
  predict: './predict.mjs',
  visibility: './visibility.mjs',
  operate: './operate.mjs',
  triggers: './triggers.mjs',
  inserts: './inserts.mjs',
  growth: './growth.mjs',
}
const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !(name in benches))
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}
const date = new Date().toISOString().slice(0, 10)
const table = rows => console.log(markdownTable(rows, date))
const results = {
  machine: `${cpus().length} x ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
}
for (const [name, file] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`\n\`npm run bench ${name}\`, ${date}, ${results.machine}, PostgreSQL with stock settings\n`)
  results[name] = await (await import(file)).default({ rethread, server, median, root, table })
}
writeFileSync(join(out, 'results.json'), JSON.stringify(results, null, 2))
