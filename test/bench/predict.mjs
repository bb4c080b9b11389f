// How long the backfill of 2M messages was said to take against how long it took: by `plan
// --sample` beforehand, and by the rate of a canary of 100,000 rows. Ratios of the middle of the
// span that the plan tells.
import postgres from 'postgres'
import { fillExample } from './example.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 2_000_000)
const migration = '005_assign_messages'
const units = { s: 1, min: 60, h: 3600 }

/** The middle of a span such as `16 - 20 s`, in seconds; null of a text such as `less than a second`. */
function middle(text) {
  const span = /^([\d.]+) - ([\d.]+) (s|min|h)$/.exec(text)
  return span && ((Number(span[1]) + Number(span[2])) / 2) * units[span[3]]
}

function said(report, title) {
  const table = report.tables.find(t => t.title.startsWith(title))
  const at = table.columns.findIndex(c => c.startsWith('time'))
  return table.rows.find(r => r[0] === migration && r[at])[at]
}

export default async function predict({ rethread, server, root, table }) {
  const db = await server()
  const sql = postgres(db.url, { max: 1, onnotice: () => {} })
  await fillExample(sql, root, { messages })
  await sql.end()
  // What was just written would go to the disk under the first batches, which no database of users has. By a
  // session of its own: who did something a second ago counts as at work.
  const settle = async () => {
    const admin = postgres(db.url, { max: 1 })
    await admin.unsafe('checkpoint')
    await admin.end()
  }
  await settle()
  const track = ['--track', 'workspace-sessions']
  await rethread(db.url, ['migrate', ...track, '--to', '004_create_legacy_sessions', '--phase', 'backfill'])
  const unmeasured = said((await rethread(db.url, ['plan', ...track])).report, 'Backfills')
  const sampled = said((await rethread(db.url, ['plan', ...track, '--sample'])).report, 'Sampled')
  await settle()
  const canary = (await rethread(db.url, ['backfill', ...track, '--max-rows', '100000'])).report.backfill.at(
    -1,
  )
  const stored = said((await rethread(db.url, ['plan', ...track])).report, 'Backfills')
  await settle()
  const ran = (await rethread(db.url, ['migrate', ...track, '--phase', 'backfill'])).report.backfill.find(
    b => b.migration === migration,
  )
  await db.stop()
  const seconds = ran.seconds
  const row = (way, span) => ({
    way,
    said: span,
    'took s': seconds.toFixed(1),
    ratio: middle(span) === null ? '' : (middle(span) / seconds).toFixed(2),
  })
  const rows = [
    row('not measured', unmeasured),
    row('plan --sample', sampled),
    row(`a canary of ${canary.rows} rows`, stored),
  ]
  table(rows)
  return { messages, rows }
}
