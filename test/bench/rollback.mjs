// Rolling back with an old application at work: its latency beside its own idle latency, and its errors. And
// how long the move of a table into the archive takes with few rows and with many.
import postgres from 'postgres'
import { beside } from './app.mjs'
import { fillExample } from './example.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 2_000_000)

export default async function rollback({ rethread, server, root, table }) {
  const results = {}
  for (const size of [messages / 20, messages]) {
    const db = await server()
    const sql = postgres(db.url, { max: 1, onnotice: () => {} })
    await fillExample(sql, root, { messages: size })
    await rethread(db.url, ['migrate'])
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
    const { seconds, report } = done
    const moved = report.steps.find(s => s.migration.startsWith('001'))
    results[size] = {
      'rollback s': seconds.toFixed(1),
      'idle p99 ms': idle.p99,
      'busy p99 ms': busy.p99,
      ratio,
      'busy max ms': busy.max,
      errors,
      'archive of chat_sessions ms': Math.round(moved.durationMs),
    }
    await sql.end({ timeout: 1 })
    await db.stop()
  }
  table(results)
  return results
}
