import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import { lockModes } from '../../src/model/lock_mode.js'
import { counts, type Report } from '../../src/model/report.js'
import { contract, first, rethread } from '../support/cli.js'
import { database, newest, picture, root, some } from '../support/database.js'

type Step = Report['steps'][number]

/** The strongest lock that a step takes on each table, of those told or of those traced. */
function strongest(locks: Step['locks'], made: Set<string>): Record<string, string> {
  const best: Record<string, string> = {}
  for (const { table, mode } of locks) {
    if (table === null) throw new Error('a statement whose locks nobody told')
    if (made.has(table) || lockModes.indexOf(mode as never) < lockModes.indexOf('ROW EXCLUSIVE')) continue
    if (!best[table] || lockModes.indexOf(best[table] as never) < lockModes.indexOf(mode as never))
      best[table] = mode
  }
  return best
}

describe.each(some('oldest'))('rehearsals on PostgreSQL $major', server => {
  test.each(discover(root).tracks.map(t => t.name))(
    '%s on a copy: locks are those foretold, the checks pass, the way back ends where it began',
    async track => {
      await using target = await database(server, track, 300)
      await using copy = await database(server, track, 300)
      const before = await picture(target.sql)
      const start = await picture(copy.sql)
      const plan = await rethread(target.url, [
        'plan',
        '--track',
        track,
        ...contract,
        '--rehearse-url',
        copy.url,
      ])
      expect([plan.code, plan.report.findings.filter(f => f.level === 'error').map(f => f.message)]).toEqual([
        0,
        [],
      ])
      expect(plan.report.findings.map(f => f.code)).toContain('REHEARSED')
      expect(plan.report.steps.map(s => s.outcome)).toEqual(plan.report.steps.map(() => 'done'))
      const made = new Set(
        plan.report.steps.flatMap(s =>
          s.statements.flatMap(x => {
            const m = /^create (?:table|view) (?:if not exists )?([\w.]+)/.exec(x)
            return m ? [m[1]!] : []
          }),
        ),
      )
      for (const s of plan.report.steps.filter(s => s.rows === null))
        expect({
          step: s.migration,
          ...strongest(
            s.traces.flatMap(t => t.locks),
            made,
          ),
        }).toEqual({
          step: s.migration,
          ...strongest(s.locks, made),
        })
      expect(plan.report.checks.filter(c => c.outcome === 'pass').length).toBeGreaterThan(5)
      expect(
        plan.report.checks.filter(c => c.outcome === 'found' && c.level === 'error' && counts(c)),
      ).toEqual([])
      // the target was only read, and the copy is as it was
      expect(await picture(target.sql)).toEqual(before)
      expect((await picture(copy.sql)).schema).toBe(start.schema)
      const [ledger] = await target.sql`select to_regclass('rethread.ledger') as there`
      expect(ledger!.there).toBeNull()
    },
    60_000,
  )
})

test('on the target itself: rolled back, with what could not be rehearsed and why', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  await db.sql.unsafe('analyze public.chats')
  const before = await picture(db.sql)
  const ran = await rethread(db.url, ['plan', '--rehearse'])
  expect(await picture(db.sql)).toEqual(before)
  const outcomes = Object.fromEntries(
    ran.report.steps.map(s => [s.migration.slice(0, 3), [s.outcome, s.reason]]),
  )
  expect(outcomes['001']).toEqual(['rolled-back', null])
  expect(outcomes['002']).toEqual(['rolled-back', null])
  expect(outcomes['003']![0]).toBe('not-run')
  expect(outcomes['003']![1]).toMatch(/a backfill of \d+ rows in one transaction/)
  expect(outcomes['006']![0]).toBe('not-run')
  expect(ran.report.findings.map(f => f.code)).toEqual(
    expect.arrayContaining(['REHEARSED_HERE', 'REHEARSED']),
  )
  const trace = ran.report.steps[0]!.traces.find(t => t.locks.some(l => l.table === 'auth.users'))!
  expect(trace.locks[0]).toMatchObject({ mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes' })
  expect(trace.locks[0]!.heldMs).toBeGreaterThan(0)
})

test.each(
  ['workspace-sessions', 'trip-sessions', 'conversation-history'].flatMap((track, n) =>
    some(n === 1 ? 'newest' : 'oldest').map(server => [track, server.major, server] as const),
  ),
)(
  '%s on the target itself, whose rows nobody has counted: what is left out fails nothing, on PostgreSQL %i',
  async (track, _major, server) => {
    await using db = await database(server, track, 60)
    // as of a table that was never analyzed
    await db.sql.unsafe(
      `update pg_catalog.pg_class set reltuples = -1, relpages = 0 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
    )
    const before = await picture(db.sql)
    const rehearse = async () => {
      const { report } = await rethread(db.url, ['plan', '--track', track, '--rehearse'])
      const failed = [
        ...report.steps.filter(s => s.outcome === 'failed').map(s => [s.migration, s.reason]),
        ...report.checks.filter(c => c.outcome === 'failed').map(c => [c.check, c.reason]),
        ...report.checks
          .filter(c => ['accounted', 'orphaned_messages', 'every_conversation'].includes(c.check))
          .flatMap(c => c.found.map(f => [c.check, f.detail])),
      ]
      expect([failed, report.findings.map(f => f.code)]).toEqual([[], expect.arrayContaining(['REHEARSED'])])
      return report
    }
    const { steps } = await rehearse()
    const backfill = steps.find(s => s.phase === 'backfill' && s.outcome !== 'rolled-back')!
    expect([backfill.outcome, backfill.reason]).toEqual([
      'not-run',
      expect.stringMatching(/a backfill of the rows of public\.\w+ in one transaction/),
    ])
    expect(await picture(db.sql)).toEqual(before)
    const [made] = await db.sql`select to_regnamespace('rethread') as it`
    expect(made!.it).toBeNull()
    // without a row, backfills are rehearsed too
    await db.sql.unsafe(
      `truncate ${track === 'workspace-sessions' ? 'public.chats' : track === 'trip-sessions' ? 'public.conversations' : 'public.chat_sessions'} cascade`,
    )
    await rehearse()
  },
  60_000,
)

test('a table that is rewritten is told, and a rollback file that forgets something', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    'create table public.notes (id int primary key, n int); insert into public.notes select n, n from generate_series(1, 100) n',
  )
  const dir = mkdtempSync('/tmp/rethread-rewrite-')
  for (const f of ['migrations', 'rollbacks', 'verify']) mkdirSync(join(dir, f, 'own'), { recursive: true })
  writeFileSync(
    join(dir, 'migrations/own/001_widen.sql'),
    'alter table public.notes alter column n type bigint;\nalter table public.notes add column more text;',
  )
  writeFileSync(join(dir, 'rollbacks/own/001_widen.sql'), 'alter table public.notes alter column n type int;')
  writeFileSync(join(dir, 'verify/own/some.sql'), "select 'x' as object, 'y' as detail where false")
  const ran = await rethread(db.url, ['plan', '--dir', dir, '--rehearse', '--allow', 'REWRITES_TABLE'])
  expect(ran.report.steps[0]!.traces[0]!.rewritten).toEqual(['public.notes'])
  const differs = ran.report.findings.find(f => f.code === 'REHEARSAL_DIFFERS')!
  expect(differs.facts.objects).toEqual(['+ column public.notes.more'])
  expect(ran.code).toBe(1)
})

test('a copy that is the target is refused', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  const ran = await rethread(db.url, ['plan', '--rehearse-url', db.url])
  expect([ran.code, ran.report.findings.map(f => f.code)]).toEqual([2, ['USAGE']])
})

test('a pinned plan is applied as reviewed, and refused after any change, which is named', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  const dir = mkdtempSync('/tmp/rethread-pin-')
  const pin = join(dir, 'plan.json')
  expect((await rethread(db.url, ['plan', '--out', pin])).code).toBe(0)
  const before = await picture(db.sql)
  await db.sql.unsafe('create table public.surprise (id int)')
  const changed = await rethread(db.url, ['migrate', '--plan', pin])
  expect([changed.code, changed.report.verdict]).toEqual([3, 'refused'])
  expect(changed.report.findings.find(f => f.code === 'PLAN_CHANGED')!.facts.changes).toContain(
    'schema: + table public.surprise',
  )
  await db.sql.unsafe('drop table public.surprise')
  expect(await picture(db.sql)).toEqual(before)
  // a file that was edited since the review
  const own = JSON.parse(readFileSync(pin, 'utf8'))
  own.steps[0].checksum = 'f'.repeat(64)
  writeFileSync(join(dir, 'other.json'), JSON.stringify(own))
  const edited = await rethread(db.url, ['migrate', '--plan', join(dir, 'other.json')])
  expect(edited.code).toBe(3)
  expect(first(edited, 'PLAN_CHANGED').facts.changes).toEqual([
    'the file of step 001_create_chat_sessions has changed',
  ])
  const ran = await rethread(db.url, ['migrate', '--plan', pin])
  expect(ran.code).toBe(0)
  writeFileSync(join(dir, 'torn.json'), '{"format": 2}')
  const torn = await rethread(db.url, ['migrate', '--plan', join(dir, 'torn.json')])
  expect([torn.code, torn.report.findings.map(f => f.code)]).toEqual([2, ['BAD_PIN']])
})

test('the plan tells of invalid indexes on the tables it touches, and who is connected', async () => {
  await using db = await database(newest(), 'workspace-sessions', 100)
  await db.sql.unsafe(
    "create index broken on public.chats (role); update pg_index set indisvalid = false where indexrelid = 'broken'::regclass",
  )
  const { report } = await rethread(db.url, ['plan'])
  const invalid = report.findings.find(f => f.code === 'INVALID_INDEX')!
  expect([invalid.subject, invalid.fix]).toEqual(['broken', 'drop index concurrently broken;'])
  const connected = report.tables.find(t => t.title.startsWith('Connected now'))!
  expect(connected.rows.reduce((n, r) => n + Number(r[2]), 0)).toBeGreaterThan(0)
})

test('drift is told object by object', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  await db.sql.unsafe(`
    drop index public.idx_chat_sessions_active;
    create index extra on public.chats (role);
    alter policy chat_sessions_select on public.chat_sessions using (true)`)
  const drift = (await rethread(db.url, ['plan'])).report.findings.find(f => f.code === 'DRIFT')!
  expect(drift.facts.objects).toEqual([
    '- index public.chat_sessions.idx_chat_sessions_active',
    '+ index public.chats.extra',
    '~ policy public.chat_sessions.chat_sessions_select',
  ])
})
