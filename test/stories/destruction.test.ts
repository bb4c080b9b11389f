import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bareWish, migrate } from '../../src/engine/migrate.js'
import { rollback } from '../../src/engine/rollback.js'
import type { Report } from '../../src/model/report.js'
import { worded } from '../../src/render/words.js'
import { rethread, undoAll } from '../support/cli.js'
import { consentTo, contextOf, trackIn } from '../support/context.js'
import { type Database, database, servers } from '../support/database.js'
import { folder } from '../support/folder.js'

/** A track of one migration, with its way back. */
const track = (up: string, down: string): string =>
  folder({
    'migrations/mine/1_first.sql': up,
    'rollbacks/mine/1_first.sql': down,
    'verify/mine/nothing.sql': `select 'x' as object, 'y' as detail where false`,
  })

/** A small application; every row has a word of its own that can be looked for. */
const application = `
create table public.a (id int primary key, body text, note text);
create table public.b (id int primary key, a_id int references public.a on delete cascade, body text);
create table public.c (id int primary key, body text);
create table public.bare (body text);
create schema "My.App";
create table "My.App"."The ""Table""" (id int primary key, "Col.umn" text, "say ""x""" text);
create table public."A" (id int primary key, body text);
create table public.events (id int, kind int, body text, primary key (id, kind)) partition by list (kind);
create table public.events_1 partition of public.events for values in (1);
create table public.events_2 partition of public.events for values in (2);
create table public.parent (id int primary key, body text);
create table public.child (primary key (id)) inherits (public.parent);
create type public.mood as enum ('good', 'bad');
create domain public.words as text;
create table public.feelings (id int primary key, mood public.mood, body public.words);
create schema side;
create table side.notes (id int primary key, body text);
create table public.inbox (id int primary key, body text);
create function public.clean() returns int language plpgsql as $$ begin delete from public.c; return 1; end $$;
create function public.spill() returns trigger language plpgsql as $$ begin delete from public.c where id = 1; return new; end $$;
create trigger spill before insert on public.inbox for each row execute function public.spill();
create function public.late() returns trigger language plpgsql as $$ begin delete from public.c where id = 2; return null; end $$;
create constraint trigger late after update on public.inbox deferrable initially deferred for each row execute function public.late();
create procedure public.clear() language plpgsql as $$ begin drop table public.c; end $$;
create view public.seen as select * from public.c;
create view public.cleaning as select public.clean() as n;
insert into public.a select n, 'a_body_' || n, 'a_note_' || n from generate_series(1, 3) n;
insert into public.b select n, n, 'b_body_' || n from generate_series(1, 3) n;
insert into public.c select n, 'c_body_' || n from generate_series(1, 3) n;
insert into public.bare select 'bare_body_' || n from generate_series(1, 3) n;
insert into "My.App"."The ""Table""" select n, 'app_col_' || n, 'app_say_' || n from generate_series(1, 3) n;
insert into public."A" select n, 'upper_body_' || n from generate_series(1, 3) n;
insert into public.events select n, 1 + n % 2, 'event_body_' || n from generate_series(1, 4) n;
insert into public.parent select n, 'parent_body_' || n from generate_series(1, 2) n;
insert into public.child select n, 'child_body_' || n from generate_series(3, 4) n;
insert into public.feelings select n, case when n = 1 then 'good' else 'bad' end::public.mood, 'feeling_body_' || n from generate_series(1, 3) n;
insert into side.notes select n, 'side_body_' || n from generate_series(1, 3) n;
`

const reset = `
drop schema if exists public, "My.App", side, rethread, rethread_archive, chat_private cascade;
create schema public;`

const word = /\b[a-z]+_[a-z]+_\d+\b|\bgood\b/g

/** Every word of every row of every table, with the table; the tool's ledger left out. */
async function words(db: Database): Promise<Map<string, string[]>> {
  const tables = await db.sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema|rethread$)' and c.relname <> 'archives'`
  const found = new Map<string, string[]>()
  for (const { name } of tables) {
    const rows = await db.sql.unsafe<{ text: string }[]>(`select t::text as text from only ${name} t`)
    for (const { text } of rows)
      for (const [w] of text.matchAll(word)) found.set(w, [...(found.get(w) ?? []), name])
  }
  return found
}

const placesOf = (found: Map<string, string[]>): string[] =>
  [...found].map(([w, tables]) => `${w} in ${[...new Set(tables)].sort().join(', ')}`).sort()

const errors = (report: Report) => report.findings.filter(f => f.level === 'error' || f.level === 'refused')

interface Came {
  report: Report
  before: Map<string, string[]>
  after: Map<string, string[]>
}

/** Puts the application back, applies a migration and rolls it back, with everything allowed. */
async function rolledBack(db: Database, down: string, up = 'select 1;'): Promise<Came> {
  await db.sql.unsafe(reset)
  await db.sql.unsafe(application)
  const mine = trackIn(track(up, down))
  const ctx = contextOf(db.url, [mine])
  const consent = consentTo(db.name)
  const applied = await migrate(ctx, mine, { ...bareWish, consent, leaseWaitMs: 0 })
  expect([applied.verdict, errors(applied)]).toEqual(['clean', []])
  const before = await words(db)
  const report = await rollback(ctx, mine, { to: null, steps: null, all: true, consent, leaseWaitMs: 0 })
  return { report, before, after: await words(db) }
}

describe.each(servers())('what a rollback takes away on PostgreSQL $major', server => {
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
    expect([ran.code, ran.report.findings.map(f => [f.code, f.subject, f.facts.reason])]).toEqual([
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
    test.each<[string, string, string[]]>([
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
    ])('%s', async (_, down, archived) => {
      // the view would be a dependant of its own
      const { report, before, after } = await rolledBack(db, down, 'drop view public.seen;')
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
      [
        'a column of a table without a key',
        'alter table public.bare drop column body;',
        'public.bare.body',
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
        if (process.env.SHOW) console.log(worded(refused[0]!).message, '\n  ', worded(refused[0]!).fix)
        expect(refused[0]!.facts.at).toBe(`rollbacks/mine/1_first.sql:1`)
      }
      expect(placesOf(after)).toEqual(placesOf(before))
    })
  })
})
