// Rolling back with an old application at work: its latency beside its own idle latency, and its errors. How
// long the move of a table into the archive takes with few rows and with many. And how fast `restore` brings
// back what people made, beyond the repeated migrate that it needs.
import postgres from 'postgres'
import { beside } from './app.mjs'
import { fillExample } from './example.mjs'
import { reached } from './markdown.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 2_000_000)
/** Fewest rows that a restore should bring back in a second. */
const goal = 100_000

export default async function rollback({ rethread, server, root, table }) {
  const rows = []
  for (const size of [messages / 20, messages]) {
    const db = await server()
    const sql = postgres(db.url, { max: 1, onnotice: () => {} })
    try {
      await fillExample(sql, root, { messages: size })
      const { seconds: migrated } = await rethread(db.url, ['migrate'])
      // what people make: sessions of their own with messages, an hour ago
      await sql.unsafe(`
        with made as (
          insert into chat_sessions (workspace_id, user_id, title, updated_at)
          select id, owner_id, 'Mine', now() - interval '1 hour' from workspaces w cross join generate_series(1, 20) where owner_id is not null
          returning id, workspace_id, user_id)
        insert into chats (workspace_id, user_id, role, message, session_id, created_at)
        select workspace_id, user_id, 'user', 'mine', id, now() - interval '1 hour' from made cross join generate_series(1, 3)`)
      await sql.unsafe('vacuum analyze chats')
      await sql.unsafe('checkpoint')
      const [{ made }] =
        await sql`select (select count(*) from chat_sessions where title = 'Mine')::int + (select count(*) from chats where message = 'mine')::int as made`
      const name = new URL(db.url).pathname.slice(1)
      const {
        done,
        felt: { idle, busy, errors, ratio },
      } = await beside(root, db.url, () =>
        rethread(db.url, [
          'rollback',
          '--all',
          '--allow',
          'DELETES_DATA,IGNORES_RECENT_WRITES',
          '--confirm',
          name,
        ]),
      )
      const moved = done.report.steps.find(s => s.migration.startsWith('001'))
      const { seconds: restored } = await rethread(db.url, ['restore', 'latest'], {}, 1)
      // the difference of two runs: below zero on a machine that others slow down
      const rate = restored > migrated ? made / (restored - migrated) : null
      rows.push({
        messages: size,
        'made by people': made,
        'rollback, s': done.seconds.toFixed(1),
        'idle 99th percentile, ms': idle.p99,
        'beside it, ms': busy.p99,
        ratio,
        'longest, ms': busy.max,
        errors,
        'move of chat_sessions, ms': Math.round(moved.durationMs),
        'migrate, s': migrated.toFixed(1),
        'restore, s': restored.toFixed(1),
        'brought back, rows/s': rate?.toFixed(0),
        goal,
        reached: rate === null ? '' : reached(goal, rate),
      })
    } finally {
      await sql.end({ timeout: 1 })
      await db.stop()
    }
  }
  table(rows)
  return rows
}
