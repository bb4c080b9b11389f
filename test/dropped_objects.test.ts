import { describe, expect, test } from 'vitest'
import { type DroppedObject, droppedObjects, objectText } from '../src/files/dropped_objects.js'
import { parseStatements } from '../src/files/statements.js'
import { namesIn, tableText } from '../src/model/table_name.js'

const shown = (o: DroppedObject): string =>
  [o.kind, ...objectText(o), ...(o.kind === 'rows' ? [o.by, ...(o.kept ? ['kept'] : [])] : [])].join(' ')

const kept = 'insert into rethread_archive.kept select * from gone'

describe('what a statement takes away', () => {
  test.each<[string, string[]]>([
    ['drop table a', ['table public.a']],
    ['drop table if exists public.a, other.c', ['table public.a', 'table other.c']],
    [
      'drop table public."a.b", "A", "say ""x"""."T t"',
      ['table public."a.b"', 'table public."A"', 'table "say ""x"""."T t"'],
    ],
    ['drop table only_db.s.t', ['table s.t']],
    ['drop table a cascade', ['table public.a', 'unknown']],
    [
      'alter table a drop column x, drop column "y.z", add column w int',
      ['column public.a.x', 'column public.a."y.z"'],
    ],
    ['alter table a drop x', ['column public.a.x']],
    ['alter table a drop view', ['column public.a.view']],
    ['alter table a drop column x cascade', ['column public.a.x', 'unknown']],
    ['alter table a alter column x type int using 0', ['values public.a.x']],
    ['alter table a alter column x type int using public.f(x)', ['values public.a.x', 'unknown']],
    ['alter type t drop attribute x', ['column public.t.x']],
    ['alter foreign table f drop column x', []],
    ['alter table a detach partition b', []],
    ['alter table a drop constraint k', []],
    ['alter table a drop constraint k cascade', ['unknown']],
    ['truncate a, only b', ['rows public.a TRUNCATE', 'rows public.b TRUNCATE']],
    ['truncate a cascade', ['rows public.a TRUNCATE', 'unknown']],
    ['delete from a where x', ['rows public.a DELETE', 'unknown']],
    ['merge into a using b on a.x = b.x when matched then delete', ['rows public.a MERGE', 'unknown']],
    ['merge into a using b on a.x = b.x when matched then update set x = 1', ['unknown']],
    ['with g as (delete from a returning *) select * from g', ['rows public.a DELETE', 'unknown']],
    ['update b set x = 1 where x in (with g as (select 1) select * from g)', ['unknown']],
    ['with g as (delete from a returning *) update b set x = 1', ['rows public.a DELETE', 'unknown']],
    ['explain analyze delete from a', ['rows public.a DELETE', 'unknown']],
    ['explain delete from a', []],
    ['copy (delete from a returning *) to stdout', ['rows public.a DELETE', 'unknown']],
    ['prepare p as delete from a', []],
    ['execute p', ['unknown']],
    ['do $$ begin drop table a; end $$', ['unknown']],
    ['call p()', ['unknown']],
    ['select public.f()', ['unknown']],
    ['select f()', ['unknown']],
    ['select * from v', ['unknown']],
    ["select set_config('a.b', 'c', false), pg_catalog.now()", []],
    ['select 1', []],
    ['insert into a values (1)', ['unknown']],
    ['drop schema s', []],
    ['drop schema s, "T" cascade', ['schema s', 'schema "T"', 'unknown']],
    ['drop extension hstore', ['unknown']],
    ['drop type mood', []],
    ['drop type mood cascade', ['unknown']],
    ['drop domain d cascade', ['unknown']],
    ['drop function f() cascade', ['unknown']],
    ['drop view v', []],
    ['drop materialized view v', []],
    ['drop view v cascade', ['unknown']],
    ['drop foreign table f', []],
    ['drop index i cascade', []],
    ['drop policy p on a', []],
    ['drop owned by joe', ['unknown']],
    ['drop database d', ['database d']],
    ['create table t (id int default f())', []],
    ['alter table a add column x int default public.f()', ['unknown']],
    ['create function f() returns void language sql begin atomic delete from a; end', []],
    ['create rule r as on insert to a do also delete from b', []],
    ['load $$x$$', ['unknown']],
    // moved, not deleted: every row goes on in the schema of the archive
    [`with gone as (delete from a where x returning *) ${kept}`, ['rows public.a DELETE kept', 'unknown']],
    [`with gone as (delete from a x returning x.*) ${kept}`, ['rows public.a DELETE kept', 'unknown']],
    [`with gone as (delete from a returning id) ${kept}`, ['rows public.a DELETE', 'unknown']],
    [`with gone as (delete from a returning *) ${kept} where id > 3`, ['rows public.a DELETE', 'unknown']],
    [`with gone as (delete from a returning *) ${kept} limit 1`, ['rows public.a DELETE', 'unknown']],
    [
      `with gone as (delete from a returning *) ${kept} on conflict do nothing`,
      ['rows public.a DELETE', 'unknown'],
    ],
    [
      `with gone as (delete from a returning *) insert into public.kept select * from gone`,
      ['rows public.a DELETE', 'unknown'],
    ],
    [
      `with gone as (delete from a returning *) insert into rethread_archive.kept select * from other.gone`,
      ['rows public.a DELETE', 'unknown'],
    ],
    [
      `with gone as (delete from a returning *) ${kept} union select * from b`,
      ['rows public.a DELETE', 'unknown'],
    ],
  ])('%s', async (sql, expected) => {
    const [statement, ...more] = await parseStatements(sql)
    expect(more).toEqual([])
    expect(droppedObjects(statement!).map(shown)).toEqual(expected)
  })
})

test('a name as SQL is the same for the same table, and reads back', () => {
  for (const [schema, name, text] of [
    ['public', 'chats', 'public.chats'],
    ['public', 'a.b', 'public."a.b"'],
    ['My "App"', 'Chats', '"My ""App"""."Chats"'],
  ] as const) {
    expect(tableText({ schema, name })).toBe(text)
    expect(namesIn(text)).toEqual([schema, name])
  }
  expect(namesIn('Public.Chats')).toEqual(['public', 'chats'])
  for (const wrong of ['', '.', 'a.', 'a..b', 'a b', '"a', 'a."b"c']) expect(namesIn(wrong)).toBeNull()
})
