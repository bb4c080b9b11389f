import { describe, expect, test } from 'vitest'
import type { HazardCode } from '../../src/index.js'
import type { FindingOf } from '../../src/model/report.js'
import { configured, contract, contractWith, type Ran, rethread } from '../support/cli.js'
import { type Database, database, inTurn, newest, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess } from '../support/in_process.js'

/**
 * Rows of a backfill that fail: for good, for a while, too many of them. None is called done, none is taken
 * out of its table, and the same command tries them again.
 */

/** Rows that fail for good need no waiting. */
const hasty = (more: object = {}) => configured({ retryFailedSeconds: 1, ...more })

/** Triggers of the application fire for the rows of a backfill: these stories want that. */
const fire = ['--allow', 'FIRES_TRIGGERS']
/** Their trigger came or went after the migration began: that is drift of a table of the track. */
const drifted = ['--allow', 'FIRES_TRIGGERS,IGNORES_DRIFT']
/** The consent of the contract phase, and that triggers fire. */
const contractAndFire = contractWith('FIRES_TRIGGERS')

/** A BEFORE UPDATE trigger on chats, as an application may have one. */
const trigger = (db: Database, body: string) =>
  db.sql.unsafe(`
    create function public.on_chats() returns trigger language plpgsql as $$ begin ${body} return new; end $$;
    create trigger on_chats before update on public.chats for each row execute function public.on_chats()`)

const failedIn = (ran: Ran): FindingOf<'ROWS_FAILED'>[] =>
  ran.report.findings.filter(f => f.code === 'ROWS_FAILED') as never

const codesOf = (ran: Ran) => ran.report.findings.map(f => f.code)

/** How many messages there are, with a session, set aside and failed. */
const state = async (db: Database) => {
  const [row] = await db.sql<{ rows: number; bound: number; aside: number; failed: number }[]>`
    select count(*)::int as rows, count(session_id)::int as bound,
      (select count(distinct key)::int from rethread_archive.quarantine) as aside,
      (select count(*)::int from rethread_archive.failed_rows) as failed from chats`
  return row!
}

/** The account of the messages in a report of `prove`. */
const account = (ran: Ran) => {
  const { columns, rows } = ran.report.tables.find(t => t.title === 'What came in')!
  return Object.fromEntries(columns.map((c, i) => [c, rows[0]![i]]))
}

describe.each(servers())('rows that fail on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('messages that are append-only: not done, named, never taken out, and done when the trigger is gone', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    await trigger(db, `raise exception 'messages are append-only';`)
    const cwd = hasty()
    const { rows } = (await db.sql`select count(*)::int as rows from chats`)[0]!
    const ran = await rethread(db.url, ['migrate', ...fire], { cwd })
    expect([ran.code, ran.report.verdict, ran.report.backfill.at(-1)!.state]).toEqual([
      1,
      'attention',
      'failed',
    ])
    const [failed] = failedIn(ran)
    expect(failed!.facts).toMatchObject({
      sqlstate: 'P0001',
      reason: 'messages are append-only',
      rows: rows - 9,
    })
    expect(failed!.facts.keys).toHaveLength(3)
    expect(codesOf(ran)).not.toContain('NO_ROWS')
    expect(codesOf(ran)).not.toContain('STOPPED_BEFORE')
    const verified = await rethread(db.url, ['verify'])
    expect([verified.code, verified.report.checks.find(c => c.check === 'failed_rows')!.outcome]).toEqual([
      1,
      'found',
    ])
    const proved = await rethread(db.url, ['prove'])
    expect(proved.code).toBe(1)
    expect((await rethread(db.url, ['backfill', '--status'])).code).toBe(1)

    const ended = await rethread(db.url, ['migrate', ...contractAndFire], { cwd })
    expect([ended.code, await state(db)]).toEqual([1, { rows, bound: 0, aside: 9, failed: rows - 9 }])

    await db.sql`drop trigger on_chats on chats`
    expect((await rethread(db.url, ['migrate', ...drifted], { cwd })).code).toBe(0)
    expect(await state(db)).toEqual({ rows, bound: rows - 9, aside: 9, failed: 0 })
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
    expect(account(await rethread(db.url, ['prove']))).toMatchObject({
      'came in': rows,
      migrated: rows - 9,
      'set aside': 9,
      failed: 0,
      missing: 0,
    })
  })

  test('what is refused at the commit, in a backfill and where rows are taken out, is named and tried again', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const refuses = (id: string) =>
      db.sql.unsafe(`
        create or replace function public.late() returns trigger language plpgsql as $$ begin
          if old.id = '${id}' then raise exception 'not this one'; end if; return null; end $$`)
    const [row] = await db.sql`
      select (select id from chats where workspace_id is not null order by id limit 1) as kept,
        (select id from chats where workspace_id is null order by id limit 1) as lost, count(*)::int as rows from chats`
    await refuses(row!.kept)
    await db.sql`create constraint trigger late after update or delete on chats deferrable initially deferred for each row execute function late()`
    const allow: HazardCode[] = ['FIRES_TRIGGERS', 'IGNORES_DRIFT', 'ENDS_OLD_APP', 'QUARANTINES_ROWS']
    const ran = async (phase: 'contract' | null) => {
      const report = await project.migrate({ ...(phase ? { phase } : {}), consent: { allow } })
      const failed = report.findings.flatMap(f =>
        f.code === 'ROWS_FAILED' ? [[f.facts.migration, f.facts.sqlstate, f.facts.keys]] : [],
      )
      return [report.verdict, failed]
    }
    expect(await ran(null)).toEqual(['attention', [['005_assign_messages', 'P0001', [row!.kept]]]])
    await refuses(row!.lost)
    expect(await ran(null)).toEqual(['clean', []])
    const out = '009_set_aside_unassigned'
    expect(await ran('contract')).toEqual(['attention', [[out, 'P0001', [row!.lost]]]])
    expect(await ran('contract')).toEqual(['attention', [[out, 'P0001', [row!.lost]]]])
    const left = async () => (await db.sql`select id from chats where session_id is null`).map(r => r.id)
    expect(await left()).toEqual([row!.lost])
    await db.sql`drop trigger late on chats`
    expect([await ran('contract'), await left()]).toEqual([['clean', []], []])
    // a column that is new and takes no null is no part of what was taken out
    await db.sql.unsafe(
      `create domain public.tag as text not null; alter table chats add column tag public.tag default 'none'`,
    )
    expect((await project.prove()).findings.filter(f => f.level === 'error')).toEqual([])
    const consent = { allow: ['DELETES_DATA', 'IGNORES_DRIFT'] as HazardCode[], confirm: db.name }
    expect((await project.rollback({ all: true, consent })).verdict).toBe('clean')
    expect((await db.sql`select count(*)::int as rows from chats`)[0]!.rows).toBe(row!.rows)
  })

  test('a constraint that old rows violate, and a trigger that leaves a row as it is: only those rows fail', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    // NOT VALID is found before the first step; a rule that got stricter after its rows were proven is not
    await db.sql.unsafe(`
      update chats set role = 'bot' where role = 'assistant';
      create function public.is_known(role text) returns boolean language sql immutable as 'select true';
      alter table chats add constraint known check (public.is_known(role));
      create or replace function public.is_known(role text) returns boolean language sql immutable
        as $$ select role is distinct from 'bot' $$`)
    await trigger(db, `if new.id = md5('message 7')::uuid then return null; end if;`)
    const cwd = hasty()
    const ran = await rethread(db.url, ['migrate', ...fire], { cwd })
    const causes = failedIn(ran).map(f => [
      f.facts.sqlstate,
      f.facts.reason.split('"').at(-2) ?? f.facts.reason,
    ])
    expect([ran.code, causes]).toEqual([
      1,
      [
        ['23514', 'known'],
        [null, 'unchanged after the update'],
      ],
    ])
    const [left] = await db.sql`
      select count(*) filter (where role <> 'bot')::int as others from chats c
      where session_id is null and not exists (select from rethread_archive.quarantine q where q.key = c.id::text)`
    expect(left!.others).toBe(1)
    await db.sql`drop trigger on_chats on chats`
    await db.sql`update chats set role = 'assistant' where role = 'bot'`
    const again = await rethread(db.url, ['migrate', ...drifted], { cwd })
    expect([again.code, (await state(db)).failed]).toEqual([0, 0])
  })

  test('an application that refuses updates for some seconds, by an error or without a word, is waited for', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    expect((await rethread(db.url, ['migrate', '--to', '004'])).code).toBe(0)
    await db.sql`create table refusal as select clock_timestamp() + interval '4 seconds' as until`
    await trigger(
      db,
      `if clock_timestamp() < (select until from public.refusal) then
         if new.id::text < '8' then raise exception 'closed for now'; else return null; end if;
       end if;`,
    )
    // fewer than there are rows: the limit itself waits too
    const ran = await rethread(db.url, ['migrate', ...drifted], { cwd: configured({ maxFailedRows: 20 }) })
    expect([ran.code, failedIn(ran)]).toEqual([0, []])
    const { rows, ...after } = await state(db)
    expect(after).toEqual({ bound: rows - 9, aside: 9, failed: 0 })
  })

  test('sessions that somebody deletes in the middle give no message a reason that is not true', async () => {
    await using db = await database(server, 'workspace-sessions', 600)
    expect((await rethread(db.url, ['migrate', '--to', '004'])).code).toBe(0)
    await db.sql.unsafe(`
      create table once as select 1 as n;
      create function public.sweep() returns trigger language plpgsql as $$ begin
        delete from public.once; if found then delete from public.chat_sessions; end if; return null; end $$;
      create trigger sweep after update on public.chats for each statement execute function public.sweep()`)
    const cwd = hasty({ batchTargetMs: 5 })
    const ran = await rethread(db.url, ['migrate', '--to', '005', ...drifted], { cwd })
    const reasons =
      await db.sql`select reason, count(*)::int as n from rethread_archive.quarantine group by 1 order by 1`
    expect([ran.code, reasons.map(r => [r.reason, r.n])]).toEqual([
      1,
      [
        ['it has no workspace', 5],
        ['its workspace was deleted', 3],
        ['neither its author nor the owner of its workspace exists', 1],
      ],
    ])
    // the sessions are made again first: their backfill has rows to do again
    const again = await rethread(db.url, ['migrate', ...drifted], { cwd })
    expect(again.report.steps.map(s => s.migration)).toContain('004_create_legacy_sessions')
    const { rows, ...after } = await state(db)
    expect([again.code, after]).toEqual([0, { bound: rows - 9, aside: 9, failed: 0 }])
  })

  test('more failed rows than the limit stop the run early', async () => {
    await using db = await database(server, 'workspace-sessions', 2000)
    await trigger(db, `raise exception 'not now';`)
    const ran = await rethread(db.url, ['migrate', ...fire], { cwd: hasty({ maxFailedRows: 30 }) })
    const [failed] = failedIn(ran)
    expect([ran.code, failed!.facts.rows, failed!.facts.stoppedEarly]).toEqual([1, 31, true])
    expect(await state(db)).toMatchObject({ bound: 0, failed: 31, aside: 0 })
  })
})

describe('finished backfills', () => {
  test('the contract takes out what was reported and no more', async () => {
    await using db = await database(newest(), 'workspace-sessions', 200)
    const up = await rethread(db.url, ['migrate'])
    expect(up.report.findings.find(f => f.code === 'STOPPED_BEFORE')!.fix).toContain('QUARANTINES_ROWS=9')
    const { rows } = await state(db)
    await db.sql`insert into chats (message, role) values ('late', 'user'), ('later', 'user')`
    const refused = await rethread(db.url, ['migrate', ...contract])
    const needed = refused.report.findings.find(
      f => f.code === 'CONSENT_NEEDED',
    ) as FindingOf<'CONSENT_NEEDED'>
    expect([refused.code, needed.facts.rows, needed.facts.because]).toEqual([
      3,
      11,
      [
        'QUARANTINES_ROWS: 009_set_aside_unassigned takes 11 rows out of public.chats; 9 when it was reported',
      ],
    ])
    expect(await state(db)).toMatchObject({ rows: rows + 2, aside: 11 })
    const counted = await rethread(db.url, [
      'migrate',
      '--phase',
      'contract',
      '--allow',
      'ENDS_OLD_APP,QUARANTINES_ROWS=11',
    ])
    expect([counted.code, await state(db)]).toEqual([
      0,
      { rows: rows - 9, bound: rows - 9, aside: 11, failed: 0 },
    ])
  })

  test.each([
    [
      'workspace-sessions',
      ['003_collect_legacy_sessions', '004_create_legacy_sessions', '005_assign_messages'],
      `insert into chats (id, message, role, workspace_id, user_id) select md5('late')::uuid, 'late', 'user', w.id, w.owner_id from workspaces w
       where not exists (select from chats c where c.workspace_id = w.id) and w.owner_id is not null limit 1`,
      `select count(*)::int as n from chats c join chat_sessions s on s.id = c.session_id where c.message = 'late'`,
    ],
    [
      'conversation-history',
      ['003_move_conversations', '004_explode_messages', '005_set_aside_elements', '006_catch_up'],
      `insert into chat_sessions (tenant_id, user_id, title, messages)
       select tenant_id, user_id, 'late', '[{"role": "user", "content": "late"}]' from tenant_users limit 1`,
      `select count(*)::int as n from messages where content = 'late'`,
    ],
    [
      'trip-sessions',
      ['018_sessions_of_conversations'],
      `insert into conversations select (jsonb_populate_record(c, jsonb_build_object('id', md5('late')::uuid))).*
       from conversations c join requests r on r.id = c.request_id where r.iso_agent_id is not null limit 1`,
      `select count(*)::int as n from chat_sessions where conversation_id = md5('late')::uuid`,
    ],
  ])(
    '%s: a row that comes without its trigger reopens the backfills',
    async (track, reopened, late, done) => {
      await using db = await database(newest(), track, 200)
      const flags = ['--track', track]
      expect((await rethread(db.url, ['migrate', ...flags])).code).toBe(0)
      expect((await rethread(db.url, ['migrate', ...flags])).report.steps).toEqual([])
      await db.sql.begin(async tx => {
        await tx`set local session_replication_role = replica`
        await tx.unsafe(late)
      })
      const status = await rethread(db.url, ['status', ...flags])
      expect([status.code, codesOf(status)]).toEqual([
        1,
        expect.arrayContaining(['BACKFILL_REOPENED', 'PENDING']),
      ])
      const planned = await rethread(db.url, ['plan', ...flags])
      expect(planned.report.steps.map(s => s.migration)).toEqual(reopened)
      const held = await rethread(db.url, [
        'migrate',
        ...flags,
        '--phase',
        'contract',
        '--no-backfill',
        ...contract.slice(2),
      ])
      expect(held.report.steps).toEqual([])
      const again = await rethread(db.url, ['backfill', ...flags])
      expect([again.code, again.report.steps.map(s => [s.migration, s.outcome])]).toEqual([
        0,
        reopened.map(name => [name, 'done']),
      ])
      expect((await db.sql.unsafe<{ n: number }[]>(done))[0]!.n).toBe(1)
      expect((await rethread(db.url, ['migrate', ...flags])).report.steps).toEqual([])
    },
  )

  test('the quarantine: what waits and why, another try after a repair, a workspace for rows that have none', async () => {
    await using db = await database(newest(), 'workspace-sessions', 200)
    await rethread(db.url, ['migrate'])
    const list = await rethread(db.url, ['quarantine', 'list'])
    const byReason = list.report.tables.find(t => t.title === 'Set aside by 005_assign_messages')!
    expect([list.code, byReason.rows.map(r => [r[0], r[3], r[4]])]).toEqual([
      0,
      [
        ['it has no workspace', 5, 5],
        ['its workspace was deleted', 3, 3],
        ['neither its author nor the owner of its workspace exists', 1, 1],
      ],
    ])
    const rows = list.report.tables.at(-1)!.rows
    const shown = await rethread(db.url, ['quarantine', 'show', String(rows[0]![0])])
    const value = (name: string) => shown.report.tables[0]!.rows.find(r => r[0] === name)![1]
    expect([value('outcome'), value('reason'), value('to do now')]).toEqual([
      'set aside',
      'it has no workspace',
      true,
    ])
    expect(JSON.parse(String(value('original'))).id).toBe(value('key'))
    expect((await rethread(db.url, ['quarantine', 'show', '9999'])).code).toBe(2)

    // nothing was repaired: what is tried again is set aside again, and the account is the same
    const tried = await rethread(db.url, ['quarantine', 'retry'])
    const accounts = (ran: Ran, when: string) =>
      ran.report.tables[0]!.rows.find(
        r => r[0] === 'public.chats (005_assign_messages)' && r[1] === when,
      )!.slice(2)
    expect([tried.code, accounts(tried, 'after')]).toEqual([0, accounts(tried, 'before')])

    const [room] =
      await db.sql`select w.id from workspaces w where w.owner_id is not null order by w.id limit 1`
    const strange = await rethread(db.url, [
      'quarantine',
      'assign',
      '--workspace',
      '00000000-0000-4000-8000-000000000000',
    ])
    expect([strange.code, (await state(db)).aside]).toEqual([2, 9])
    const given = await rethread(db.url, [
      'quarantine',
      'assign',
      '--workspace',
      room!.id,
      '--reason',
      'it has no workspace',
    ])
    expect([given.code, (await state(db)).aside]).toEqual([0, 4])
    const [cameIn, done, aside] = accounts(given, 'before') as number[]
    expect(accounts(given, 'after')).toEqual([cameIn, done! + 5, aside! - 5, 0, 0, 0])

    await db.sql`insert into workspaces (id, name, owner_id) select distinct c.workspace_id, 'back', u.id
      from chats c cross join lateral (select id from auth.users limit 1) u where c.workspace_id is not null and not exists (select from workspaces w where w.id = c.workspace_id)`
    const repaired = await rethread(db.url, ['quarantine', 'retry', '--reason', 'its workspace was deleted'])
    expect([repaired.code, (await state(db)).aside]).toEqual([0, 1])
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })
})

test('a session that was set aside and gets its conversation later is in the quarantine no longer, whoever does it', async () => {
  await using db = await database(newest(), 'conversation-history', 40)
  const project = await inProcess(db.url, { track: 'conversation-history' })
  expect((await project.migrate()).verdict).toBe('clean')
  const aside = () => db.sql`
    select reason from rethread_archive.quarantine where migration = '003_move_conversations' order by reason`
  expect((await aside()).map(r => r.reason)).toEqual(['it has no tenant', 'it has no user'])
  // the application repairs one
  await db.sql`update public.chat_sessions set tenant_id = (select min(id::text)::uuid from public.tenants) where tenant_id is null`
  expect((await aside()).map(r => r.reason)).toEqual(['it has no user'])
  // the other one is repaired while triggers are off, and 006 finds it
  const [session] = await db.sql`select id, tenant_id from public.chat_sessions where user_id is null`
  const user = await db.sql`select id from auth.users order by id limit 1`
  await db.sql.begin(async tx => {
    await tx`set local session_replication_role = replica`
    await tx`update public.chat_sessions set user_id = ${user[0]!.id} where id = ${session!.id}`
    await tx`insert into public.conversations (id, tenant_id, user_id, title) values (${session!.id}, ${session!.tenant_id}, ${user[0]!.id}, 'By another way')`
    await tx`insert into chat_private.behind (session_id, written_by, operation, sqlstate) values (${session!.id}, 'old application', 'UPDATE', '55P03')`
  })
  expect((await project.migrate()).verdict).toBe('clean')
  expect(await aside()).toEqual([])
  const checks = await project.verify({ only: ['accounted', 'account_elements'] })
  expect([checks.verdict, checks.checks.flatMap(c => c.found)]).toEqual(['clean', []])
  await project.close()
})

test('two rows that have one key and fail are named once, and the run ends as with any failed row', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`
    create table public.notes (id int not null, body text, done bool);
    insert into public.notes select 1 + i / 2, 'n' || i from generate_series(0, 5) i;
    create function public.no_ones() returns trigger language plpgsql as $$ begin
      if new.id = 1 then raise exception 'no ones'; end if; return new; end $$;
    create trigger no_ones before update on public.notes for each row execute function public.no_ones()`)
  const cwd = folder({
    'rethread.config.json': '{"retryFailedSeconds": 1}',
    'migrations/mine/1_fill.sql': `--! phase: backfill
--! table: public.notes
--! key: id
--! pending: n.done is null
update public.notes n set done = true where n.done is null;`,
    'rollbacks/mine/1_fill.sql': 'update public.notes set done = null where done;',
    'verify/mine/none.sql': '--! title: nothing\nselect 1 as object, 2 as detail where false',
  })
  const ran = await rethread(db.url, ['migrate', '--dir', '.', ...fire], { cwd })
  expect([ran.code, failedIn(ran).map(f => [f.subject, f.facts.rows])]).toEqual([1, [['public.notes', 1]]])
  const [row] = await db.sql`select count(*)::int as left from public.notes where done is null`
  expect(row!.left).toBe(2)
})
