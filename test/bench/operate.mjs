// The commands that people run on a large, migrated database: how long each takes, and how often it reads the
// messages and the sessions from end to end, as the server counts it. BENCH_MESSAGES, BENCH_WORKSPACES.
import postgres from 'postgres'
import { fillExample } from './example.mjs'
import { reached } from './markdown.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 2_000_000)
const workspaces = Number(process.env.BENCH_WORKSPACES ?? 2000)
/** Most times that a command may read a table from end to end by a sequential scan. */
const goals = {
  'sessions list': [0, 1],
  'sessions list --filter user': [0, 0],
  'sessions show': [0, 0],
  stats: [0, 1],
  status: [0, 0],
  doctor: [0, 0],
  prune: [0, 2],
  'plan, nothing to do': [0, 0],
  'verify, structural': [0, 0],
  verify: [2, 2],
  'rollback --all': [1, 2],
}

export default async function operate({ rethread, server, root, table }) {
  const db = await server()
  const sql = postgres(db.url, { max: 1, onnotice: () => {} })
  const rows = []
  try {
    await fillExample(sql, root, { messages, workspaces })
    await rethread(db.url, ['migrate', '--phase', 'contract', '--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS'])
    await sql.unsafe('vacuum (analyze) public.chats')
    await sql.unsafe('vacuum (analyze) public.chat_sessions')
    const [one] = await sql`select id, user_id from public.chat_sessions order by id limit 1`
    const structural =
      'columns,constraints,indexes,policies,triggers,grants,functions,row_security,primary_keys'
    const commands = {
      'sessions list': ['sessions', 'list'],
      'sessions list --filter user': ['sessions', 'list', '--filter', `user=${one.user_id}`],
      'sessions show': ['sessions', 'show', one.id],
      stats: ['stats'],
      status: ['status'],
      doctor: ['doctor'],
      prune: ['prune', '--delete', '--older-than', '90d'],
      'plan, nothing to do': ['plan'],
      'verify, structural': ['verify', '--only', structural],
      verify: ['verify'],
      'rollback --all': [
        'rollback',
        '--all',
        '--allow',
        'DELETES_DATA,IGNORES_RECENT_WRITES',
        '--confirm',
        new URL(db.url).pathname.slice(1),
      ],
    }
    const facts = async () => {
      await sql`select pg_stat_clear_snapshot()`
      const found = await sql`
        select relname, seq_tup_read::float8 as read from pg_stat_user_tables where relname in ('chats', 'chat_sessions') and schemaname = 'public'`
      return Object.fromEntries(found.map(r => [r.relname, r.read]))
    }
    const [{ sessions }] = await sql`select count(*)::float8 as sessions from public.chat_sessions`
    for (const [what, args] of Object.entries(commands)) {
      const before = await facts()
      const { seconds, memory } = await rethread(db.url, args, {}, 1)
      const after = await facts()
      const times = {
        chats: (after.chats - before.chats) / messages,
        // gone after a rollback, and its counters with it
        sessions: ((after.chat_sessions ?? before.chat_sessions) - before.chat_sessions) / sessions,
      }
      const [most, mostOfSessions] = goals[what]
      rows.push({
        what,
        messages,
        sessions,
        seconds: seconds.toFixed(1),
        'memory, MB': Math.round(memory),
        'reads of all messages': times.chats.toFixed(2),
        goal: most,
        reached: reached(times.chats, most + 0.05),
        'reads of all sessions': times.sessions.toFixed(2),
        'goal, sessions': mostOfSessions,
        'reached, sessions': reached(times.sessions, mostOfSessions + 0.05),
      })
    }
  } finally {
    await sql.end({ timeout: 1 })
    await db.stop()
  }
  table(rows)
  return rows
}
