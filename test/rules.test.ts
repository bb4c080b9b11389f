import { describe, expect, test } from 'vitest'
import { discover } from '../src/files/discover.js'
import { lint } from '../src/files/lint.js'
import { rulesOf } from '../src/files/rules.js'
import { squawk } from '../src/files/squawk.js'
import { rawChecksum } from '../src/files/statements.js'
import type { Migration } from '../src/model/project.js'
import { root } from './support/database.js'
import { folder } from './support/folder.js'

const migration = (text: string, more: Partial<Migration> = {}): Migration =>
  ({
    track: 'own',
    name: '001_x',
    file: { path: 'migrations/own/001_x.sql', text, checksum: rawChecksum(text) },
    backfill: null,
    ...more,
  }) as Migration

const cases: [sql: string, codes: string[]][] = [
  ['do $$ begin perform 1; exception when others then null; end $$', ['SWALLOWED_EXCEPTION']],
  ['do $$ begin perform 1; exception when unique_violation then null; end $$', []],
  [
    'create function f() returns int language sql security definer as $$ select 1 $$',
    ['DEFINER_WITHOUT_SEARCH_PATH'],
  ],
  [
    "create function f() returns int language sql security definer set search_path = '' as $$ select 1 $$",
    ['DEFINER_WITHOUT_SEARCH_PATH'],
  ],
  [
    'create function f() returns int language sql security definer set search_path = pg_catalog, pg_temp as $$ select 1 $$',
    [],
  ],
  ['create policy p on t for select using (a = 1)', ['POLICY_WITHOUT_TO']],
  ['create policy p on t for select to authenticated using (a = 1)', []],
  ['create policy p on t for update to authenticated using (a = 1)', ['POLICY_WITHOUT_CHECK']],
  ['create policy p on t for update to authenticated using (a = 1) with check (a = 1)', []],
  ['update t set a = 1', ['BULK_WRITE']],
  ['delete from t where a = 1', ['BULK_WRITE']],
  ['insert into t select * from u', ['BULK_WRITE']],
  ['insert into t (a) values (1)', []],
  ['create table t (a int); insert into t select 1', []],
  [
    'alter table t enable row level security; create policy p on t to authenticated using (a = 1) with check (a = 1)',
    ['RLS_BEFORE_POLICIES'],
  ],
  [
    'create policy p on t to authenticated using (a = 1) with check (a = 1); alter table t enable row level security',
    [],
  ],
  ['create table t (a int); alter table t enable row level security', []],
  ['drop function f() cascade', ['CASCADING_DROP']],
  ['drop function f()', []],
  ["alter type mood add value 'new'; create table u (m mood default 'new')", ['ENUM_VALUE_TOO_EARLY']],
  ["alter type mood add value 'new'", []],
]

test.each(cases)('%s', async (sql, codes) => {
  expect((await rulesOf(migration(sql))).map(f => f.code)).toEqual(codes)
})

test('a WITH that reads the table which the backfill walks is read whole by each batch', async () => {
  const found = (sql: string) =>
    rulesOf(migration(sql, { backfill: { table: 'public.notes', pending: 'true' } as never }))
  const firsts = `with firsts as (select min(id) as id from public.notes group by topic)
    insert into public.topics (id) select n.id from public.notes n where n.id in (select id from firsts)`
  expect((await found(firsts)).map(f => [f.code, f.facts])).toEqual([
    ['WITH_READS_TABLE', { part: 'firsts', table: 'public.notes', excused: null }],
  ])
  const other = firsts.replace('from public.notes group', 'from public.others group')
  expect(await found(other)).toEqual([])
})

test('a statement is excused beside the SQL, with its reason; only that rule, only that statement', async () => {
  const found = await rulesOf(
    migration(`-- allow POLICY_WITHOUT_TO: everybody reads the price list
create policy prices on t for select using (true);
create policy others on u for select using (true);`),
  )
  expect(found.map(f => [f.code, f.level, f.subject, f.facts.excused ?? null])).toEqual([
    ['POLICY_WITHOUT_TO', 'info', 'migrations/own/001_x.sql:2', 'everybody reads the price list'],
    ['POLICY_WITHOUT_TO', 'warn', 'migrations/own/001_x.sql:3', null],
  ])
})

const heard: [sql: string, rule: string][] = [
  ['alter table t add column a char(3)', 'ban-char-field'],
  ['alter table t add column b timestamp', 'prefer-timestamp-tz'],
  ['alter table t add column r text not null', 'adding-required-field'],
  ['alter table t add column s bigserial primary key', 'adding-serial-primary-key-field'],
  ['alter table t add constraint u unique (a)', 'disallowed-unique-constraint'],
  ['alter table t alter column a type bigint', 'changing-column-type'],
  ['alter table t alter column a drop not null', 'ban-drop-not-null'],
  ['alter table t rename column a to c', 'renaming-column'],
  ['alter table t rename to u', 'renaming-table'],
  ['alter table t detach partition p', 'require-concurrent-partition-detach'],
  ['reindex table t', 'require-concurrent-reindex'],
  ["alter type mood add value 'new'", 'require-enum-value-ordering'],
  ['create domain d as int check (value > 0)', 'ban-create-domain-with-constraint'],
  ['alter domain d add constraint c check (value > 0)', 'ban-alter-domain-with-add-constraint'],
  ['truncate t cascade', 'ban-truncate-cascade'],
]

describe('squawk', async () => {
  const files = Object.fromEntries([
    ...heard.map(([sql], n) => [
      `migrations/own/${String(n + 1).padStart(3, '0')}_x.sql`,
      `select 1;\n${sql};\n`,
    ]),
    [
      'migrations/own/100_excused.sql',
      '-- allow SQUAWK: nobody reads it yet\nalter table t rename to u;\nalter table v rename to w;\n',
    ],
    // what it says of locks, time-outs and indexes is ours to say
    ['migrations/own/101_silent.sql', 'create index i on t (a);\nalter table t add column n int;\n'],
  ])
  const track = discover(folder(files)).tracks[0]!
  const findings = (await lint(track, await squawk(track))).filter(f => f.code === 'SQUAWK')
  const of = (file: string) => findings.filter(f => f.subject.startsWith(`migrations/own/${file}`))

  test.each(heard.map(([sql, rule], n) => [sql, rule, n] as const))('%s: %s', (_, rule, n) => {
    const found = of(String(n + 1).padStart(3, '0'))
    expect(found.map(f => [f.facts.rule, f.subject.split(':')[1]])).toEqual([[rule, '2']])
  })

  test('is excused beside the SQL, with the reason', () => {
    expect(of('100').map(f => [f.level, f.facts.excused ?? null, f.subject.split(':')[1]])).toEqual([
      ['info', 'nobody reads it yet', '2'],
      ['warn', null, '3'],
    ])
  })

  test('is not asked of what we know better', () => {
    expect(of('101')).toEqual([])
  })

  test('says nothing of the shipped tracks', async () => {
    for (const shipped of discover(root).tracks)
      expect((await lint(shipped, await squawk(shipped))).filter(f => f.code === 'SQUAWK')).toEqual([])
  })
})
