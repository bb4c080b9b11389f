// What finding out what ten sampled persons see costs, under three kinds of policies: one with an index, one
// without, and one that asks another table for each row. Blocks and rows of the messages table are counted
// by the server, so they do not depend on the machine. BENCH_MESSAGES.
import postgres from 'postgres'
import { fillExample } from './example.mjs'
import { reached } from './markdown.mjs'

const messages = Number(process.env.BENCH_MESSAGES ?? 200_000)
/** Most blocks, as a multiple of the table, with what else the command reads of it. */
const goals = { baseline: 5, 'verify --sample 10': 4, prove: 20, 'verify --as-user': 1 }
const policies = {
  'by index': `create index chats_user on public.chats (user_id);
    create policy p on public.chats for select to authenticated using (user_id = (select auth.uid()))`,
  'no index':
    'create policy p on public.chats for select to authenticated using (user_id = (select auth.uid()))',
  'another table': `create policy p on public.chats for select to authenticated
    using (exists (select from public.workspaces w where w.id = workspace_id and w.owner_id = auth.uid()))`,
}

export default async function visibility({ rethread, server, root, table }) {
  const rows = []
  for (const [kind, policy] of Object.entries(policies)) {
    const db = await server()
    const sql = postgres(db.url, { max: 1, onnotice: () => {} })
    try {
      await fillExample(sql, root, { messages })
      await sql.unsafe(policy)
      await sql.unsafe('alter table public.chats enable row level security')
      await sql.unsafe('vacuum (analyze) public.chats')
      const facts = async () => {
        await sql`select pg_stat_clear_snapshot()`
        const [row] = await sql`
          select (heap_blks_hit + heap_blks_read)::float8 as blocks, s.seq_scan::float8 as scans,
            pg_relation_size('public.chats') / 8192.0 as pages
          from pg_statio_user_tables i join pg_stat_user_tables s using (relid) where relid = 'public.chats'::regclass`
        return row
      }
      const measured = async (what, args) => {
        const before = await facts()
        await rethread(db.url, args, {}, 1)
        const after = await facts()
        const times = (after.blocks - before.blocks) / after.pages
        rows.push({
          what,
          policy: kind,
          messages,
          'blocks, of the table': times.toFixed(1),
          'sequential scans': after.scans - before.scans,
          goal: goals[what],
          reached: reached(times, goals[what] + 0.05),
        })
      }
      await measured('baseline', ['migrate', '--to', '001_create_chat_sessions', '--allow', 'SHOWS_ROWS'])
      await rethread(db.url, [
        'migrate',
        '--phase',
        'contract',
        '--allow',
        'ENDS_OLD_APP,QUARANTINES_ROWS,SHOWS_ROWS,HIDES_ROWS',
      ])
      await sql.unsafe('vacuum (analyze) public.chats')
      await measured('verify --sample 10', ['verify', '--only', 'session_required', '--sample', '10'])
      await measured('prove', ['prove'])
      const [someone] = await sql`select user_id as id from public.chats where user_id is not null limit 1`
      await measured('verify --as-user', ['verify', '--only', 'session_required', '--as-user', someone.id])
    } finally {
      await sql.end({ timeout: 1 })
      await db.stop()
    }
  }
  table(rows)
  return rows
}
