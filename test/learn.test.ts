import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { knownOf, knowsNothing } from '../src/database/known.js'
import { parseStatements, type Statement } from '../src/files/statements.js'
import { judgeStatements } from '../src/plan/hazards.js'
import { foretoldLocks } from '../src/plan/statement_locks.js'
import { type Database, database, servers } from './support/database.js'
import { Rollback, seeInside } from './support/locks.js'

const scene = readFileSync(new URL('support/locks.sql', import.meta.url), 'utf8')
const firstOf = async (text: string): Promise<Statement> => (await parseStatements(text))[0]!

describe.each(servers())('files on PostgreSQL $major', server => {
  const files: [string, string, string[]][] = [
    [
      'SET NOT NULL believes a CHECK that the plan has validated',
      `alter table a add constraint x check (n is not null) not valid;
       alter table a validate constraint x;
       alter table a alter column n set not null`,
      ['LOCKS_TABLE public.a', 'SCANS_TABLE public.a', 'LOCKS_TABLE public.a'],
    ],
    [
      'and none that it has not',
      `alter table a add constraint x check (n is not null) not valid;
       alter table a alter column n set not null`,
      ['LOCKS_TABLE public.a', 'LOCKS_TABLE public.a', 'SCANS_TABLE public.a'],
    ],
    [
      'a domain with a check that the plan makes',
      'create domain fresh as int check (value > 0); alter table a add column x fresh',
      ['LOCKS_TABLE public.a', 'REWRITES_TABLE public.a'],
    ],
    [
      'a domain that the plan renames',
      'alter domain positive rename to fresh; alter table a add column x fresh',
      ['LOCKS_TABLE public.a', 'REWRITES_TABLE public.a'],
    ],
    [
      'a type that the plan makes',
      "create type fresh as enum ('a'); alter table a add column x fresh default 'a'",
      ['LOCKS_TABLE public.a'],
    ],
    [
      'a volatile function that the plan makes',
      `create function fresh() returns int language plpgsql as $$ begin return 1; end $$;
       alter table a add column x int default fresh()`,
      ['LOCKS_TABLE public.a', 'REWRITES_TABLE public.a'],
    ],
    [
      'a function that the plan makes volatile',
      'alter function fixed() volatile; alter table a add column x int default fixed()',
      ['LOCKS_TABLE public.a', 'REWRITES_TABLE public.a'],
    ],
    [
      'a table of the plan is nobody else’s',
      'create table fresh (id int); alter table fresh add column x uuid default gen_random_uuid(); create index on fresh (x)',
      [],
    ],
    [
      'one that was there is',
      'create table if not exists merged (id int); alter table merged add column x uuid default gen_random_uuid()',
      ['LOCKS_TABLE public.merged', 'REWRITES_TABLE public.merged'],
    ],
    [
      'a table that takes the name of one of the plan’s is not',
      `create table fresh (id int); alter table fresh rename to other; alter table merged rename to fresh;
       alter table fresh add column x uuid default gen_random_uuid()`,
      ['LOCKS_TABLE public.merged', 'LOCKS_TABLE public.fresh', 'REWRITES_TABLE public.fresh'],
    ],
    [
      'a foreign key that the plan makes and drops',
      `alter table merged add foreign key (n) references b (id) not valid;
       alter table merged drop constraint merged_n_fkey`,
      [
        'BLOCKS_WRITES public.merged',
        'BLOCKS_WRITES public.b',
        'LOCKS_TABLE public.merged',
        'LOCKS_TABLE public.b',
      ],
    ],
    [
      'an index that the plan makes is built again for another collation',
      'create index fresh on a (t); alter table a alter column t type text collate "C"',
      ['BLOCKS_WRITES public.a', 'SCANS_TABLE public.a', 'LOCKS_TABLE public.a', 'SCANS_TABLE public.a'],
    ],
    [
      'a partition belongs to the parent that it is attached to, and to no other partition',
      `alter table parts attach partition loose for values from (100) to (200);
       alter table part_one add constraint x check (k > 0)`,
      [
        'LOCKS_TABLE public.loose',
        'SCANS_TABLE public.loose',
        'LOCKS_TABLE public.part_one',
        'SCANS_TABLE public.part_one',
      ],
    ],
    [
      'and to none once it is detached',
      `alter table parts detach partition part_one;
       alter table parts add column x uuid default gen_random_uuid()`,
      ['LOCKS_TABLE public.parts', 'LOCKS_TABLE public.part_one', 'LOCKS_TABLE public.parts'],
    ],
    [
      'children of inheritance as well',
      `alter table branch no inherit trunk;
       alter table trunk add column x uuid default gen_random_uuid()`,
      ['LOCKS_TABLE public.branch', 'LOCKS_TABLE public.trunk', 'REWRITES_TABLE public.trunk'],
    ],
    [
      'a partition that the plan attaches goes with its parent',
      `alter table parts attach partition loose for values from (100) to (200);
       alter table parts add column x uuid default gen_random_uuid()`,
      [
        'LOCKS_TABLE public.loose',
        'SCANS_TABLE public.loose',
        'LOCKS_TABLE public.parts',
        'LOCKS_TABLE public.part_one',
        'LOCKS_TABLE public.loose',
        'REWRITES_TABLE public.part_one',
        'REWRITES_TABLE public.loose',
      ],
    ],
  ]

  let db: Database
  beforeAll(async () => {
    db = await database(server, 'empty')
    await db.sql.unsafe(scene)
  })
  afterAll(() => db[Symbol.asyncDispose]())

  test.each(files)('%s', async (_, text, expected) => {
    const statements = await parseStatements(text)
    const known = await knownOf(db.sql, statements)
    const found = statements.map(s =>
      judgeStatements([s], null, known).hazards.map(h => `${h.code} ${h.subject}`),
    )
    expect(found.flat()).toEqual(expected)
    const rewritten: string[] = []
    await db.sql
      .begin(async tx => {
        for (const s of statements) rewritten.push(...(await seeInside(tx, s.text)).rewritten)
        throw new Rollback()
      })
      .catch(error => {
        if (!(error instanceof Rollback)) throw error
      })
    const said = found.flat().filter(h => h.startsWith('REWRITES_TABLE'))
    // of a table that is nobody's yet nothing is said
    expect(said.sort()).toEqual(
      rewritten
        .filter(t => !known.made.has(t))
        .map(t => `REWRITES_TABLE ${t}`)
        .sort(),
    )
  })
})

describe('locks that are written above a statement', () => {
  const above = async (comment: string) =>
    foretoldLocks(await firstOf(`${comment}\ndo $$ begin end $$`), knowsNothing())
  test('are believed where it cannot tell itself', async () => {
    expect(await above('-- locks: none')).toEqual([])
    expect(await above('-- locks: public.a ACCESS EXCLUSIVE\n-- locks: b share')).toMatchObject([
      { table: 'public.a', mode: 'ACCESS EXCLUSIVE', blocks: 'reads and writes' },
      { table: 'public.b', mode: 'SHARE', blocks: 'writes' },
    ])
  })
  test('a mode that does not exist says nothing', async () => {
    expect(await above('-- locks: public.a ACCESS EXCLUSIV')).toBeNull()
    expect(await above('')).toBeNull()
  })
  test('do not count where the statement speaks for itself', async () => {
    const statement = await firstOf('-- locks: none\nalter table a add column x int')
    expect(foretoldLocks(statement, knowsNothing())).toMatchObject([
      { table: 'public.a', mode: 'ACCESS EXCLUSIVE' },
    ])
  })
})
