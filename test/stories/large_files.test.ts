import { afterAll, beforeAll, expect, test } from 'vitest'
import { mostCharacters } from '../../src/files/statements.js'
import { openProject } from '../../src/index.js'
import { type Database, database, newest } from '../support/database.js'
import { folder } from '../support/folder.js'
import { said } from '../support/in_process.js'
import { proxy } from '../support/proxy.js'

let db: Database
beforeAll(async () => {
  db = await database(newest(), 'empty')
  await db.sql.unsafe(`
    create table public.cities (id int primary key, name text not null);
    create table public.precious (id int);
    insert into public.precious values (1);
    create function public.clean() returns trigger language plpgsql as $$ begin delete from public.precious; return null; end $$;
    create trigger clean after insert on public.cities for each row when (new.name = 'a thief') execute function public.clean()`)
})
afterAll(async () => {
  await db[Symbol.asyncDispose]()
})

const cities = (names: string[]) =>
  names.map((name, i) => `insert into public.cities values (${i}, '${name}');`).join('\n')
const names = Array.from({ length: 3000 }, (_, i) => `city ${i}`)
const changed = (at: number, name: string) => names.map((n, i) => (i === at ? name : n))

/** A project of one migration. */
const projectOf = (sql: string, url = db.url) =>
  openProject({
    databaseUrl: url,
    dir: folder({
      'migrations/own/001_load.sql': sql,
      'rollbacks/own/001_load.sql': 'truncate public.cities;',
      'verify/own/nothing.sql': "select 'x' as object, 'y' as detail where false",
    }),
    track: 'own',
  })

test('a file of thousands of rows is sent in few messages; a fault in it has its own line', async () => {
  const broken = await said(
    (await projectOf(cities(changed(2222, "x', null), (-1, null), (-2, 'y")))).migrate(),
  )
  expect([broken.verdict, broken.findings[0]!.code]).toEqual(['failed', 'SQL_ERROR'])
  expect(broken.findings[0]!.message).toMatch(/001_load\.sql:2223\b/)
  await using between = await proxy(db.url)
  const loaded = await said((await projectOf(cities(names), between.url)).migrate())
  const rows = await db.sql`select count(*)::int as n, count(distinct name)::int as names from public.cities`
  expect([loaded.verdict, rows[0]]).toEqual(['clean', { n: 3000, names: 3000 }])
  expect(between.sent.filter(s => s.text.startsWith('insert into public.cities')).length).toBeLessThan(20)
  await db.sql.unsafe('truncate public.cities; drop schema rethread cascade')
})

test('what a trigger deletes for one row among thousands is refused', async () => {
  const taken = await said((await projectOf(cities(changed(1500, 'a thief')))).migrate())
  expect(taken.findings.find(f => f.code === 'DESTROYS_UNARCHIVED')?.message).toMatch(
    /1 row of public\.precious/,
  )
  expect(await db.sql`select id from public.precious`).toEqual([{ id: 1 }])
})

test('a file that is too large is refused by its size, before anybody parses it', async () => {
  const project = await projectOf(cities(names).padEnd(mostCharacters + 1))
  const start = performance.now()
  const report = await said(project.migrate())
  expect(performance.now() - start).toBeLessThan(5000)
  expect([report.verdict, report.findings.filter(f => f.level === 'error').map(f => f.message)]).toEqual([
    'failed',
    [
      expect.stringMatching(
        /`migrations\/own\/001_load\.sql` has 8,000,001 characters, and at most 8,000,000 are read/,
      ),
    ],
  ])
  expect(await db.sql`select from public.cities`).toHaveLength(0)
})
