// Exploding 200k sessions of 25 messages each from JSON arrays into rows: one INSERT ... SELECT by hand
// against our run with one worker and with two. BENCH_SESSIONS makes it smaller. Each way runs BENCH_ROUNDS
// times (3), every second time in reverse order, and its quickest counts: whoever comes first on a fresh
// disk takes up to twice as long. Told twice: until the last row is there, and until it is proved by an
// anti-join that none is missing and the planner knows the new table, which our run always does and a
// careful person would do by hand.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'

const sessions = Number(process.env.BENCH_SESSIONS ?? 200_000)

const source = `
  create table threads (id uuid primary key default gen_random_uuid(), items jsonb);
  insert into threads (items)
  select (select jsonb_agg(jsonb_build_object('role', 'user', 'content', repeat(md5(n::text || i), 2)) order by i) from generate_series(1, 25) i)
  from generate_series(1, ${sessions}) n;`
const target =
  'create table public.items (thread_id uuid not null, position bigint not null, role text, content text);'
const key = 'alter table public.items add primary key (thread_id, position);'
const explode = `insert into public.items (thread_id, position, role, content)
select t.id, e.position, e.value ->> 'role', e.value ->> 'content'
from public.threads t
cross join lateral jsonb_array_elements(t.items) with ordinality as e (value, position)
where t.items is not null`

/**
 * The same statement as a track: table first, key last, as a hand-written migration would do it for speed.
 */
function track() {
  const folder = mkdtempSync(join(tmpdir(), 'rethread-bench-track-'))
  const files = {
    'migrations/mine/1_items.sql': `--! phase: expand\n${target}`,
    'migrations/mine/2_explode.sql': `--! phase: backfill\n--! undone-by: 1_items\n--! table: public.threads\n--! pending: t.items is not null and not exists (select from public.items i where i.thread_id = t.id)\n${explode};`,
    'migrations/mine/3_key.sql': `--! phase: contract\n${key}`,
    'verify/mine/nothing_left.sql': `select t.id::text as object, 'not exploded' as detail from threads t where not exists (select from items i where i.thread_id = t.id)`,
    'rollbacks/mine/1_items.sql': 'drop table public.items;',
    'rollbacks/mine/3_key.sql': 'alter table public.items drop constraint items_pkey;',
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

/** A session by whose name it is nobody whom a backfill would leave room. */
const connect = url =>
  postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: 'rethread bench' } })

/**
 * Seconds from the first range that is claimed to the last that is done, as seen from outside: more often
 * towards the end, for looking costs time.
 */
async function fillTime(url) {
  const watcher = connect(url)
  let start = null
  try {
    for (;;) {
      const [seen] = await watcher`
        select count(*) filter (where state <> 'pending')::int as begun, count(*) filter (where state <> 'done')::int as open,
          (sum(cursor_page - from_page) / sum(to_page - from_page))::float8 as share
        from rethread.ranges`.catch(() => [{ begun: 0, open: 1, share: 0 }])
      if (seen.begun > 0) start ??= performance.now()
      const ms = start === null ? 0 : performance.now() - start
      if (start !== null && seen.open === 0) return ms / 1000
      const left = seen.share > 0 ? (ms * (1 - seen.share)) / seen.share : 0
      await new Promise(done => setTimeout(done, Math.min(500, Math.max(20, left / 4))))
    }
  } finally {
    await watcher.end()
  }
}

export default async function explodeBench({ rethread, server, table }) {
  const dir = track()
  const { url, stop } = await server()
  const sql = connect(url)
  const results = {}
  try {
    await sql.unsafe('set synchronous_commit = off')
    await sql.unsafe(source)
    await sql.unsafe('vacuum analyze threads')
    const ways = {
      single: async () => {
        await sql.unsafe(target)
        const start = performance.now()
        await sql.unsafe(explode)
        const filled = (performance.now() - start) / 1000
        await sql.unsafe(
          'select count(*) from threads t where t.items is not null and not exists (select from items i where i.thread_id = t.id)',
        )
        await sql.unsafe('analyze items')
        return { filled, seconds: (performance.now() - start) / 1000 }
      },
      'ours-1': () => ours(1),
      'ours-2': () => ours(2),
    }
    const ours = async workers => {
      const filling = fillTime(url)
      const run = await rethread(url, [
        'migrate',
        '--dir',
        dir,
        '--phase',
        'backfill',
        '--workers',
        String(workers),
      ])
      const [facts] = await sql`select max(ms) as worst, count(*)::int as batches from rethread.batches`
      return {
        seconds: run.report.steps.find(s => s.phase === 'backfill').durationMs / 1000,
        filled: await filling,
        memory: run.memory,
        ...facts,
      }
    }
    const wanted = (process.env.BENCH_WAYS ?? 'single,ours-1,ours-2').split(',')
    const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
    const turns = Array.from({ length: rounds }, (_, n) =>
      n % 2 === 0 ? wanted : wanted.toReversed(),
    ).flat()
    for (const way of turns) {
      await sql.unsafe('drop table if exists public.items')
      await sql.unsafe('drop schema if exists rethread cascade')
      await sql.unsafe('checkpoint')
      const r = await ways[way]()
      const [{ n, twice }] = await sql.begin(async tx => {
        await tx`set local work_mem = '1GB'`
        return tx`
          select sum(n)::int as n, (sum(n) - count(*))::int as twice
          from (select count(*) as n from items group by thread_id, position) each_once`
      })
      if (n !== sessions * 25 || twice !== 0) throw new Error(`${way}: ${n} rows, ${twice} doubled`)
      if (!results[way] || r.filled < results[way].filled)
        results[way] = { ...r, rate: n / r.seconds, fillRate: n / r.filled }
      console.log(
        way.padEnd(8),
        `filled ${r.filled.toFixed(1)} s, ${Math.round(n / r.filled / 1000)}k rows/s; proved ${r.seconds.toFixed(1)} s`,
        r.memory
          ? `CLI ${r.memory.toFixed(0)} MB, ${r.batches} batches, longest ${Math.round(r.worst)} ms`
          : '',
      )
    }
    const { single } = results
    if (single)
      table(
        Object.entries(results).map(([way, r]) => ({
          way,
          'filled, s': r.filled.toFixed(1),
          'rate, ratio': (r.fillRate / single.fillRate).toFixed(2),
          'with the proof': (r.rate / single.rate).toFixed(2),
        })),
      )
    return results
  } finally {
    await sql.end({ timeout: 1 })
    await stop()
    rmSync(dir, { recursive: true, force: true })
  }
}
