import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrate } from '../../src/migrate/migrate.js'
import { bareMigrateOptions } from '../../src/migrate/migrate_options.js'
import { restore } from '../../src/rollback/restore.js'
import { rollback } from '../../src/rollback/rollback.js'
import { rethread, undoAll } from '../support/cli.js'
import { consentTo, contextOf, trackIn } from '../support/context.js'
import { type Database, database, some } from '../support/database.js'
import { errors, factsOf, placesOf, reset, rolledBack, track, words } from '../support/destruction.js'
import { folder } from '../support/folder.js'

describe.each(some('newest'))('what a rollback takes away on PostgreSQL $major', server => {
  let db: Database
  beforeAll(async () => {
    db = await database(server, 'empty')
  })
  afterAll(async () => {
    await db[Symbol.asyncDispose]()
  })

  // the two scripts that lost data with exit code 0
  test('drop table public.a, public.c: both are named before, archived, and come back', async () => {
    await using own = await database(server, 'empty')
    const cwd = track(
      'create table if not exists public.a (id int primary key, body text); create table if not exists public.c (id int primary key, body text);',
      'drop table public.a, public.c;',
    )
    expect((await rethread(own.url, ['migrate'], { cwd })).code).toBe(0)
    await own.sql`insert into public.a select n, 'a_body_' || n from generate_series(1, 3) n`
    await own.sql`insert into public.c select n, 'c_body_' || n from generate_series(1, 5) n`
    const refused = await rethread(own.url, ['rollback', '--all'], { cwd })
    expect([
      refused.code,
      refused.report.findings.filter(f => f.code === 'LOSS').map(f => [f.subject, f.facts.rows]),
    ]).toEqual([
      3,
      [
        ['public.a', 3],
        ['public.c', 5],
      ],
    ])
    const down = await rethread(own.url, ['rollback', ...undoAll(own.name)], { cwd })
    expect([
      down.code,
      down.report.tables.find(t => t.title === 'Archives')!.rows.map(r => [r[1], r[2]]),
    ]).toEqual([
      0,
      expect.arrayContaining([
        ['public.a', 3],
        ['public.c', 5],
      ]),
    ])
    expect((await own.sql`select to_regclass('public.a') as a, to_regclass('public.c') as c`)[0]).toEqual({
      a: null,
      c: null,
    })
    expect((await rethread(own.url, ['restore', 'latest'], { cwd })).code).toBe(0)
    const [back] =
      await own.sql`select (select count(*)::int from public.a) as a, (select count(*)::int from public.c) as c`
    expect(back).toEqual({ a: 3, c: 5 })
  })

  test.each([
    ['ours that names another table', '--! ours: public.b: false\ndrop table public.a;', 'public.b'],
    [
      'ours that names a column of it',
      '--! ours: public.a.body: true\ndrop table public.a;',
      'public.a.body',
    ],
    ['ours of a name in other letters', '--! ours: public."A": true\ndrop table public.a;', 'public."A"'],
  ])('%s is an error of the file', async (_, down, named) => {
    await using own = await database(server, 'empty')
    const cwd = track('create table public.a (id int primary key, body text);', down)
    const ran = await rethread(own.url, ['migrate'], { cwd })
    expect([ran.code, ran.report.findings.map(f => [f.code, f.subject, factsOf(f).reason])]).toEqual([
      2,
      [['BAD_HEADER', 'rollbacks/mine/1_first.sql:1', expect.stringContaining(`\`ours\` names ${named}`)]],
    ])
    // the file was changed after the migration: the rollback reads it again
    const good = track('create table public.a (id int primary key, body text);', 'drop table public.a;')
    expect((await rethread(own.url, ['migrate'], { cwd: good })).code).toBe(0)
    await own.sql`insert into public.a values (1, 'a_body_1')`
    const down_ = await rethread(own.url, ['rollback', ...undoAll(own.name)], { cwd })
    expect([down_.code, down_.report.findings.map(f => f.code)]).toEqual([2, ['BAD_HEADER']])
    expect((await own.sql`select count(*)::int as n from public.a`)[0]!.n).toBe(1)
  })

  describe('is archived', () => {
    test.each<[string, string, string[], up?: string]>([
      [
        'several tables in one DROP',
        'drop table public.c, public."A", public.bare;',
        ['public."A"', 'public.bare', 'public.c'],
      ],
      [
        'a name that leads through the search path',
        'set local search_path = side; drop table notes;',
        ['side.notes'],
      ],
      [
        'quoted names with dots, quotes and capitals',
        'drop table "My.App"."The ""Table""";',
        ['"My.App"."The ""Table"""'],
      ],
      ['a table whose name in small letters is another', 'drop table public."A";', ['public."A"']],
      ['DROP with CASCADE where nothing hangs on it', 'drop table public."A" cascade;', ['public."A"']],
      ['tables that hang on each other', 'drop table public.a, public.b;', ['public.a', 'public.b']],
      [
        'names that lead nowhere among others',
        'drop table if exists public."A", public.nothing;',
        ['public."A"'],
      ],
      ['a partitioned table with its partitions', 'drop table public.events;', ['public.events']],
      ['a partition', 'drop table public.events_1;', ['public.events_1']],
      ['a table that inherits from another', 'drop table public.child;', ['public.child']],
      [
        'two columns in one ALTER TABLE',
        'alter table public.a drop column body, drop column note;',
        ['public.a.body', 'public.a.note'],
      ],
      [
        'a column with a quoted name',
        'alter table "My.App"."The ""Table""" drop column "Col.umn", drop "say ""x""";',
        ['"My.App"."The ""Table"""."Col.umn"', '"My.App"."The ""Table"""."say ""x"""'],
      ],
      [
        'a column of a partitioned table',
        'alter table public.events drop column body;',
        ['public.events.body'],
      ],
      [
        'a column of a table without a key, with its whole rows',
        'alter table public.bare drop column body;',
        ['public.bare.body'],
      ],
      [
        'a column whose values a change of type replaces',
        "alter table public.a alter column note type text using 'nothing';",
        ['public.a.note'],
      ],
      ['rows of a DELETE', 'delete from public.c where id > 1;', ['public.c']],
      [
        'rows of a DELETE with USING, an alias and a remark',
        'delete from public.b x using public.a y where x.a_id = y.id and y.id = 2 -- one\n;',
        ['public.b'],
      ],
      ['rows of a partitioned table', 'delete from public.events e where e.id < 3;', ['public.events']],
      [
        'rows of tables with rules, which the server takes into no WITH',
        'delete from public.c as "x y" where "x y".id > 1; delete from public.events using public.c where kind = c.id;',
        ['public.c', 'public.events'],
        `drop view public.seen; create table public.noted (c_id int references public.c deferrable initially deferred, said text);
         create rule also as on delete to public.c do also insert into public.noted values (null, old.body);
         create rule kept as on delete to public.c where old.id = 2 do instead nothing;
         create rule also as on delete to public.events do also notify events;`,
      ],
      [
        'rows of two DELETEs, then the table',
        'delete from public.c where id = 1; delete from public.c where id = 2; drop table public.c cascade;',
        ['public.c', 'public.c'],
      ],
      [
        'a table under the name that the file gives it',
        'alter table public.bare rename to other; drop table public.other;',
        ['public.other'],
      ],
      [
        'a table that the file takes to the schema of the tool',
        'create schema chat_private; alter table public.bare set schema chat_private; drop table chat_private.bare;',
        ['chat_private.bare'],
      ],
      [
        'rows that a statement above it copied',
        'create table public.copy as select * from public.bare; drop table public.bare;',
        ['public.bare'],
      ],
    ])('%s', async (_, down, archived, up = 'drop view public.seen;') => {
      // the view would be a dependant of its own
      const { report, before, after } = await rolledBack(db, down, up)
      expect([report.verdict, errors(report)]).toEqual(['clean', []])
      const list = await db.sql<{ name: string; state: string }[]>`
        select concat_ws('.', relation, nullif(quote_ident(column_name), '')) as name, state from rethread_archive.archives order by 1`
      expect(list.map(a => a.name)).toEqual(archived)
      expect(new Set(list.map(a => a.state))).toEqual(new Set(['kept']))
      const lost = [...before.keys()].filter(w => !after.has(w))
      expect(lost).toEqual([])
    })
  })

  describe('is refused, and nothing of the step is done', () => {
    // the object that is named, and whether it is known before the run
    test.each<[string, string, string, 'before' | 'when sent']>([
      ['TRUNCATE', 'truncate public.c;', 'public.c', 'before'],
      ['TRUNCATE with CASCADE', 'truncate public.a cascade;', 'public.a', 'before'],
      ['a DELETE of rows that others hang on', 'delete from public.a where id = 1;', 'public.b', 'when sent'],
      ['a DELETE with RETURNING', 'delete from public.c returning id;', 'public.c', 'before'],
      [
        'a DELETE in a WITH',
        'with gone as (delete from public.c returning *) select count(*) from gone;',
        'public.c',
        'before',
      ],
      [
        'a DELETE in a WITH of an UPDATE',
        'with gone as (delete from public.c returning *) update public.a set note = body from gone where a.id = gone.id;',
        'public.c',
        'before',
      ],
      [
        'a DELETE in a WITH whose rows go elsewhere in part',
        'create table rethread_archive.some (like public.c); with gone as (delete from public.c returning *) insert into rethread_archive.some select * from gone where id > 1;',
        'public.c',
        'before',
      ],
      ['a DELETE from a table without a key', 'delete from public.bare;', 'public.bare', 'before'],
      ['a DELETE through a view', 'delete from public.seen;', 'public.seen', 'before'],
      [
        'MERGE with DELETE',
        'merge into public.c using public.a on a.id = c.id when matched then delete;',
        'public.c',
        'before',
      ],
      ['COPY of a DELETE', "copy (delete from public.c returning *) to '/dev/null';", 'public.c', 'before'],
      ['EXPLAIN ANALYZE of a DELETE', 'explain analyze delete from public.c;', 'public.c', 'before'],
      ['a DROP inside a DO block', 'do $$ begin drop table public."A"; end $$;', 'public."A"', 'when sent'],
      [
        'a DROP COLUMN inside a DO block',
        'do $$ begin alter table public.a drop column note; end $$;',
        'public.a.note',
        'when sent',
      ],
      [
        'a DELETE inside a DO block',
        'do $$ begin delete from public.bare; end $$;',
        'public.bare',
        'when sent',
      ],
      [
        'a TRUNCATE inside a DO block',
        "do $$ begin execute 'truncate public.bare'; end $$;",
        'public.bare',
        'when sent',
      ],
      ['a function that SELECT calls', 'select public.clean();', 'public.c', 'when sent'],
      ['a function in a view', 'select n from public.cleaning;', 'public.c', 'when sent'],
      [
        'a function in a default',
        'alter table public.bare add column n int default public.clean();',
        'public.c',
        'when sent',
      ],
      ['CALL', 'drop view public.seen; call public.clear();', 'public.c', 'when sent'],
      [
        'EXECUTE of what was prepared',
        'prepare p as delete from public.bare; execute p;',
        'public.bare',
        'when sent',
      ],
      ['a trigger', "insert into public.inbox values (1, 'x');", 'public.c', 'when sent'],
      [
        'a trigger that waits for the commit',
        "alter table public.inbox disable trigger spill; insert into public.inbox values (1, 'x'); update public.inbox set body = 'y';",
        'public.c',
        'when sent',
      ],
      ['DROP SCHEMA with CASCADE', 'drop schema side cascade;', 'side', 'before'],
      ['DROP TYPE with CASCADE', 'drop type public.mood cascade;', 'public.feelings.mood', 'when sent'],
      ['DROP DOMAIN with CASCADE', 'drop domain public.words cascade;', 'public.feelings.body', 'when sent'],
      [
        'DROP OWNED',
        'do $$ begin create role owner_x; exception when duplicate_object then null; end $$; alter table public.bare owner to owner_x; drop owned by owner_x;',
        'public.bare',
        'when sent',
      ],
      ['a table that others inherit from', 'drop table public.parent;', 'public.parent', 'before'],
      [
        'a column that others inherit',
        'alter table public.parent drop column body;',
        'public.parent.body',
        'before',
      ],
      ['a column of the key', 'alter table public.c drop column id;', 'public.c.id', 'before'],
      ['the quarantine', 'drop table rethread_archive.quarantine;', 'rethread_archive.quarantine', 'before'],
      [
        'the list of archives',
        'delete from rethread_archive.archives;',
        'rethread_archive.archives',
        'before',
      ],
      ['the ledger', 'drop table rethread.ledger;', 'rethread.ledger', 'before'],
    ])('%s', async (_, down, object, when) => {
      const { report, before, after } = await rolledBack(db, down)
      expect(report.verdict).toBe(when === 'before' ? 'refused' : 'failed')
      if (object !== '') {
        const refused = errors(report)
        expect(refused.map(f => [f.code, f.subject])).toEqual([['DESTROYS_UNARCHIVED', object]])
        expect(factsOf(refused[0]!).at).toBe(`rollbacks/mine/1_first.sql:1`)
      }
      expect(placesOf(after)).toEqual(placesOf(before))
    })
  })

  describe('is no loss', () => {
    test.each<[string, string]>([
      [
        'a table that the file itself has made',
        'create table public.t as select * from public.c; drop table public.t;',
      ],
      ['a temporary table', 'create temp table t as select * from public.c; drop table t;'],
      [
        'a temporary table that hides one of the application',
        'create temp table bare as select * from public.c; delete from bare; drop table bare;',
      ],
      [
        'a view, a function, a policy',
        'drop view public.seen, public.cleaning; drop function public.clean();',
      ],
      ['a detached partition', 'alter table public.events detach partition public.events_1;'],
      [
        'a row that an UPDATE moves to another partition',
        'update public.events set kind = 2 where kind = 1;',
      ],
      [
        'a schema without tables',
        'create schema s; create function s.f() returns int language sql as $$select 1$$; drop schema s cascade;',
      ],
      ['a column that is not there', 'alter table public.a drop column if exists nothing;'],
      [
        'rows that the statement itself moves to the schema of the archive',
        'create table rethread_archive.kept (like public.c); with gone as (delete from public.c returning *) insert into rethread_archive.kept select * from gone;',
      ],
      [
        'rows of the quarantine that are in their table again',
        `insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
         select 'mine', '1_first', 'public.c', id::text, 'why', to_jsonb(c) from public.c;
         delete from rethread_archive.quarantine q where q.relation = 'public.c';`,
      ],
    ])('%s', async (_, down) => {
      const { report, before, after } = await rolledBack(db, down)
      expect([report.verdict, errors(report)]).toEqual(['clean', []])
      expect((await db.sql`select count(*)::int as n from rethread_archive.archives`)[0]!.n).toBe(0)
      expect([...before.keys()].filter(w => !after.has(w))).toEqual([])
    })
  })

  test('rows of the quarantine that are nowhere else do not leave it', async () => {
    const { report } = await rolledBack(
      db,
      `insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
       select 'mine', '1_first', 'public.c', n::text, 'why', jsonb_build_object('id', n) from generate_series(3, 4) n;
       delete from rethread_archive.quarantine;`,
    )
    expect(errors(report).map(f => [f.code, f.subject, factsOf(f).takes])).toEqual([
      [
        'DESTROYS_UNARCHIVED',
        'rethread_archive.quarantine',
        ['1 row of rethread_archive.quarantine: they are not in their table again'],
      ],
    ])
  })

  test('a fault in a DELETE whose rows are archived has the line and column of the file', async () => {
    const { report } = await rolledBack(db, 'select 1;\n\ndelete from public.c\nwhere nothing = 1;')
    expect(errors(report).map(f => [f.code, f.subject, factsOf(f).column, factsOf(f).excerpt])).toEqual([
      ['SQL_ERROR', 'rollbacks/mine/1_first.sql:4', 7, 'where nothing = 1;'],
    ])
  })

  test('a server that does not count deleted rows cannot say what a statement takes: refused', async () => {
    const { report, before, after } = await rolledBack(
      db,
      'set local track_counts = off; do $$ begin delete from public.bare; end $$;',
    )
    expect(errors(report).map(f => [f.code, factsOf(f).instead])).toEqual([
      ['DESTROYS_UNARCHIVED', expect.stringContaining('track_counts = on')],
    ])
    expect(placesOf(after)).toEqual(placesOf(before))
  })

  test('statements run in the order of the file: what copies rows comes before the drop', async () => {
    const { report } = await rolledBack(
      db,
      'create table public.old as select * from public.c; drop table public.c cascade; create index on public.old (id);',
      'drop view public.seen;',
    )
    expect([report.verdict, errors(report)]).toEqual(['clean', []])
    expect((await db.sql`select count(*)::int as n from public.old`)[0]!.n).toBe(3)
  })

  test('what went to the archive comes back: deleted rows, a partitioned table, columns with any name', async () => {
    await db.sql.unsafe(reset)
    await db.sql.unsafe('create table public.kept (id int primary key, body text)')
    const mine = trackIn(
      track(
        `create table public.events (id int, kind int, body text, primary key (id, kind)) partition by list (kind);
         create table public.events_1 partition of public.events for values in (1);
         create table public.events_2 partition of public.events for values in (2);
         create table if not exists public."T.x" (id int primary key);
         alter table public."T.x" add column "Col.umn" text, add column "say ""x""" text;`,
        `delete from public.kept where id > 1; drop table public.events;
         alter table public."T.x" drop column "Col.umn", drop column "say ""x""";`,
      ),
    )
    const ctx = contextOf(db.url, [mine])
    const consent = consentTo(db.name)
    expect((await migrate(ctx, mine, { ...bareMigrateOptions, consent, leaseWaitMs: 0 })).verdict).toBe(
      'clean',
    )
    await db.sql.unsafe(`
      insert into public.events select n, 1 + n % 2, 'event_body_' || n from generate_series(1, 50) n;
      insert into public."T.x" select n, 'col_umn_' || n, 'say_x_' || n from generate_series(1, 5) n;
      insert into public.kept select n, 'kept_body_' || n from generate_series(1, 3) n`)
    const before = await words(db)
    for (let again = 0; again < 2; again++) {
      const down = await rollback(ctx, mine, { to: null, steps: null, all: true, consent, leaseWaitMs: 0 })
      expect([down.verdict, errors(down)]).toEqual(['clean', []])
      expect((await db.sql`select to_regclass('public.events_1') as there`)[0]!.there).toBeNull()
      const back = await restore(ctx, mine, { archive: 'latest', consent, leaseWaitMs: 0 })
      expect([back.verdict, errors(back)]).toEqual(['clean', []])
      const rows = await db.sql`select
        (select count(*)::int from public.events_1) as one, (select count(*)::int from public.events) as events,
        (select count(*)::int from public.kept) as kept, (select count("Col.umn" || "say ""x""")::int from public."T.x") as said`
      expect(rows[0]).toEqual({ one: 25, events: 50, kept: 3, said: 5 })
    }
    const after = await words(db)
    expect(
      [...before.keys()].filter(w => !after.get(w)?.some(t => !t.startsWith('rethread_archive.'))),
    ).toEqual([])
  })

  test('a table that another step of the rollback names again goes to the archive under the name that it then has', async () => {
    await db.sql.unsafe(reset)
    const mine = trackIn(
      folder({
        'migrations/mine/1_make.sql': 'create table public.a (id int primary key, body text);',
        'migrations/mine/2_name.sql':
          'alter table public.a rename to z; alter table public.z rename column body to said;',
        'migrations/mine/3_more.sql': 'alter table public.z add column more text;',
        'rollbacks/mine/1_make.sql': 'alter table public.a drop column body; drop table public.a;',
        'rollbacks/mine/2_name.sql':
          'alter table public.z rename column said to body; alter table public.z rename to a;',
        'rollbacks/mine/3_more.sql': 'alter table public.z drop column more;',
        'verify/mine/nothing.sql': `select 'x' as object, 'y' as detail where false`,
      }),
    )
    const ctx = contextOf(db.url, [mine])
    const consent = consentTo(db.name)
    expect((await migrate(ctx, mine, { ...bareMigrateOptions, consent, leaseWaitMs: 0 })).verdict).toBe(
      'clean',
    )
    await db.sql`insert into public.z values (1, 'z_said_1', 'z_more_1')`
    const down = await rollback(ctx, mine, { to: null, steps: null, all: true, consent, leaseWaitMs: 0 })
    expect([down.verdict, errors(down)]).toEqual(['clean', []])
    const archives =
      await db.sql`select concat_ws('.', relation, column_name) as name, rows::int as rows from rethread_archive.archives order by 1`
    expect([...archives]).toEqual([
      { name: 'public.a', rows: 1 },
      { name: 'public.a.body', rows: 1 },
      { name: 'public.z.more', rows: 1 },
    ])
  })
})
