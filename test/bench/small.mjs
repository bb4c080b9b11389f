// The whole `migrate` of a small database, start-up included, compared with psql that runs the same files:
// 20,000 messages in 100 workspaces, up to NOT NULL. BENCH_MESSAGES, BENCH_ROUNDS (5).
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { fillExample, withoutAwkwardRows } from './example.mjs'
import { reached } from './markdown.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 20_000)
const rounds = Number(process.env.BENCH_ROUNDS ?? 5)
/** Most that the whole run may take, in times of psql. */
const goal = 2

/** Seconds that psql takes for all files of the track, in one process. */
function psql(url, root) {
  const folder = join(root, 'migrations/workspace-sessions')
  const files = readdirSync(folder)
    .filter(file => file.endsWith('.sql'))
    .sort()
  const args = [url, '-qX', '-v', 'ON_ERROR_STOP=1', ...files.flatMap(file => ['-f', join(folder, file)])]
  const start = performance.now()
  const ran = spawnSync('psql', args, { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`psql: ${ran.error ?? ran.stderr}`)
  return (performance.now() - start) / 1000
}

export default async function small({ rethread, server, median, root, table }) {
  const db = await server()
  const admin = postgres(db.url, { max: 1, onnotice: () => {} })
  const seconds = { psql: [], rethread: [] }
  const shares = []
  try {
    for (let n = 0; n < rounds; n++)
      for (const who of ['psql', 'rethread']) {
        const name = `small_${n}_${who}`
        await admin.unsafe(`create database ${name}`)
        const url = new URL(db.url)
        url.pathname = `/${name}`
        const sql = postgres(url.href, { max: 1, onnotice: () => {} })
        await fillExample(sql, root, { messages, workspaces: 100 })
        // psql has no quarantine, so rows that no session can take would stop it
        await withoutAwkwardRows(sql)
        if (who === 'psql') seconds.psql.push(psql(url.href, root))
        else {
          const ran = await rethread(url.href, [
            'migrate',
            '--phase',
            'contract',
            '--allow',
            'ENDS_OLD_APP,QUARANTINES_ROWS',
          ])
          seconds.rethread.push(ran.seconds)
          shares.push(ran.report.steps.reduce((sum, step) => sum + step.durationMs / 1000, 0) / ran.seconds)
        }
        await sql.end()
      }
  } finally {
    await admin.end({ timeout: 1 })
    await db.stop()
  }
  const hand = median(seconds.psql)
  const ours = median(seconds.rethread)
  const ratio = median(seconds.rethread.map((s, n) => s / seconds.psql[n]))
  table([
    {
      what: `whole \`migrate\`, ${messages} messages`,
      'psql, s': hand.toFixed(2),
      'rethread, s': ours.toFixed(2),
      ratio: ratio.toFixed(2),
      goal,
      reached: reached(ratio, goal),
      'share of the steps': median(shares).toFixed(2),
    },
  ])
  return { hand, ours, ratio }
}
