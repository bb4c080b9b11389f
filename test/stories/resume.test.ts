import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { claimRange, freeRanges, openBackfill } from '../../src/backfill/run_backfill.sql.js'
import { recentRuns } from '../../src/run/at_work.sql.js'
import { openRun } from '../../src/run/open_run.js'
import { configured, ended, rethread, start, undoAll } from '../support/cli.js'
import { contextOf } from '../support/context.js'
import { type Database, database, newest, open, picture, root, some } from '../support/database.js'
import type { Server } from '../support/servers.js'

/** Whoever updates a message meets this. */
const onUpdate = (db: Database, body: string) =>
  db.sql.unsafe(`
    create function met() returns trigger language plpgsql as $$ begin ${body} return new; end $$;
    create trigger met before update on chats for each row execute function met()`)

/**
 * The sessions of a helper whose client is gone, which the server does not know: its worker has a range. And
 * a run with one statement that takes long.
 */
async function silentSessions(server: Server) {
  const db = await database(server, 'empty')
  await (await openRun(contextOf(db.url), 'migrate', 0)).close('done')
  const heap = { relation: 'public.somewhere', pages: 1 }
  const which = { track: 'mine', migration: '001_fill', passes: 1, reopened: false }
  const backfill = await openBackfill(db.sql, which, [heap], 1)
  const [helper, busy] = await db.sql`
    insert into rethread.runs (command, host, who, tool)
    values ('backfill (helper)', 'elsewhere', 'somebody', ''), ('migrate', 'here', 'somebody', '') returning id`
  const named = async (name: string) => {
    const sql = open(db.url, 1)
    await sql`select set_config('application_name', ${name}, false)`
    return sql
  }
  const sessions = await Promise.all(
    [`writer run ${helper!.id}`, `worker run ${helper!.id}`, `writer run ${busy!.id}`].map(name =>
      named(`rethread ${name}`),
    ),
  )
  const claimed = await claimRange(sessions[1]!, backfill)
  const long = sessions[2]!`select pg_sleep(600)`.catch(() => {})
  return {
    db,
    /** What each run and the range are said to be, after ranges have been given back. */
    seen: async () => {
      await freeRanges(db.sql, backfill, { run: 0, pids: [] })
      const [range] = await db.sql`select state from rethread.ranges where id = ${claimed!.id}`
      const [newest, before] = await recentRuns(db.sql, 2)
      return { busy: newest!.outcome, helper: before!.outcome, range: range!.state }
    },
    end: async () => {
      await db.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${`rethread writer run ${busy!.id}`}`
      await Promise.all(sessions.map(sql => sql.end({ timeout: 1 })))
      await long
      await db[Symbol.asyncDispose]()
    },
  }
}

describe.each(some('oldest'))('half done on PostgreSQL $major', server => {
  let left: Awaited<ReturnType<typeof silentSessions>>
  let awake: object
  // they fall silent while the other stories run
  beforeAll(async () => {
    left = await silentSessions(server)
    awake = await left.seen()
  })
  afterAll(() => left.end())

  test('an invalid index that a stopped run of ours left is dropped and built again', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--phase', 'backfill'])
    await db.sql`create index idx_chats_session_id on chats (session_id)`
    await db.sql`update pg_index set indisvalid = false where indexrelid = 'idx_chats_session_id'::regclass`
    await db.sql`
      insert into rethread.ledger (run, track, migration, direction, outcome, checksum, tokens, statements, phase)
      select max(id), 'workspace-sessions', '006_index_and_constrain', 'up', 'started', '', '', array['create index concurrently idx_chats_session_id on public.chats (session_id)'], 'contract' from rethread.runs`
    const status = await rethread(db.url, ['status'])
    expect(status.report.findings.map(f => f.code)).toContain('UNFINISHED')
    expect(status.report.tables[0]!.rows.find(r => r[0] === '006_index_and_constrain')![2]).toBe(
      'started at statement 1',
    )
    const again = await rethread(db.url, ['migrate'])
    // nothing was tried twice, however many statements the file has
    expect([again.code, again.report.steps.map(s => s.attempts)]).toEqual([
      0,
      again.report.steps.map(() => 1),
    ])
    // what this run has finished is news, and nothing that is still to do
    const unfinished = again.report.findings.filter(f => f.code === 'UNFINISHED')
    expect(unfinished.map(f => [f.level, f.fix])).toEqual([['info', null]])
    expect(unfinished[0]!.message).toMatch(/did not finish: the run was killed\. This run has finished it/)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('a backfill that was stopped has its rows in the report, and nobody is at work on it', async () => {
    await using db = await database(server, 'workspace-sessions', 20_000)
    const child = start(['migrate', '--nice', '3', '--format', 'json', '--log', 'json'], {
      DATABASE_URL: db.url,
    })
    child.stderr!.on('data', (line: Buffer) => {
      if (/"type":"batch","migration":"005_assign_messages"/.test(String(line))) child.kill('SIGINT')
    })
    const { code, report } = await ended(child)
    const [step] = report.steps.filter(s => s.migration === '005_assign_messages')
    const backfill = report.backfill.at(-1)!
    expect([code, step!.outcome, backfill.state, backfill.etaSeconds]).toEqual([
      130,
      'interrupted',
      'stopped',
      null,
    ])
    expect(step!.rows).toBeGreaterThan(0)
    expect([step!.rows, backfill.rowsPerSecond > 0]).toEqual([backfill.rows, true])
    const written = report.steps.reduce((n, s) => n + (s.rows ?? 0), 0)
    const said = report.summary.lines.find(l => l.name === 'What happened')!.text.replaceAll(',', '')
    expect(said).toContain(`${written} rows written`)
  })

  test('what a worker had claimed is taken over although its session is still there: a pooler keeps it, or the network', async () => {
    await using db = await database(server, 'workspace-sessions', 20_000)
    const child = start(['migrate', '--nice', '3', '--log', 'json'], { DATABASE_URL: db.url })
    child.stderr!.on('data', (line: Buffer) => {
      if (/"type":"batch","migration":"005_assign_messages"/.test(String(line))) child.kill('SIGINT')
    })
    expect((await ended(child, false)).code).toBe(130)
    const part = ['backfill', '--max-rows', '100']
    const kept = open(db.url, 1)
    try {
      const [run] = await db.sql`select max(id) as id from rethread.runs`
      for (const name of ['', 'postgrest', `rethread worker run ${run!.id}`]) {
        await kept`select set_config('application_name', ${name}, false)`
        const claimed = await kept`
          update rethread.ranges g set state = 'claimed', claim = 0, backend_pid = a.pid, backend_start = a.backend_start
          from pg_stat_activity a where a.pid = pg_backend_pid() and g.state <> 'done' returning g.id`
        const ran = await rethread(db.url, name.startsWith('rethread') ? ['migrate'] : part)
        expect([name, claimed.length > 0, ran.code]).toEqual([name, true, 0])
      }
    } finally {
      await kept.end()
    }
    const left = await db.sql`
      select from rethread.ranges g join rethread.backfills b on b.id = g.backfill
      where b.migration = '005_assign_messages' and g.state <> 'done'`
    expect(left.length).toBe(0)
  }, 60_000)

  test('the lease of a killed run is free again although a pooler keeps its session', async () => {
    await using db = await database(server, 'workspace-sessions', 40)
    await rethread(db.url, ['migrate', '--to', '001_create_chat_sessions'])
    const kept = open(db.url, 1)
    const held = (seconds: number) => kept`
      update rethread.lease l set holder = 'somebody', backend_pid = a.pid, backend_start = a.backend_start,
        heartbeat = clock_timestamp() - make_interval(secs => ${seconds})
      from pg_stat_activity a where a.pid = pg_backend_pid()`
    const goes = ['migrate', '--to', '002_link_chats_to_sessions', '--lock-wait', '0']
    try {
      await kept`set application_name = ''`
      // a pooler may hide the names of sessions that work
      await held(0)
      expect((await rethread(db.url, goes)).report.findings.map(f => f.code)).toContain('ANOTHER_RUN')
      await held(11)
      expect((await rethread(db.url, goes)).code).toBe(0)
    } finally {
      await kept.end()
    }
  })

  test('an invalid index that is not ours stops the run, with the DROP to paste', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--phase', 'backfill'])
    await db.sql`create index idx_chats_session_id on chats (session_id)`
    await db.sql`update pg_index set indisvalid = false where indexrelid = 'idx_chats_session_id'::regclass`
    // an object of the track that somebody else made is drift, refused before the first step
    expect((await rethread(db.url, ['migrate'])).code).toBe(3)
    const ran = await rethread(db.url, ['migrate', '--allow', 'IGNORES_DRIFT'])
    const found = ran.report.findings.find(f => f.code === 'FOREIGN_INVALID_INDEX')!
    expect([ran.code, found.fix]).toEqual([
      2,
      expect.stringContaining('drop index concurrently public.idx_chats_session_id;'),
    ])
    await db.sql.unsafe('drop index concurrently public.idx_chats_session_id')
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  })

  test('what is there in the right definition is skipped, another definition stops the run', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--phase', 'backfill'])
    await db.sql`create index idx_chats_session_id on chats using btree (session_id asc nulls last, workspace_id)`
    await db.sql`create index idx_chats_session_created on chats (session_id, created_at desc)`
    const drifted = ['migrate', '--allow', 'IGNORES_DRIFT']
    const ran = await rethread(db.url, drifted)
    expect([ran.code, ran.report.findings.map(f => f.code)]).toEqual([3, ['DRIFT', 'NAME_TAKEN']])
    expect(ran.report.findings[1]!.subject).toContain('idx_chats_session_created')
    await db.sql`drop index idx_chats_session_created`
    const again = await rethread(db.url, drifted)
    expect([again.code, again.report.steps[0]!.reason]).toEqual([0, '1 statement already there'])
  })

  test('the tool’s schema of an older version is upgraded with what it holds', async () => {
    await using db = await database(server)
    const { upgrade, upgrades } = await import('../../src/run/schema_upgrades.sql.js')
    const sql = open(db.url, 1)
    expect(await upgrade(sql, 'rethread 0.0.1', 1)).toEqual([1])
    await sql`insert into rethread.runs (command, host, who, tool, outcome) values ('migrate', 'h', 'somebody', 'rethread 0.0.1', 'clean')`
    await sql.end()
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const versions = await db.sql`select version from rethread.meta order by 1`
    expect(versions.map(v => v.version)).toEqual(upgrades.map((_, i) => i + 1))
    const [kept] = await db.sql`select who from rethread.runs order by id limit 1`
    expect(kept!.who).toBe('somebody')
  })

  test('rows that an older version has called quarantined, and that failed, are tried again after the upgrade', async () => {
    await using db = await database(server)
    const { upgrade } = await import('../../src/run/schema_upgrades.sql.js')
    const sql = open(db.url, 1)
    await upgrade(sql, 'rethread 0.0.1', 4)
    await sql.end()
    await db.sql`
      insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
      select 'workspace-sessions', '005_assign_messages', 'public.chats', c.id::text, n.reason, to_jsonb(c)
      from (values ('message 11', 'P0001: not today'), ('message 777', 'the statement did not change this row')) n (name, reason)
      join chats c on c.id = md5(n.name)::uuid`
    const ran = await rethread(db.url, ['migrate'])
    const [state] = await db.sql`
      select (select count(*)::int from rethread_archive.quarantine) as aside, (select count(*)::int from rethread_archive.failed_rows) as failed,
        (select count(*)::int from chats where session_id is null) as without`
    expect([ran.code, state]).toEqual([0, { aside: 9, failed: 0, without: 9 }])
  })

  test('rows that fail are named with the server’s reason; the others arrive', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--no-backfill'])
    await onUpdate(
      db,
      `if new.id in (md5('message 11')::uuid, md5('message 777')::uuid) then raise exception 'this row cannot be touched'; end if;`,
    )
    const ran = await rethread(db.url, ['migrate', '--allow', 'FIRES_TRIGGERS,IGNORES_DRIFT'], {
      cwd: configured({ retryFailedSeconds: 1 }),
    })
    expect([ran.code, ran.report.findings.filter(f => f.level === 'error')]).toEqual([1, []])
    const poison = await db.sql`select sqlstate, reason from rethread_archive.failed_rows order by key`
    expect(poison.map(p => [p.sqlstate, p.reason])).toEqual(
      Array(2).fill(['P0001', 'this row cannot be touched']),
    )
    const [left] = await db.sql`select count(*)::int as n from chats where session_id is null`
    expect(left!.n).toBe(9 + 2)
  })

  test('a batch that takes long gives its rows back and comes again smaller, down to the page that takes what it takes', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--no-backfill'])
    await onUpdate(
      db,
      `if new.id = md5('message 777')::uuid and new.session_id is not null then perform pg_sleep(1); end if;`,
    )
    const ran = await rethread(db.url, ['migrate', '--allow', 'FIRES_TRIGGERS,IGNORES_DRIFT'])
    expect([ran.code, ran.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    // of one page, a pass takes a share of the line pointers, dead ones included
    const slow = await db.sql`
      select b.rows::int as rows, 226 / f.passes + 1 as most from rethread.batches b join rethread.backfills f on f.id = b.backfill
      where f.migration = '005_assign_messages' and b.ms >= 1000`
    expect(slow.length).toBe(1)
    expect(slow[0]!.rows).toBeLessThanOrEqual(slow[0]!.most)
    const [page] =
      await db.sql`select max(n)::int as n from (select count(*) as n from chats group by (ctid::text::point)[0]) x`
    expect(page!.n).toBeLessThan(226)
    const [left] = await db.sql`select count(*)::int as n from chats where session_id is null`
    expect(left!.n).toBe(9)
  })

  test('a gate that finds rows stops the plan there: exit 1, the rest not run', async () => {
    await using db = await database(server)
    const folder = mkdtempSync('/tmp/rethread-gate-')
    for (const kind of ['migrations', 'rollbacks', 'verify'])
      cpSync(join(root, kind), join(folder, kind), { recursive: true })
    writeFileSync(
      join(folder, 'verify/workspace-sessions/closed.sql'),
      `--! gate: 002_link_chats_to_sessions\nselect 'today' as object, 'no' as detail`,
    )
    const ran = await rethread(db.url, ['migrate'], { cwd: folder })
    expect([ran.code, ran.report.verdict]).toEqual([1, 'attention'])
    expect(ran.report.steps.map(s => s.outcome)).toEqual([
      'done',
      'not-run',
      'not-run',
      'not-run',
      'not-run',
      'not-run',
      'not-run',
      'not-run',
    ])
    expect(ran.report.findings.find(f => f.code === 'GATE')!.facts.check).toBe('closed')
  })

  test('an interrupted rollback goes on, or is turned round by migrate', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    // somebody reads for a while: the second rollback file can't get its lock within the budget
    const folder = configured({ lockBudgetSeconds: 1 })
    await db.sql`insert into chat_sessions (workspace_id, user_id, title) select id, owner_id, 'Mine' from workspaces where owner_id is not null limit 1`
    const reader = open(db.url, 1)
    let release = () => {}
    const hold = reader.begin(async tx => {
      await tx`select count(*) from chat_sessions`
      await new Promise<void>(done => {
        release = done
      })
    })
    const undo = ['rollback', ...undoAll(db.name)]
    const stopped = await rethread(db.url, undo, { cwd: folder })
    expect([stopped.code, stopped.report.findings.map(f => f.code)]).toEqual([
      2,
      expect.arrayContaining(['LOCK_TIMEOUT']),
    ])
    expect(stopped.report.steps.at(-1)!.outcome).not.toBe('done')
    release()
    await hold
    await reader.end()
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
    const [mine] = await db.sql`select count(*)::int as n from chat_sessions where title = 'Mine'`
    expect(mine!.n).toBe(1)
    expect((await rethread(db.url, undo)).code).toBe(0)
  })

  test('stopped before its capture was attached, killed afterwards, a rollback goes on with it: what is the tool’s own is no drift', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    // somebody reads: the values can be copied, but no step gets its lock
    const reader = open(db.url, 1)
    let release = () => {}
    const hold = reader.begin(async tx => {
      await tx`select count(*) from chats`
      await new Promise<void>(done => {
        release = done
      })
    })
    const undo = ['rollback', ...undoAll(db.name)]
    // the first try can't even attach the capture, because somebody writes
    const writer = open(db.url, 1)
    const write = writer.begin(async tx => {
      await tx`update chats set message = message where id = (select id from chats limit 1)`
      const folder = configured({ lockBudgetSeconds: 1 })
      const early = await rethread(db.url, undo, { cwd: folder })
      expect([early.code, early.report.findings.map(f => f.code)]).toEqual([
        2,
        expect.arrayContaining(['LOCK_TIMEOUT']),
      ])
    })
    await write
    await writer.end()
    const child = start([...undo, '--format', 'json'], { DATABASE_URL: db.url })
    const run = ended(child)
    for (let there = 0; there === 0; ) {
      await new Promise(done => setTimeout(done, 50))
      const [row] =
        await db.sql`select count(*)::int as n from pg_trigger where tgname like 'rethread_capture%'`
      there = row!.n
    }
    child.kill('SIGKILL')
    await run
    release()
    await hold
    await reader.end()
    const again = await rethread(db.url, [...undo, '--lock-wait', '20'])
    expect([again.code, again.report.findings.filter(f => f.level === 'refused')]).toEqual([0, []])
  })

  test.each(['migrate', 'restore'])(
    'killed while it counted what it had archived, a rollback’s archives come back as one after %s',
    async next => {
      await using db = await database(server, 'helper-chats')
      const track = ['--track', 'helper-chats']
      await rethread(db.url, ['migrate', ...track])
      await db.sql.unsafe(readFileSync(join(root, 'examples/helper-chats/new_app.sql'), 'utf8'))
      const live = await picture(db.sql)
      await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)])
      const kept = await db.sql`
        update rethread_archive.archives set state = 'capturing', hash = null, rows = 0
        where relation = 'public.chat_messages' returning id`
      expect(kept).toHaveLength(1)
      if (next === 'migrate') expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
      expect((await rethread(db.url, ['restore', 'latest', ...track])).code).toBe(0)
      expect((await picture(db.sql)).content).toEqual(live.content)
    },
  )

  test('a helper whose sessions are all silent works no more, although they are there; a long statement is work', async () => {
    const { db, seen } = left
    await db.sql`
      select pg_sleep(greatest(0, 10.1 - extract(epoch from clock_timestamp() - max(state_change))))
      from pg_stat_activity where datname = current_database() and application_name like 'rethread %'`
    expect([awake, await seen()]).toEqual([
      { busy: 'running', helper: 'running', range: 'claimed' },
      { busy: 'running', helper: 'killed', range: 'pending' },
    ])
  })
})

test('the example of the README’s dry run reads only: a role with nothing but SELECT may plan', async () => {
  await using db = await database(newest())
  const role = `reader_${db.name}`
  await db.sql.unsafe(
    `create role ${role} login bypassrls; grant usage on schema auth to ${role}; grant select on all tables in schema public, auth to ${role}`,
  )
  const url = new URL(db.url)
  url.username = role
  const ran = await rethread(url.toString(), ['plan'])
  // and learns that this role could not migrate
  expect([ran.code, ran.report.steps.length]).toEqual([1, 8])
  expect(ran.report.findings.map(f => f.code)).toContain('MISSING_PRIVILEGE')
  await db.sql.unsafe(`drop owned by ${role}; drop role ${role}`)
})
