import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { objects } from '../../src/run/schema_snapshot.sql.js'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { database, newest, open, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'

const json = ['--format', 'json']

describe.each(some('newest'))('side by side on PostgreSQL $major', server => {
  test('ten runners started at once: one applies, nine wait and find nothing to do', async () => {
    await using db = await database(server)
    const runs = await Promise.all(
      Array.from({ length: 10 }, () => ended(start(['migrate', ...json], { DATABASE_URL: db.url }))),
    )
    expect(runs.map(r => r.code)).toEqual(Array(10).fill(0))
    const applied = runs.filter(r => r.report.steps.some(s => s.outcome === 'done'))
    expect(applied.length).toBe(1)
    expect(runs.filter(r => r.report.findings.some(f => f.code === 'NOTHING_TO_DO')).length).toBe(9)
    const rows = await db.sql`select migration, count(*)::int as n from rethread.ledger group by 1 order by 1`
    expect(rows.map(r => r.n)).toEqual([1, 1, 1, 1, 1, 1, 1, 1])
  })

  test('what the old application inserts and updates while the backfill runs all ends with a session', async () => {
    await using db = await database(server, 'workspace-sessions', 30_000)
    const run = ended(start(['migrate', ...json], { DATABASE_URL: db.url }))
    let over = false
    void run.then(() => {
      over = true
    })
    let written = 0
    let errors = 0
    while (!over) {
      try {
        await db.sql`insert into chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'meanwhile' from workspaces where owner_id is not null order by random() limit 5`
        await db.sql`update chats set message = message || '!' where id in (select id from chats tablesample system (1) limit 5)`
        written += 5
      } catch {
        errors++
      }
    }
    const { code } = await run
    expect([code, errors]).toEqual([0, 0])
    expect(written).toBeGreaterThan(20)
    const [left] = await db.sql`
      select count(*)::int as n from chats c where session_id is null
        and not exists (select from rethread_archive.quarantine q where q.key = c.id::text)`
    expect(left!.n).toBe(0)
    const [now] =
      await db.sql`select count(*)::int as n from chats where message like 'meanwhile%' and session_id is not null`
    expect(now!.n).toBe(written)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('two workers share a backfill, and the sum is right', async () => {
    await using db = await database(server, 'workspace-sessions', 30_000)
    const up = await rethread(db.url, ['migrate', '--workers', '2'])
    expect(up.code).toBe(0)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
    const [row] = await db.sql`select count(*)::int as n from chats where session_id is not null`
    expect(up.report.backfill.find(b => b.migration === '005_assign_messages')!.rows).toBe(row!.n)
  })

  test('what stands at the end is counted and hashed, by workspace and by range of pages; settings of the table are as before', async () => {
    await using db = await database(server, 'workspace-sessions', 30_000)
    await db.sql`alter table chats set (autovacuum_analyze_threshold = 123, fillfactor = 95)`
    const up = await rethread(db.url, ['migrate'])
    const { counted } = up.report.backfill.find(b => b.migration === '005_assign_messages')!
    const [{ n, rooms }] = (await db.sql`
      select count(*)::int as n, count(distinct coalesce(workspace_id::text, '-'))::int as rooms from chats`) as unknown as [
      { n: number; rooms: number },
    ]
    expect([up.code, counted]).toEqual([0, { units: rooms, rows: n, hash: counted!.hash }])
    const wrong = await db.sql`
      select from (
        select coalesce(workspace_id::text, '(none)') as name, count(*) as rows,
          bit_xor(hash_record_extended(row(created_at, id, message, role, user_id, workspace_id), 0)) as hash
        from chats group by 1) c
      full join (select * from rethread.tallies where kind = 'unit') t using (name)
      where c.rows is distinct from t.rows or c.hash is distinct from t.hash`
    expect(wrong.length).toBe(0)
    const [ranges] = await db.sql`select sum(rows)::int as n, count(*)::int > 1 as several,
      lpad(to_hex(bit_xor(hash)), 16, '0') as hash from rethread.tallies where kind = 'range'`
    expect(ranges).toEqual({ n, several: true, hash: counted!.hash })
    const [left] =
      await db.sql`select reloptions::text[] as options, (select count(*)::int from rethread.table_settings) as kept
      from pg_class where oid = 'chats'::regclass`
    expect(left).toEqual({ options: ['fillfactor=95', 'autovacuum_analyze_threshold=123'], kept: 0 })
  })

  test('a canary takes one workspace and leaves the rest; the whole comes later', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--no-backfill'])
    const [room] =
      await db.sql`select workspace_id as id from chats where workspace_id is not null group by 1 order by count(*) desc limit 1`
    const tried = await rethread(db.url, ['backfill', '--workspace', room!.id])
    expect(tried.code).toBe(0)
    const [seen] = await db.sql`
      select count(*) filter (where session_id is not null and workspace_id = ${room!.id})::int as here,
        count(*) filter (where session_id is not null and workspace_id <> ${room!.id})::int as elsewhere,
        count(*) filter (where workspace_id = ${room!.id})::int as all from chats`
    expect(seen).toEqual({ here: seen!.all, elsewhere: 0, all: seen!.all })
    const status = await rethread(db.url, ['status'])
    expect([status.code, status.report.verdict]).toEqual([1, 'attention'])
    expect((await rethread(db.url, ['backfill'])).code).toBe(0)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('a range that somebody else has taken over: the batch that comes too late is undone, rows and checkpoint', async () => {
    await using db = await database(server, 'workspace-sessions', 60_000)
    await rethread(db.url, ['migrate', '--no-backfill'])
    const run = ended(start(['migrate', '--nice', '3', ...json], { DATABASE_URL: db.url }))
    const assigned = () => db.sql<{ rows: number }[]>`
      select b.rows::int as rows from rethread.batches b join rethread.backfills f on f.id = b.backfill where f.migration like '005%'`
    await until(async () => (await assigned()).length > 3)
    await db.sql`update rethread.ranges set claim = nextval('rethread.claims') where state = 'claimed'`
    const late = await run
    expect(late.code).toBe(2)
    expect(late.report.findings.map(f => f.code)).toContain('FENCED')
    const [done] = await db.sql`select count(*)::int as rows from chats where session_id is not null`
    expect(done!.rows).toBe((await assigned()).reduce((n, b) => n + b.rows, 0))
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('a paused backfill stops after its batch; resume goes on where it stopped', async () => {
    await using db = await database(server, 'workspace-sessions', 60_000)
    await rethread(db.url, ['migrate', '--no-backfill'])
    const run = ended(start(['backfill', '--nice', '3', ...json], { DATABASE_URL: db.url }))
    await until(async () => (await db.sql`select 1 from rethread.batches limit 1`).length > 0)
    const asked = await rethread(db.url, ['backfill', '--pause'])
    expect(asked.code).toBe(0)
    const paused = await run
    expect(paused.code).toBe(1)
    const before = await rethread(db.url, ['backfill', '--status'])
    expect(before.report.backfill.map(b => b.state)).toContain('paused')
    const again = await rethread(db.url, ['backfill', '--resume'])
    expect(again.code).toBe(0)
    expect(again.report.backfill.every(b => b.state === 'done')).toBe(true)
  })
})

async function until(true_: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await true_().catch(() => false)) return
    await new Promise(done => setTimeout(done, 20))
  }
  throw new Error('it never came')
}

test('the first Ctrl-C finishes the batch and exits 130; the same command goes on', async () => {
  await using db = await database(newest(), 'workspace-sessions', 60_000)
  await rethread(db.url, ['migrate', '--no-backfill'])
  const child = start(['migrate', '--nice', '3', ...json], { DATABASE_URL: db.url })
  const run = ended(child)
  await until(async () => (await db.sql`select 1 from rethread.batches limit 1`).length > 0)
  child.kill('SIGINT')
  const stopped = await run
  expect([stopped.code, stopped.report.verdict]).toEqual([130, 'interrupted'])
  expect(stopped.report.steps.map(s => s.outcome)).toContain('interrupted')
  const again = await rethread(db.url, ['migrate'])
  expect(again.code).toBe(0)
  expect((await rethread(db.url, ['verify'])).code).toBe(0)
})

test('a server that crashes in mid-backfill: it connects again, goes on from the checkpoint, and nothing is lost', async () => {
  const dataDir = mkdtempSync('/tmp/rethread-crash-')
  // durable, with asynchronous commits in the batches: an immediate stop loses the newest of them, and their
  // checkpoints with them, because both are one transaction
  let server = await startEmbedded({ dataDir, from: [root] })
  const { port } = server
  const sql = open(server.url, 1)
  await sql.unsafe('set demo.messages = 15000')
  await sql.unsafe(readFileSync(join(root, 'examples/supabase-shim.sql'), 'utf8'))
  await sql.unsafe(readFileSync(join(root, 'examples/workspace-sessions/before.sql'), 'utf8'))
  const [before] = await sql`select count(*)::int as n from chats`
  const run = ended(start(['migrate', '--nice', '5', ...json], { DATABASE_URL: server.url }))
  await until(
    async () =>
      (
        await sql`select 1 from rethread.batches b join rethread.backfills f on f.id = b.backfill where f.migration like '005%' limit 1`
      ).length > 0,
  )
  await server.stop('immediate')
  await sql.end({ timeout: 1 })
  server = await startEmbedded({ dataDir, from: [root], port })
  const { code, stderr, report } = await run
  const after = open(server.url, 1)
  try {
    expect(stderr).toContain('connecting again')
    expect([code, report?.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    const [left] = await after`
      select count(*)::int as n from chats c where session_id is null
        and not exists (select from rethread_archive.quarantine q where q.key = c.id::text)`
    expect(left!.n).toBe(0)
    const [all] = await after`select count(*)::int as n from chats`
    expect(all!.n).toBe(before!.n)
    expect((await rethread(server.url, ['verify'])).code).toBe(0)
  } finally {
    await after.end({ timeout: 1 })
    await server.stop('immediate')
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('alone a backfill has the server to itself; beside somebody at work it leaves room and says why', async () => {
  const dataDir = mkdtempSync('/tmp/rethread-alone-')
  const server = await startEmbedded({ dataDir, from: [root] })
  const sql = open(server.url, 1)
  const cwd = folder({
    'migrations/own/001_fill.sql':
      "--! phase: backfill\n--! table: public.notes\n--! pending: t.manner is null\nupdate public.notes t set manner = current_setting('backend_flush_after') || ' ' || current_setting('synchronous_commit') where t.manner is null;",
    'rollbacks/own/001_fill.sql': 'select 1;',
    'verify/own/nothing.sql': "select 'x' as object, 'y' as detail where false",
  })
  const filled = async () => {
    await sql.unsafe(`drop table if exists notes; drop schema if exists rethread, rethread_archive cascade;
      create table notes (id int primary key, body text, manner text);
      insert into notes select n, repeat('x', 200) from generate_series(1, 30000) n; analyze notes`)
    // who did something a second ago counts as at work
    await new Promise(done => setTimeout(done, 1200))
    return ended(start(['migrate', ...json], { DATABASE_URL: server.url }, cwd))
  }
  const manners = async () => (await sql`select distinct manner from notes order by 1`).map(r => r.manner)
  const other = open(server.url, 1)
  try {
    expect((await filled()).code).toBe(0)
    expect(await manners()).toEqual(['512kB off'])
    const working = other`select pg_sleep(60)`.execute()
    const beside = await filled()
    working.cancel()
    await expect(working).rejects.toThrow('canceling statement')
    expect([beside.code, await manners()]).toEqual([0, ['64kB local', '64kB off']])
    expect((await sql`select advice from rethread.backfills`)[0]!.advice).toBe('slow: others at work: 1')
  } finally {
    await Promise.all([sql.end({ timeout: 1 }), other.end({ timeout: 1 })])
    await server.stop('immediate')
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('four rollbacks at once: one rolls back, the others find nothing to do', async () => {
  await using db = await database(newest(), 'workspace-sessions', 40)
  expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  const undo = ['rollback', ...undoAll(db.name), ...json]
  const ran = await Promise.all([1, 2, 3, 4].map(() => ended(start(undo, { DATABASE_URL: db.url }))))
  const said = ran.map(r => [r.code, r.report.findings.some(f => f.code === 'NOTHING_TO_DO')])
  expect(said.sort(), JSON.stringify(ran.map(r => r.report.findings))).toEqual([
    [0, false],
    [0, true],
    [0, true],
    [0, true],
  ])
})

test('objects that somebody drops during a look at the schema are no part of it', async () => {
  await using db = await database(newest(), 'workspace-sessions', 0)
  const other = open(db.url, 1)
  const looks = 40
  let over = false
  const dropping = (async () => {
    for (; !over; await other`select pg_sleep(0.001)`) {
      await other`create view public.passing as select id from public.chats`
      await other`drop view public.passing`
    }
  })()
  try {
    for (let i = 0; i < looks; i++) {
      const rows = await objects(db.sql)
      expect(rows.some(r => r.object === 'public.chats')).toBe(true)
      expect(rows.filter(r => r.definition === null)).toEqual([])
    }
  } finally {
    over = true
    await dropping
    await other.end()
  }
})

test('interrupted while it waits for another run, a command ends as interrupted', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  await rethread(db.url, ['migrate', '--phase', 'expand'])
  const holder = open(db.url, 1)
  await holder`update rethread.lease l set holder = 'another', backend_pid = a.pid, backend_start = a.backend_start
    from pg_stat_activity a where a.pid = pg_backend_pid()`
  const waiting = start(['migrate', '--lock-wait', '60', ...json], { DATABASE_URL: db.url })
  waiting.stderr!.once('data', () => waiting.kill('SIGTERM'))
  const ran = await ended(waiting)
  await holder.end()
  expect([ran.code, ran.report.verdict, ran.report.findings.map(f => f.code)]).toEqual([
    130,
    'interrupted',
    ['INTERRUPTED'],
  ])
})
