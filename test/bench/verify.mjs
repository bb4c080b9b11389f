// `verify` on 2M messages against the one pass over the data that no verification can do without: every
// message joined with its session. That pass reads the table, as it must where nobody has put the workspace
// into the index of the sessions; how long it takes along that index is told beside it. Also: locks that
// would block a writer, watched while it runs.
import postgres from 'postgres'
import { fillExample } from './example.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 2_000_000)

export default async function verify({ rethread, server, median, root, table }) {
  const db = await server()
  const sql = postgres(db.url, { max: 1, onnotice: () => {} })
  await fillExample(sql, root, { messages })
  await rethread(db.url, ['migrate', '--phase', 'contract', '--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS'])
  await sql.unsafe('vacuum analyze public.chats')
  const pass = []
  const byIndex = []
  const ours = []
  const pair =
    'select count(*) from public.chats c left join public.chat_sessions s on s.id = c.session_id where s.workspace_id is distinct from c.workspace_id'
  const timed = async (list, indexOnly) => {
    await sql.unsafe(`set enable_indexonlyscan = ${indexOnly}`)
    const start = performance.now()
    await sql.unsafe(pair)
    list.push((performance.now() - start) / 1000)
  }
  const blocking = new Set()
  let watching = true
  const watcher = postgres(db.url, { max: 1 })
  const watched = (async () => {
    while (watching) {
      const rows = await watcher`
        select c.relname || ' ' || l.mode as lock from pg_locks l join pg_class c on c.oid = l.relation
        join pg_stat_activity a on a.pid = l.pid
        where a.application_name like 'rethread%' and c.relnamespace = 'public'::regnamespace
          and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`
      for (const { lock } of rows) blocking.add(lock)
      await new Promise(done => setTimeout(done, 20))
    }
  })()
  for (let i = 0; i < 5; i++) {
    await timed(pass, false)
    await timed(byIndex, true)
    const { seconds, report } = await rethread(db.url, ['verify'])
    ours.push(seconds)
    if (i === 0)
      table(
        [...report.checks]
          .sort((a, b) => b.durationMs - a.durationMs)
          .slice(0, 8)
          .map(c => ({ check: c.check, ms: c.durationMs })),
      )
  }
  watching = false
  await watched
  await Promise.all([sql.end(), watcher.end()])
  await db.stop()
  const result = {
    messages,
    'pass s': median(pass).toFixed(2),
    'pass by index s': median(byIndex).toFixed(2),
    'verify s': median(ours).toFixed(2),
    ratio: (median(ours) / median(pass)).toFixed(2),
    'locks that block writers': [...blocking].join(', ') || 'none',
  }
  table([result])
  return result
}
