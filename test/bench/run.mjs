// Benchmarks: ratios against a baseline in the same run, never a time by itself. `npm run bench [name ...]`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const out = join(root, '.rethread/bench')
await build({
  entryPoints: [join(root, 'src/db/embedded.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  outdir: out,
  packages: 'external',
  logLevel: 'error',
})
const { startEmbedded } = await import(join(out, 'embedded.js'))

export const median = list => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
/** Runs the command line; seconds and the JSON report. */
export function rethread(url, args, env = {}) {
  const start = performance.now()
  const ran = spawnSync(
    process.execPath,
    [join(root, 'dist/main.js'), ...args, '--quiet', '--format', 'json'],
    {
      env: { ...process.env, DATABASE_URL: url, ...env },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  )
  const seconds = (performance.now() - start) / 1000
  if (ran.status !== 0)
    throw new Error(`rethread ${args.join(' ')}: exit ${ran.status}\n${ran.stdout}\n${ran.stderr}`)
  return { seconds, report: JSON.parse(ran.stdout) }
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

const benches = { startup: './startup.mjs', backfill: './backfill.mjs' }
const wanted = process.argv.slice(2)
const results = {
  machine: `${cpus().length} x ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
}
console.log(results.machine)
for (const [name, file] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`\n== ${name}`)
  results[name] = await (await import(file)).default({ rethread, server, median, root })
}
writeFileSync(join(out, 'results.json'), JSON.stringify(results, null, 2))
