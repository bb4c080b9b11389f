import { afterAll, beforeAll, describe, expect } from 'vitest'
import { findingsOf } from '../../src/model/failure.js'
import type { Consent } from '../../src/model/plan.js'
import { runStatements } from '../../src/run/execute_file.js'
import { runTransaction } from '../../src/run/execute_transaction.js'
import { openRun } from '../../src/run/open_run.js'
import { rethread } from '../support/cli.js'
import { consentTo, contextOf } from '../support/context.js'
import { type Database, database, inTurn, servers } from '../support/database.js'
import { application, errors, factsOf, migrated, placesOf, reset, words } from '../support/destruction.js'
import { folder } from '../support/folder.js'

describe.each(servers())('what a migration takes away on PostgreSQL $major', server => {
  const test = inTurn(server)

  let db: Database
  beforeAll(async () => {
    db = await database(server, 'empty')
  })
  afterAll(async () => {
    await db[Symbol.asyncDispose]()
  })
  const none: Consent = { allow: new Set(), confirm: null }
  const drop = 'drop view public.seen; '

  test('every object that a file names wants consent, and goes with it', async () => {
    const up =
      drop +
      `drop table public.c, public."A"; alter table public.a drop column body, drop column note; truncate public.bare;
       delete from public.b; drop schema side cascade;
       with gone as (delete from public.feelings returning id) select 1 from gone;`
    const asked = await migrated(db, up, none)
    expect([asked.report.verdict, factsOf(errors(asked.report)[0]!).because]).toEqual([
      'refused',
      [
        'DELETES_DATA: 1_first: drops table public.c',
        'DELETES_DATA: 1_first: drops table public."A"',
        'DELETES_DATA: 1_first: drops column public.a.body',
        'DELETES_DATA: 1_first: drops column public.a.note',
        'DELETES_DATA: 1_first: TRUNCATE empties public.bare',
        'DELETES_DATA: 1_first: DELETE removes rows of public.b',
        'DELETES_DATA: 1_first: drops everything in schema side',
        'DELETES_DATA: 1_first: DELETE removes rows of public.feelings',
        expect.stringMatching(/^CANNOT_TELL: 1_first: statement 6: drop schema side cascade: /),
      ],
    ])
    expect(placesOf(asked.after)).toEqual(placesOf(asked.before))
    const done = await migrated(db, up, consentTo(db.name))
    expect([done.report.verdict, errors(done.report)]).toEqual(['clean', []])
    const left = await db.sql`select
      to_regclass('public.c') as c, to_regnamespace('side') as side, (select count(*)::int from public.bare) as bare,
      (select count(*)::int from public.b) as b, (select count(*)::int from public.feelings) as feelings`
    expect(left[0]).toEqual({ c: null, side: null, bare: 0, b: 0, feelings: 0 })
  })

  describe('is refused although DELETES_DATA is allowed: the plan did not name it', () => {
    test.each<[string, string, string]>([
      ['a DROP inside a DO block', 'do $$ begin drop table public."A"; end $$;', 'public."A"'],
      ['a DELETE that a function runs', 'select public.clean();', 'public.c'],
      ['rows that go with the rows of another table', 'delete from public.a where id = 1;', 'public.b'],
      ['tables that TRUNCATE takes along', 'truncate public.a cascade;', 'public.b'],
      ['a column that DROP TYPE takes along', 'drop type public.mood cascade;', 'public.feelings.mood'],
      ['another table of a DROP in a function', 'delete from public.bare; call public.clear();', 'public.c'],
      ['a table through the search path', 'set local search_path = side; drop table notes;', 'side.notes'],
      ['rows that a trigger deletes', "insert into public.inbox values (1, 'x');", 'public.c'],
      [
        'the quarantine in a DO block',
        'do $$ begin drop table rethread_archive.quarantine; end $$;',
        'rethread_archive.quarantine',
      ],
    ])('%s', async (_, up, object) => {
      const { report, before, after } = await migrated(db, drop + up, consentTo(db.name))
      expect(errors(report).map(f => [f.code, f.subject])).toEqual([['DESTROYS_UNARCHIVED', object]])
      expect([report.verdict, report.steps.map(s => s.outcome)]).toEqual(['failed', ['failed']])
      expect(placesOf(after)).toEqual(placesOf(before))
      expect((await db.sql`select to_regclass('public.seen') is not null as there`)[0]!.there).toBe(true)
    })
  })

  test('a file that says in its header that it deletes data may do it in a DO block, once that is allowed', async () => {
    const up = '--! hazard: DELETES_DATA\ndo $$ begin delete from public.bare; end $$;'
    expect((await migrated(db, up, none)).report.verdict).toBe('refused')
    const done = await migrated(db, up, consentTo(db.name))
    expect([done.report.verdict, errors(done.report)]).toEqual(['clean', []])
    expect((await db.sql`select count(*)::int as n from public.bare`)[0]!.n).toBe(0)
  })

  test('a table that was set aside wants consent like any other; lists that the track makes do not', async () => {
    const aside = `create schema if not exists rethread_archive; create table rethread_archive.list (n int);
      alter table public.bare set schema rethread_archive; drop table rethread_archive.list;`
    const moved = await migrated(db, aside, none)
    expect([moved.report.verdict, errors(moved.report)]).toEqual(['clean', []])
    const dropped = await migrated(db, `${aside} drop table rethread_archive.bare;`, none)
    expect(factsOf(errors(dropped.report)[0]!).because).toEqual([
      'DELETES_DATA: 1_first: drops table rethread_archive.bare',
    ])
  })

  test('rows that a statement moves to the schema of the archive are not lost: no consent', async () => {
    const { report, before, after } = await migrated(
      db,
      'create schema if not exists rethread_archive; create table rethread_archive.kept (like public.c); with gone as (delete from public.c returning *) insert into rethread_archive.kept select * from gone;',
      none,
    )
    expect([report.verdict, errors(report)]).toEqual(['clean', []])
    expect([...before.keys()].filter(w => !after.has(w))).toEqual([])
    expect(after.get('c_body_1')).toEqual(['rethread_archive.kept'])
  })

  // whoever calls it, whatever any plan or report said before
  test.each([
    ['in a transaction', 'drop table public."A";', 'public."A"'],
    ['in a transaction, in a DO block', 'do $$ begin drop table public."A"; end $$;', 'public."A"'],
    ['alone', 'alter table public.bare drop column body;', 'public.bare.body'],
  ])('what sends a statement refuses by itself: %s', async (how, text, object) => {
    await db.sql.unsafe(reset)
    await db.sql.unsafe(application)
    const before = await words(db)
    const run = await openRun(contextOf(db.url), 'migrate', 0)
    try {
      const step = {
        track: 'mine',
        migration: '1_first',
        direction: 'up' as const,
        phase: 'expand',
        file: { path: 'migrations/mine/1_first.sql', text, checksum: '' },
        resumes: null,
        foreign: false,
        permits: {
          keys: new Set<string>(),
          spared: new Set<string>(),
          everything: false,
          wanted: 'consent' as const,
        },
      }
      const sent = how === 'alone' ? runStatements(run, step) : runTransaction(run, step)
      const refused = await sent.then(
        () => [],
        error => findingsOf(error).map(f => [f.code, f.subject]),
      )
      expect(refused).toEqual([['DESTROYS_UNARCHIVED', object]])
    } finally {
      await run.close('failed')
    }
    expect(placesOf(await words(db))).toEqual(placesOf(before))
  })
})

describe.each(servers())('rows that a backfill removes on PostgreSQL $major', server => {
  const test = inTurn(server)

  const notes = `create table public.notes (id int primary key, body text, kind text);
    insert into public.notes select n, 'note_body_' || n, case when n <= 3 then 'odd' end from generate_series(1, 9) n`
  const backfill = (header: string, where: string) =>
    folder({
      'migrations/mine/1_clean.sql': `--! phase: backfill\n--! table: public.notes\n--! pending: t.kind = 'odd'\n${header}delete from public.notes t where ${where};`,
      'rollbacks/mine/1_clean.sql': 'select 1;',
      'verify/mine/nothing.sql': `select 'x' as object, 'y' as detail where false`,
    })
  const quarantines = '--! hazard: QUARANTINES_ROWS\n'
  const left = async (db: Database) =>
    (
      await db.sql`select (select count(*)::int from public.notes) as notes,
      (select count(*)::int from rethread_archive.quarantine) as aside`
    )[0]

  test('want consent from whoever starts it: a canary and a bounded piece too', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(notes)
    for (const [header, hazard] of [
      ['', 'DELETES_DATA'],
      [quarantines, 'QUARANTINES_ROWS'],
    ] as const) {
      const cwd = backfill(header, "t.kind = 'odd'")
      const piece = await rethread(db.url, ['backfill', '--max-rows', '2'], { cwd })
      expect([piece.code, piece.report.findings.map(f => [f.code, f.subject, f.fix])]).toEqual([
        2,
        [['DESTROYS_UNARCHIVED', 'public.notes', `--allow ${hazard}`]],
      ])
      expect(await left(db)).toEqual({ notes: 9, aside: 0 })
    }
  })

  test('are set aside as they are, and no other row goes, whatever the file says', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(notes)
    // a row that was set aside by a run that was stopped, and changed since
    const cwd = backfill(quarantines, "t.kind = 'odd' or t.id > 0")
    expect((await rethread(db.url, ['backfill', '--max-rows', '1'], { cwd })).code).toBe(2)
    await db.sql.unsafe(`insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
      select 'mine', '1_clean', 'public.notes', id::text, 'before', to_jsonb(n) || '{"body": "older"}' from public.notes n where id = 2`)
    const ran = await rethread(db.url, ['migrate', '--allow', 'QUARANTINES_ROWS'], { cwd })
    expect([ran.code, await left(db)]).toEqual([0, { notes: 6, aside: 3 }])
    const aside =
      await db.sql`select original ->> 'body' as body from rethread_archive.quarantine order by key`
    expect(aside.map(a => a.body)).toEqual(['note_body_1', 'note_body_2', 'note_body_3'])
  })
})
