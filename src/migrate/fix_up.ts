import type { Db } from '../database/types.js'
import { parseStatements, rangeTable, type Statement } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { tableText } from '../model/table_name.js'
import { type Comparison, canonical, type Difference, keyOfTable } from './adopt_differences.js'
import {
  catchUpSql,
  dropConstraintSql,
  dropNotNullSql,
  dropPolicySql,
  dropTriggerSql,
  fixUpText,
  indexSql,
  policySql,
  rename,
  setQuality,
  tableSql,
  viewSql,
} from './fix_up.sql.js'
import { settleColumn, settleConstraint } from './fix_up_columns.js'
import { choose, type Desk, type OpenChoice, replacing } from './fix_up_parts.js'
import { enumerations, type TableRows, tableRows } from './fix_up_rows.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import { grantedOn, keyOfObject, nameOnly, type Objects, type TrackStates } from './track_states.js'

/** The SQL that changes a database to the state after a migration, and the choices that it leaves open. */
export interface FixUp {
  text: string
  choices: OpenChoice[]
}

/** Statements of the files that are run unchanged, because their objects are missing. */
export interface Lacking {
  /** Statements about schemas. */
  schemas: Statement[]
  /** DO blocks that create a function. */
  blocks: Statement[]
}

/**
 * Makes the SQL from the current state to the state after a migration. It drops no table, column or row:
 * objects in the way are renamed, types only become wider, and replaced definitions are kept as comments.
 * Anything else is a choice for a person. Reads the rows that a new constraint concerns.
 */
export async function fixUpOf(
  sql: Db,
  track: TrackStates,
  { at, differences }: Comparison,
  lacking: Lacking,
): Promise<FixUp> {
  const migrations = track.states.slice(0, at).map(s => s.migration)
  const wanted = track.states[at - 1]!.objects
  const desk = await openDesk(sql, track.actual, differences)
  const { parts } = desk
  parts.schemas.push(...lacking.schemas.map(s => `${s.text};`))
  const renamed = renames(desk, wanted)
  for (const d of differences) if (!renamed.has(keyOfObject((d.want ?? d.has)!))) await settleOne(desk, d)
  parts.functions.push(...lacking.blocks.map(s => `${s.text};`))
  rebuilt(desk, wanted)
  await verbatim(desk, migrations)
  const changed = new Set(differences.map(d => d.migration))
  for (const m of migrations)
    for (const { object, predicate } of (changed.has(m) && m.rollback?.catchUp) || [])
      if (track.actual.has(keyOfTable(object))) parts.after.push(catchUpSql(object, predicate))
  const { dropped, schemas, tables, columns, functions, constraints, rest, after, choices } = parts
  const inside = [...dropped, ...schemas, ...tables, ...columns, ...functions, ...constraints, ...rest]
  return { text: fixUpText(headOfFixUp(migrations.at(-1)!, choices), inside, after), choices }
}

/** A desk on which nothing is settled yet. What is asked of the rows of a table is asked once. */
async function openDesk(sql: Db, actual: Objects, differences: Difference[]): Promise<Desk> {
  const known = new Map<string, TableRows>()
  return {
    sql,
    actual,
    differences,
    parts: {
      dropped: [],
      schemas: [],
      tables: [],
      columns: [],
      functions: [],
      constraints: [],
      rest: [],
      after: [],
      choices: [],
    },
    retyped: new Set(),
    enumerations: await enumerations(
      sql,
      differences.flatMap(d => d.has?.column?.type ?? []),
    ),
    rows: async table => {
      const seen =
        known.get(table) ??
        (actual.has(keyOfTable(table)) ? await tableRows(sql, table) : { some: false, many: false })
      known.set(table, seen)
      return seen
    },
  }
}

/** What the SQL says on top: how to run it, and what is to be decided first. */
const headOfFixUp = (last: Migration, choices: OpenChoice[]): string[] => [
  `Takes this database to where ${last.file.path} leaves it. Read it, then run it:`,
  '  psql -v ON_ERROR_STOP=1 -f <this file>',
  'It drops no table, no column and no row. What it replaces is written above each statement.',
  ...(choices.length === 0
    ? []
    : ['', 'To decide first, because it cannot be done without changing or losing something:']),
  ...choices.flatMap(c => [`* ${c.object}: ${c.reason}`, ...c.choice.split('\n').map(l => `    ${l}`)]),
]

/** What a key, an index or a policy is, whatever it is called. */
const nameless = ({ kind, definition }: MadeObject): string =>
  canonical(kind === 'index' ? definition.replace(/ INDEX \S+ ON /, ' INDEX ON ') : definition)

/** Renames objects that only have another name. Returns the keys of the differences that this resolves. */
function renames({ actual, differences, parts }: Desk, wanted: Objects): Set<string> {
  const settled = new Set<string>()
  for (const { what, want } of differences) {
    if (what !== 'missing' || !['constraint', 'index', 'policy'].includes(want!.kind)) continue
    for (const [key, o] of actual) {
      if (o.kind !== want!.kind || o.relation !== want!.relation || wanted.has(key) || settled.has(key))
        continue
      if (nameless(o) !== nameless(want!) || o.constraint?.valid === false) continue
      parts.dropped.push(rename(o, want!.name))
      settled.add(key).add(keyOfObject(want!))
      break
    }
  }
  return settled
}

/** Adds the statements that resolve one difference, or a choice. */
async function settleOne(desk: Desk, d: Difference): Promise<void> {
  const { parts } = desk
  const { what, want, has } = d
  if (what === 'surplus') return settleSurplus(desk, has!)
  if (what === 'early' && d.migration.transaction !== 'none') {
    if (['index', 'policy', 'trigger', 'constraint'].includes(has!.kind)) parts.dropped.push(rename(has!))
    else choose(desk, has!, `${d.migration.file.path} would make it and finds the name taken`, rename(has!))
    return
  }
  switch (want!.kind) {
    case 'table':
      if (!has) parts.tables.push(tableSql(want!.relation, columnsWanted(desk, want!.relation)))
      return
    case 'view':
    case 'function':
      return settleCode(desk, d)
    case 'column':
      return settleColumn(desk, want!, has)
    case 'constraint':
      return settleConstraint(desk, want!, has)
    case 'index': {
      const { many } = await desk.rows(want!.relation)
      if (has) parts.dropped.push(replacing(has, rename(has)))
      ;(many ? parts.after : parts.constraints).push(indexSql(want!, many))
      return
    }
    case 'trigger':
      if (has) parts.dropped.push(replacing(has, dropTriggerSql(has)))
      parts.rest.push(`${want!.definition};`)
      return
    case 'policy':
      if (has) parts.dropped.push(replacing(has, dropPolicySql(has)))
      parts.rest.push(policySql(want!))
      return
    case 'row security':
    case 'replica identity':
      parts.rest.push(setQuality(want!))
      return
    case 'privilege':
      // the statements of the files set it at the end
      return
  }
}

/** Resolves an object that the files have dropped by now, or that gives more access than they do. */
function settleSurplus(desk: Desk, has: MadeObject): void {
  const { parts } = desk
  if (has.kind === 'policy') parts.dropped.push(replacing(has, dropPolicySql(has)))
  else if (has.kind === 'trigger') parts.dropped.push(replacing(has, dropTriggerSql(has)))
  else if (has.kind === 'constraint') parts.dropped.push(replacing(has, dropConstraintSql(has)))
  else if (has.kind === 'column') parts.columns.push(dropNotNullSql(has))
  else if (has.kind === 'index') parts.dropped.push(rename(has))
  else if (has.kind !== 'privilege' && has.kind !== 'row security' && has.kind !== 'replica identity')
    choose(desk, has, 'the files have taken it away by then', rename(has))
}

function settleCode(desk: Desk, { want, has }: Difference): void {
  const { parts } = desk
  const make = want!.kind === 'view' ? viewSql(want!) : `${want!.definition.replace(/\s*$/, '')};`
  if (has && (want!.kind === 'view' || want!.signature !== has.signature))
    choose(
      desk,
      want!,
      `it is there as ${has.signature ?? has.definition}, and what calls it may rely on that`,
      `${rename(has)}\n${make}`,
    )
  else parts[want!.kind === 'view' ? 'rest' : 'functions'].push(has ? replacing(has, make) : make)
}

/** The columns of a table that is to be created, in the order of the files. */
const columnsWanted = ({ differences }: Desk, relation: string): MadeObject[] =>
  differences.flatMap(({ what, want }) =>
    what === 'missing' && want!.kind === 'column' && want!.relation === relation ? [want!] : [],
  )

/**
 * Drops policies and triggers of a table and creates them again, because they prevent a change of a column's
 * type.
 */
function rebuilt({ parts, differences, actual, retyped }: Desk, wanted: Objects): void {
  const named = new Set(differences.map(d => keyOfObject((d.want ?? d.has)!)))
  for (const [key, o] of actual) {
    if (!retyped.has(o.relation) || named.has(key) || (o.kind !== 'policy' && o.kind !== 'trigger')) continue
    const again = wanted.get(key) ?? o
    parts.dropped.push(o.kind === 'policy' ? dropPolicySql(o) : dropTriggerSql(o))
    parts.rest.unshift(o.kind === 'policy' ? policySql(again) : `${again.definition};`)
  }
}

/** Adds statements of the files themselves: privileges that differ, and the first rows of new tables. */
async function verbatim({ parts, differences, actual }: Desk, migrations: Migration[]): Promise<void> {
  const lack = new Set<string>()
  for (const { want } of differences) if (want?.kind === 'privilege') lack.add(nameOnly(want))
  for (const m of migrations) {
    if (m.backfill) continue
    for (const s of await parseStatements(m.file.text)) {
      const fills = s.kind === 'InsertStmt' ? tableText(rangeTable(s.node.relation)) : null
      const isNew = fills !== null && !actual.has(keyOfTable(fills))
      if (isNew || grantedOn(s).some(o => lack.has(o))) parts.rest.push(`${s.text};`)
    }
  }
}
