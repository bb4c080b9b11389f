// Giving 2M messages a session (2,000 workspaces, skewed), on stock and on production settings: our run
// against the hand-written single UPDATE and against a PL/pgSQL loop over the workspaces, up to the same
// finished state (sessions, session_id everywhere, indexes, validated foreign key, NOT NULL), and where the
// time goes. BENCH_SERVERS (stock, production), BENCH_MEMORY_MB (2048: for the server), BENCH_MESSAGES,
// BENCH_WAYS (single, loop, ours-1, ours-2, ours-nice-2, ours-nice-4), BENCH_LOAD=1 (an old application
// beside it, whose latency is told), BENCH_ROUNDS (1; of several the latencies are taken together, for a
// host's mood changes by the minute), BENCH_QUIET=1 (a server that has not logged much lately) and
// BENCH_SETTINGS (of the server, as JSON).
import postgres from 'postgres'
import { beside, felt, where } from './app.mjs'
import { fillExample, withoutAwkwardRows } from './example.mjs'
import { watched } from './host.mjs'
import { reached } from './markdown.mjs'

/**
 * Takes the server to where it has no more log files to use again than `min_wal_size` says, as
 * after days of little to log.
 */
async function forgetLog(sql) {
  for (let n = 0; n < 80; n++) {
    await sql.unsafe('select pg_switch_wal()')
    await sql.unsafe('checkpoint')
  }
}

const messages = Number(process.env.BENCH_MESSAGES ?? 2_000_000)
const load = process.env.BENCH_LOAD === '1'
const rounds = Number(process.env.BENCH_ROUNDS ?? 1)
const memoryMb = Number(process.env.BENCH_MEMORY_MB ?? 2048)
/** Settings of the server, and the goals for one and two workers on it. */
const servers = {
  stock: { settings: {}, goals: { 'ours-1': 0.6, 'ours-2': 0.4 } },
  production: {
    settings: { shared_buffers: `${memoryMb / 4}MB`, max_wal_size: '4GB', checkpoint_timeout: '15min' },
    goals: { 'ours-1': 1, 'ours-2': 0.7 },
  },
}

const single = `
  create table chat_sessions (
    id uuid primary key default gen_random_uuid(), workspace_id uuid not null references workspaces on delete cascade,
    user_id uuid not null references auth.users on delete cascade, title text not null default 'New Chat',
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz);
  alter table chats add column session_id uuid;
  insert into chat_sessions (workspace_id, user_id, title, created_at, updated_at)
  select c.workspace_id, w.owner_id, 'Legacy Chat', min(c.created_at), max(c.created_at)
  from chats c join workspaces w on w.id = c.workspace_id group by 1, 2;
  update chats c set session_id = s.id from chat_sessions s where s.workspace_id = c.workspace_id;`
const loop = `
  create table chat_sessions (
    id uuid primary key default gen_random_uuid(), workspace_id uuid not null references workspaces on delete cascade,
    user_id uuid not null references auth.users on delete cascade, title text not null default 'New Chat',
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz);
  alter table chats add column session_id uuid;
  do $$ declare w record; s uuid; begin
    for w in select distinct c.workspace_id, k.owner_id from chats c join workspaces k on k.id = c.workspace_id loop
      insert into chat_sessions (workspace_id, user_id, title) values (w.workspace_id, w.owner_id, 'Legacy Chat') returning id into s;
      update chats set session_id = s where workspace_id = w.workspace_id and session_id is null;
    end loop;
  end $$;`
const finish = `
  create index idx_chats_session_id on chats (session_id);
  create index idx_chats_session_created on chats (session_id, created_at);
  create index idx_chats_workspace_author on chats (workspace_id, user_id);
  alter table chats add constraint f foreign key (session_id) references chat_sessions on delete cascade not valid;
  alter table chats validate constraint f;
  alter table chats add constraint n check (session_id is not null) not valid;
  alter table chats validate constraint n;
  alter table chats alter column session_id set not null;`

const allow = ['--phase', 'contract', '--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS']

export default async function backfill({ rethread, server, root, table }) {
  const wanted = (process.env.BENCH_WAYS ?? 'single,ours-1,ours-2').split(',')
  const ways = {
    single: async url => hand(url, single),
    loop: async url => hand(url, loop),
    'ours-1': async url => ours(url, 1),
    'ours-2': async url => ours(url, 2),
    'ours-nice-2': async url => ours(url, 1, ['--nice', '2']),
    'ours-nice-4': async url => ours(url, 1, ['--nice', '4']),
  }
  async function hand(url, script) {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    const start = performance.now()
    await sql.unsafe(script)
    const filled = (performance.now() - start) / 1000
    let unfinished = ''
    try {
      for (const s of finish.split(';').filter(s => s.trim())) await sql.unsafe(s)
    } catch (error) {
      // what the application wrote meanwhile has no session
      if (!load) throw error
      unfinished = `never finished: ${error.message}`
    }
    await sql.end()
    return { filled, unfinished }
  }
  async function ours(url, workers, flags = []) {
    // the old application needs its dual write: with it running, the steps that end it wait for it to be gone
    const run = await rethread(url, [
      'migrate',
      '--workers',
      String(workers),
      ...flags,
      ...(load ? [] : allow),
    ])
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    const when = await sql`
      select migration, extract(epoch from started_at)::float8 * 1000 as at, duration_ms::float8 as ms from rethread.ledger
      where outcome = 'done' order by id`
    const [longest] =
      await sql`select max(ms) as ms, percentile_cont(0.99) within group (order by ms) as p99 from rethread.batches`
    await sql.end()
    return {
      memory: run.memory,
      longest,
      when: when.map(r => [r.migration, r.at, r.ms]),
      filled: run.report.steps
        .filter(s => s.phase !== 'contract')
        .reduce((n, s) => n + s.durationMs / 1000, 0),
      steps: Object.fromEntries(run.report.steps.map(s => [s.migration, Math.round(s.durationMs)])),
      batches: run.report.backfill.map(b => `${b.migration}: ${b.batches} batches, ${b.passes} passes`),
    }
  }
  async function round(way, settings) {
    const { url, stop } = await server({ ...settings, ...JSON.parse(process.env.BENCH_SETTINGS ?? '{}') })
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    try {
      await fillExample(sql, root, { messages, workspaces: 2000 })
      // the hand-written ways know nothing of awkward rows
      await withoutAwkwardRows(sql)
      if (process.env.BENCH_QUIET === '1') await forgetLog(sql)
      const facts = async () =>
        (
          await sql`select pg_table_size('chats')::float8 as heap, pg_current_wal_lsn() - '0/0'::pg_lsn as wal`
        )[0]
      const before = await facts()
      const timed = async () => {
        const start = performance.now()
        const said = await ways[way](url)
        return { seconds: (performance.now() - start) / 1000, ...said }
      }
      const {
        done: said,
        samples,
        stops: _,
        ...beheld
      } = await (load ? beside(root, url, timed) : watched(timed))
      const after = await facts()
      const wal = (after.wal - before.wal) / 2 ** 20
      const heap = after.heap / before.heap
      console.log(
        way.padEnd(8),
        `${said.seconds.toFixed(1)} s, filled ${said.filled.toFixed(1)} s, WAL ${wal.toFixed(0)} MB, heap x${heap.toFixed(2)}`,
        JSON.stringify(beheld.felt ?? beheld),
        said.unfinished ?? '',
        said.memory
          ? `CLI ${said.memory.toFixed(0)} MB, longest batch ${said.longest.ms.toFixed(0)} ms (p99 ${said.longest.p99.toFixed(0)})`
          : '',
        said.batches ?? '',
        JSON.stringify(said.steps ?? {}),
      )
      if (load && said.when)
        console.log(
          'statements of more than twice the idle p99, by step:',
          where(samples.busy, said.when, 2 * beheld.felt.idle.p99),
        )
      return { samples, result: { ...said, wal, heap, ...beheld } }
    } finally {
      await sql.end({ timeout: 1 })
      await stop()
    }
  }
  const results = {}
  const rows = []
  for (const on of (process.env.BENCH_SERVERS ?? 'stock,production').split(',')) {
    const { settings, goals } = servers[on]
    const found = {}
    for (const way of wanted) {
      const run = []
      for (let n = 0; n < rounds; n++) run.push(await round(way, settings))
      found[way] = run.map(r => r.result).sort((a, b) => a.seconds - b.seconds)[run.length >> 1]
      if (load && rounds > 1) {
        found[way].together = felt(run.map(r => r.samples))
        console.log(`${way}: ${rounds} rounds together`, JSON.stringify(found[way].together))
      }
    }
    results[on] = found
    const { single } = found
    for (const [way, r] of Object.entries(found)) {
      const ratio = single ? r.seconds / single.seconds : null
      const goal = goals[way] ?? null
      rows.push({
        messages,
        settings: on,
        way,
        'time, s': r.seconds.toFixed(1),
        ratio: ratio?.toFixed(2),
        goal,
        reached: ratio === null ? '' : reached(ratio, goal),
        'WAL, ratio': single ? (r.wal / single.wal).toFixed(2) : '',
        'heap, of before': r.heap.toFixed(2),
        ...phasesOf(r),
      })
    }
  }
  table(rows)
  return results
}

/** Where the seconds of a run of ours went: before the first step, in each kind, and after the last. */
function phasesOf({ seconds, steps }) {
  if (!steps) return {}
  const sum = pattern =>
    Object.entries(steps).reduce((n, [name, ms]) => n + (pattern.test(name) ? ms / 1000 : 0), 0)
  const parts = {
    'sessions, s': sum(/^00[1-4]/),
    'messages, s': sum(/^005/),
    'indexes, s': sum(/^006/),
    'proofs and NOT NULL, s': sum(/^0(0[7-9]|1)/),
  }
  const rest = seconds - Object.values(parts).reduce((a, b) => a + b, 0)
  return Object.fromEntries(
    Object.entries({ 'beside the steps, s': rest, ...parts }).map(([k, v]) => [k, v.toFixed(1)]),
  )
}
