import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Known, knownOf } from '../src/database/known.js'
import { parseStatements, type Statement } from '../src/files/statements.js'
import { alterTableRules } from '../src/plan/alter_table_locks.js'
import { judgeStatements } from '../src/plan/hazards.js'
import { locksOf, statementRules } from '../src/plan/statement_locks.js'
import { type Database, database, servers } from './support/database.js'
import { inside, outside } from './support/lock_cases.js'
import { Rollback, type Seen, seeInside, seeOutside } from './support/locks.js'

const scene = readFileSync(new URL('support/locks.sql', import.meta.url), 'utf8')

/** What statements that run outside of a transaction are tried on: many databases are made of it. */
const smallScene = `
  create table a (id int primary key, n int, v varchar(10), late int);
  create index a_n on a (n);
  create index a_v on a (v);
  create table b (id int primary key);
  create table parts (id int not null, k int) partition by range (id);
  create table part_one partition of parts for values from (0) to (100);
  insert into a select g, g, g, g from generate_series(1, 5) g;
  insert into parts select g, g from generate_series(1, 5) g`

/** A case that has run: what was seen, and what was known beforehand. */
interface Run {
  text: string
  statement: Statement
  known: Known
  seen: Seen
  /** Said of older servers although only newer ones do it. */
  atMost: boolean
}

const firstOf = async (text: string): Promise<Statement> => (await parseStatements(text))[0]!

/** Writes and checks of foreign keys lock rows of other tables with ROW SHARE at will: theirs is left out. */
const counts = ({ kind }: Statement, mode: string): boolean =>
  mode !== 'ROW SHARE' || ['AlterTableStmt', 'SelectStmt', 'DeclareCursorStmt'].includes(kind)

/** Locks as lines, the strongest by table. */
const said = (statement: Statement, known: Known): string[] | null =>
  locksOf(statement, known)
    ?.filter(l => counts(statement, l.mode))
    .map(l => `${l.table} ${l.mode}`)
    .sort() ?? null

const taken = (statement: Statement, { locks }: Seen): string[] =>
  [...locks]
    .filter(([, mode]) => counts(statement, mode))
    .map(([table, mode]) => `${table} ${mode}`)
    .sort()

const order = [
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
]
const modeOf = (line: string): string => line.slice(line.indexOf(' ') + 1)

/** True when every lock that was taken is said, at least as strong. */
const covers = (lines: string[], seen: Seen): boolean =>
  [...seen.locks].every(([table, mode]) =>
    lines.some(l => l.startsWith(`${table} `) && order.indexOf(modeOf(l)) >= order.indexOf(mode)),
  )

const agrees = (run: Run): boolean => {
  const lines = said(run.statement, run.known)
  if (lines === null) return false
  return run.atMost ? covers(lines, run.seen) : String(lines) === String(taken(run.statement, run.seen))
}

/** Hazards as they follow from what was really done. */
function hazardsSeen({ locks, rewritten, scanned }: Seen, statement: Statement): string[] {
  const writes = [
    'InsertStmt',
    'UpdateStmt',
    'DeleteStmt',
    'MergeStmt',
    'SelectStmt',
    'CopyStmt',
    'ExplainStmt',
    'PrepareStmt',
  ]
  const work = statement.kind === 'TruncateStmt' ? [] : rewritten
  return [
    ...[...locks].flatMap(([table, mode]) =>
      mode === 'ACCESS EXCLUSIVE'
        ? [`LOCKS_TABLE ${table}`]
        : ['SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE'].includes(mode)
          ? [`BLOCKS_WRITES ${table}`]
          : [],
    ),
    ...work.map(table => `REWRITES_TABLE ${table}`),
    // queries read as they please; of a table that is only read, nobody is kept out
    ...scanned
      .filter(t => !writes.includes(statement.kind) && locks.has(t) && !work.includes(t))
      .map(table => `SCANS_TABLE ${table}`),
  ].sort()
}

const fromLocksAndRows = ['LOCKS_TABLE', 'BLOCKS_WRITES', 'REWRITES_TABLE', 'SCANS_TABLE']
const hazardsSaid = (statement: Statement, known: Known): string[] =>
  judgeStatements([statement], null, new Known(structuredClone({ ...known }), known.looked))
    .hazards.filter(h => fromLocksAndRows.includes(h.code))
    .map(h => `${h.code} ${h.subject}`)
    .filter((line, i, all) => all.indexOf(line) === i)
    .sort()

/** Runs a case and takes it back. */
async function run(db: Database, text: string, atMost: boolean): Promise<Run | { error: string }> {
  const statement = await firstOf(text)
  let ran: Run | null = null
  try {
    await db.sql.begin(async tx => {
      const known = await knownOf(tx, [statement])
      ran = { text, statement, known, seen: await seeInside(tx, text), atMost }
      throw new Rollback()
    })
  } catch (error) {
    if (!(error instanceof Rollback)) return { error: (error as Error).message }
  }
  return ran!
}

describe.each(servers())('locks on PostgreSQL $major', server => {
  const cases = inside.filter(c => server.major >= (c.from ?? 15))

  test(`${cases.length} statements take what they say, and carry the hazards that follow from it`, async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(scene)
    // roles are the whole server's: one of this test's own
    const reader = `reader_${db.name}`
    await db.sql.unsafe(`create role ${reader}`)
    await using _ = {
      [Symbol.asyncDispose]: () => db.sql.unsafe(`drop role ${reader}`) as Promise<unknown> as Promise<void>,
    }
    const differing: unknown[] = []
    const runs: Run[] = []
    for (const { sql, newer, may = [], besides = [] } of cases) {
      const ran = await run(db, sql.replace(/\breader\b/, reader), Boolean(newer) && server.major < newer!)
      if ('error' in ran) {
        differing.push({ sql, ...ran })
        continue
      }
      runs.push(ran)
      const { statement, seen, atMost } = ran
      if (!agrees(ran))
        differing.push({ sql, said: said(statement, ran.known), taken: taken(statement, seen) })
      const hazards = hazardsSaid(statement, ran.known)
      const expected = [...new Set([...hazardsSeen(seen, statement), ...may])]
        .filter(h => !besides.includes(h))
        .sort()
      const same = atMost
        ? expected.every(
            e => hazards.includes(e) || hazards.includes(e.replace('BLOCKS_WRITES', 'LOCKS_TABLE')),
          )
        : String(hazards) === String(expected)
      if (!same) differing.push({ sql, hazards, expected })
      // what may happen depends on more than the catalog: the case is of no use where it does happen
      const idle = may.filter(m => hazardsSeen(seen, statement).includes(m))
      if (idle.length > 0) differing.push({ sql, 'no longer only may': idle })
    }
    expect(differing).toEqual([])
    if (server.major < 18) return
    expect(unproved(runs)).toEqual([])
    expect(indifferent(runs)).toEqual([])
  }, 300_000)

  test.each(outside)('outside of a transaction: $sql', async ({ sql, tables, before }) => {
    const fresh = async () => {
      const db = await database(server, 'empty')
      await db.sql.unsafe(smallScene)
      if (before) await db.sql.unsafe(before)
      return db
    }
    await using db = await fresh()
    const statement = await firstOf(sql)
    const known = await knownOf(db.sql, [statement])
    const seen = await seeOutside(fresh, sql, tables)
    expect(said(statement, known)).toEqual(taken(statement, seen))
    // statistics of scans are of transactions only
    const hazards = hazardsSaid(statement, known).filter(h => !h.startsWith('SCANS_TABLE'))
    expect(hazards).toEqual(hazardsSeen(seen, statement))
  })

  test('where only running it can tell, nothing is said, and that is a hazard', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(scene)
    for (const text of [
      'do $$ begin end $$',
      'call work()',
      'select chance()',
      'select public.chance() from a',
      'drop function touch() cascade',
      'drop table a cascade',
      'drop view seen cascade',
      'drop extension plpgsql',
      'alter table a drop column n cascade',
      'alter table b drop constraint b_pkey cascade',
      'alter type pair add attribute z int cascade',
      'alter type pair rename attribute x to z cascade',
      'lock table seen',
      'execute anything',
      'cluster',
      'vacuum full',
      'reindex schema public',
      'drop owned by current_user',
      'alter table all in tablespace pg_default set tablespace pg_default',
      'drop index nowhere',
    ]) {
      const statement = await firstOf(text)
      expect(locksOf(statement, await knownOf(db.sql, [statement])), text).toBeNull()
      const hazards = judgeStatements([statement], null, await knownOf(db.sql, [statement])).hazards
      expect(
        hazards.map(h => h.code),
        text,
      ).toContain('CANNOT_TELL')
    }
  })
})

/** Entries of the tables that no case has tried. */
const unproved = (runs: Run[]): string[] => {
  const tried = new Set<string>()
  for (const { statement } of runs) {
    tried.add(statement.kind)
    if (statement.kind === 'AlterTableStmt')
      for (const c of statement.node.cmds) tried.add(c.AlterTableCmd.subtype)
  }
  const elsewhere = ['DoStmt', 'CallStmt', 'AT_DetachPartitionFinalize']
  return [...Object.keys(statementRules), ...Object.keys(alterTableRules)].filter(
    name => !tried.has(name) && !elsewhere.includes(name),
  )
}

/**
 * Changes that make no difference here: the server refuses the command on a parent or a partitioned table,
 * and CONCURRENTLY is for the cases outside of a transaction.
 */
const impossible = [
  'AT_DetachPartition ACCESS EXCLUSIVE',
  ...['AddOf', 'DropOf'].map(c => `AT_${c} family`),
  ...(
    'AddOf DropOf SetLogged SetUnLogged ClusterOn DropCluster SetRelOptions ResetRelOptions AddInherit DropInherit ' +
    'GenericOptions AlterColumnGenericOptions'
  )
    .split(' ')
    .map(c => `AT_${c} partitions`),
]

/** Changes of the tables that no case would notice: another mode, another reach, the entry gone. */
function indifferent(runs: Run[]): string[] {
  const found: string[] = []
  const tryWithout = <T>(rules: Record<string, T>, name: string, changed: T | undefined, what: string) => {
    const kept = rules[name]!
    if (changed === undefined) delete rules[name]
    else rules[name] = changed
    if (runs.every(agrees) && !impossible.includes(`${name} ${what}`)) found.push(`${name} ${what}`)
    rules[name] = kept
  }
  for (const [name, rule] of Object.entries(alterTableRules)) {
    if (name === 'AT_DetachPartitionFinalize') continue
    tryWithout(alterTableRules, name, undefined, 'gone')
    const modes = ['SHARE UPDATE EXCLUSIVE', 'SHARE ROW EXCLUSIVE', 'ACCESS EXCLUSIVE'] as const
    for (const mode of modes)
      if (mode !== rule.mode) tryWithout(alterTableRules, name, { ...rule, mode }, mode)
    for (const reach of ['none', 'family', 'partitions'] as const)
      if (reach !== rule.reach) tryWithout(alterTableRules, name, { ...rule, reach }, reach)
    if (rule.others) {
      const { others: _, ...bare } = rule
      tryWithout(alterTableRules, name, bare, 'alone')
    }
  }
  for (const name of Object.keys(statementRules))
    if (!['DoStmt', 'CallStmt'].includes(name)) tryWithout(statementRules, name, undefined, 'gone')
  return found
}
