import { expect, test } from 'vitest'
import type { Migration } from '../src/model/workspace.js'
import { rulesOf } from '../src/workspace/rules.js'
import { rawChecksum } from '../src/workspace/statements.js'

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
