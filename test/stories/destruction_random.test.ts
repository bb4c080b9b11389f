import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, database, some } from '../support/database.js'
import { errors, placesOf, rolledBack } from '../support/destruction.js'
import { random, seed } from '../support/random.js'

const rounds = process.env.RETHREAD_SOAK ? 400 : 30

const tables = [
  'public.a',
  'public.b',
  'public.c',
  'public.bare',
  '"My.App"."The ""Table"""',
  'public."A"',
  'public.events',
  'public.events_1',
  'public.parent',
  'public.child',
  'public.feelings',
  'side.notes',
  'public.nothing',
]
const columns: [string, string][] = [
  ['public.a', 'body'],
  ['public.a', 'note'],
  ['public.a', 'id'],
  ['public.b', 'body'],
  ['public.c', 'body'],
  ['public.bare', 'body'],
  ['"My.App"."The ""Table"""', '"Col.umn"'],
  ['"My.App"."The ""Table"""', '"say ""x"""'],
  ['public.events', 'body'],
  ['public.parent', 'body'],
  ['public.feelings', 'mood'],
  ['side.notes', 'body'],
]
const schemas = ['side', '"My.App"']

/** A writer of rollback files: one to three statements that take something away, or only look like it. */
function writer(next: () => number) {
  const one = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!
  const maybe = (text: string): string => (next() < 0.3 ? text : '')
  const several = (): string =>
    [...new Set(Array.from({ length: 1 + Math.floor(next() * 3) }, () => one(tables)))].join(', ')
  const condition = (): string =>
    one(['', ' where true', ' where false', ' where 1 = 1 /* ; */', ' where ctid is not null'])
  let made = 0
  const plain: (() => string)[] = [
    () => `drop table ${maybe('if exists ')}${several()}${maybe(' cascade')};`,
    () => `drop table if exists ${several()};`,
    () => {
      const [table, column] = one(columns)
      const [, other] = one(columns.filter(c => c[0] === table))
      const more = other === column ? '' : `, drop column if exists ${other}`
      return `alter table ${table} drop ${maybe('column ')}${column}${more}${maybe(' cascade')};`
    },
    () => {
      const [table, column] = one(columns)
      return `alter table ${table} alter column ${column} type text using null;`
    },
    () => `truncate ${several()}${maybe(' cascade')};`,
    () => `delete from ${one(tables)}${condition()};`,
    () => `delete from ${maybe('only ')}${one(tables)} x${condition()}${maybe(' returning x.*')};`,
    () => `with gone as (delete from ${one(tables)} returning *) select count(*) from gone;`,
    () => {
      const from = one(tables)
      const kept = `rethread_archive.kept_${++made}`
      return `create table ${kept} (like ${from}); with gone as (delete from ${from}${condition()} returning *) insert into ${kept} select * from gone${maybe(' limit 1')};`
    },
    () => `merge into public.c using public.a on a.id = c.id when matched then delete;`,
    () => `drop schema ${one(schemas)}${maybe(' cascade')};`,
    () =>
      `drop ${one(['type public.mood', 'domain public.words', 'view public.seen', 'function public.clean()'])} cascade;`,
    () => `update public.events set kind = 3 - kind;`,
    () => `alter table public.events detach partition public.events_1;`,
    () => `create temp table held_${++made} as table ${one(tables)}; drop table held_${made};`,
    () => `create table public.held_${++made} as table ${one(tables)}; drop table public.held_${made};`,
    () => `select public.clean();`,
    () => `call public.clear();`,
    () => `insert into public.inbox values (${++made}, 'x');`,
  ]
  const hidden: ((sql: string) => string)[] = [
    sql => sql,
    sql => sql,
    sql => sql,
    sql => `do $do$ begin ${sql.replace(/^select /, 'perform ')} end $do$;`,
    sql => `do $do$ begin execute $x$${sql}$x$; end $do$;`,
    sql => {
      const name = `public.do_${++made}`
      return `create function ${name}() returns int language plpgsql as $f$ begin execute $x$${sql}$x$; return 1; end $f$; select ${name}();`
    },
  ]
  const renamed = (): string => {
    const table = one(['public.a', 'public.c', 'public.bare', 'side.notes'])
    const schema = table.split('.')[0]
    return one([
      `alter table ${table} rename to other; drop table ${schema}.other cascade;`,
      `create schema if not exists chat_private; alter table ${table} set schema chat_private; drop table chat_private.${table.split('.')[1]} cascade;`,
      `set local search_path = ${schema}; drop table ${table.split('.')[1]} cascade;`,
    ])
  }
  return (): string =>
    Array.from({ length: 1 + Math.floor(next() * 3) }, () =>
      next() < 0.1 ? renamed() : one(hidden)(one(plain)()),
    ).join('\n')
}

describe.each(some('oldest'))('rollback files at random on PostgreSQL $major', server => {
  let db: Database
  beforeAll(async () => {
    db = await database(server, 'empty')
  })
  afterAll(async () => {
    await db[Symbol.asyncDispose]()
  })

  test('every row and value that goes is in an archive, or the rollback was refused and nothing is done', {
    timeout: rounds * 10_000,
  }, async () => {
    const write = writer(random(seed))
    const ends = { clean: 0, refused: 0, failed: 0, DESTROYS_UNARCHIVED: 0 }
    for (let round = 0; round < rounds; round++) {
      const down = write()
      const { report, before, after } = await rolledBack(db, down)
      const said = `seed ${seed}, round ${round}:\n${down}\n${JSON.stringify(errors(report))}`
      ends[report.verdict as 'clean']++
      if (errors(report).some(f => f.code === 'DESTROYS_UNARCHIVED')) ends.DESTROYS_UNARCHIVED++
      if (report.verdict === 'clean')
        expect(
          [...before.keys()].filter(w => !after.has(w)),
          said,
        ).toEqual([])
      else expect(placesOf(after), said).toEqual(placesOf(before))
      expect(
        errors(report).filter(f => f.code === 'UNEXPECTED'),
        said,
      ).toEqual([])
    }
    // a generator that makes only one kind of file proves nothing
    expect(Math.min(...Object.values(ends)), JSON.stringify(ends)).toBeGreaterThan(0)
    if (process.env.RETHREAD_SOAK) console.log(JSON.stringify(ends))
  })
})
