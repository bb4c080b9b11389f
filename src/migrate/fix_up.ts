import type { Db } from '../database/types.js'
import { parseStatements, rangeTable, type Statement } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { tableText } from '../model/table_name.js'
import { type Comparison, canonical, type Difference, nameOfObject } from './adopt_differences.js'
import {
  addColumn,
  addConstraint,
  alterColumn,
  catchUpRows,
  changeType,
  commented,
  createIndex,
  createPolicy,
  createTable,
  createView,
  dropConstraint,
  dropNotNull,
  dropPolicy,
  dropTrigger,
  fillNulls,
  fixUpText,
  rename,
  requireValues,
  setQuality,
  validate,
} from './fix_up.sql.js'
import { enumerations, nulls, refusedRows, type TableRows, tableRows } from './fix_up_rows.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import { grantedOn, keyOfObject, type Objects, type TrackStates } from './track_states.js'

/** A difference that somebody has to decide about: SQL that would settle it, and why it is not in the fix-up. */
export interface Choice {
  object: string
  reason: string
  choice: string
}

/** The SQL that takes a database to the state after a migration, and what it leaves open. */
export interface FixUp {
  text: string
  choices: Choice[]
}

/** Statements of the files that are run as they are: what they are about is not there. */
export interface Lacking {
  /** About schemas. */
  schemas: Statement[]
  /** Blocks that make a function as the database wants it. */
  blocks: Statement[]
}

/** The parts of a fix-up, in the order in which they run. */
interface Parts {
  dropped: string[]
  schemas: string[]
  tables: string[]
  columns: string[]
  functions: string[]
  constraints: string[]
  rest: string[]
  after: string[]
  choices: Choice[]
}

/** What a difference is settled with. */
interface Desk {
  sql: Db
  actual: Objects
  differences: Difference[]
  parts: Parts
  rows(table: string): Promise<TableRows>
  enumerations: ReadonlySet<string>
  /** Tables of which a column gets another type. */
  retyped: Set<string>
}

/**
 * The SQL from what is there to the state after a migration. It drops no table, no column and no row: what is
 * in the way gets another name, types only become wider, and what it replaces is written beside it. Whatever
 * would need more than that is a choice. Reads the rows that a new rule is about.
 */
export async function fixUpOf(
  sql: Db,
  track: TrackStates,
  { at, differences }: Comparison,
  lacking: Lacking,
): Promise<FixUp> {
  const migrations = track.states.slice(0, at).map(s => s.migration)
  const parts: Parts = {
    dropped: [],
    schemas: lacking.schemas.map(s => `${s.text};`),
    tables: [],
    columns: [],
    functions: [],
    constraints: [],
    rest: [],
    after: [],
    choices: [],
  }
  const known = new Map<string, TableRows>()
  const desk: Desk = {
    sql,
    actual: track.actual,
    differences,
    parts,
    retyped: new Set(),
    enumerations: await enumerations(
      sql,
      differences.flatMap(d => d.has?.column?.type ?? []),
    ),
    rows: async table => {
      const seen =
        known.get(table) ??
        (track.actual.has(tableKey(table)) ? await tableRows(sql, table) : { some: false, many: false })
      known.set(table, seen)
      return seen
    },
  }
  const renamed = renames(desk, track.states[at - 1]!.objects)
  for (const d of differences) if (!renamed.has(keyOfObject((d.want ?? d.has)!))) await settle(desk, d)
  parts.functions.push(...lacking.blocks.map(s => `${s.text};`))
  rebuilt(desk, track.states[at - 1]!.objects)
  await verbatim(desk, migrations)
  const changed = new Set(differences.map(d => d.migration))
  for (const m of migrations)
    for (const { object, predicate } of (changed.has(m) && m.rollback?.catchUp) || [])
      if (track.actual.has(tableKey(object))) parts.after.push(catchUpRows(object, predicate))
  const { dropped, schemas, tables, columns, functions, constraints, rest, after, choices } = parts
  const inside = [...dropped, ...schemas, ...tables, ...columns, ...functions, ...constraints, ...rest]
  const head = [
    `Takes this database to where ${migrations.at(-1)!.file.path} leaves it. Read it, then run it:`,
    '  psql -v ON_ERROR_STOP=1 -f <this file>',
    'It drops no table, no column and no row. What it replaces is written above each statement.',
    ...(choices.length === 0
      ? []
      : ['', 'To decide first, because it can not be done without changing or losing something:']),
    ...choices.flatMap(c => [`* ${c.object}: ${c.reason}`, ...c.choice.split('\n').map(l => `    ${l}`)]),
  ]
  return { text: fixUpText(head, inside, after), choices }
}

const tableKey = (relation: string): string => keyOfObject({ kind: 'table', relation, name: '' })

/** What something was, above the statement that replaces it. */
const replacing = (has: MadeObject, statement: string): string =>
  `${commented(`was: ${has.kind === 'policy' ? createPolicy(has) : has.definition}`)}\n${statement}`

const choose = ({ parts }: Desk, o: MadeObject, reason: string, choice: string): void => {
  parts.choices.push({ object: nameOfObject(o), reason, choice })
}

/** What a key, an index or a policy is, whatever it is called. */
const nameless = ({ kind, definition }: MadeObject): string =>
  canonical(kind === 'index' ? definition.replace(/ INDEX \S+ ON /, ' INDEX ON ') : definition)

/** Gives what is there under another name the name that it should have; the keys that are settled by that. */
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

/** Adds to the parts what settles one difference, or a choice. */
async function settle(desk: Desk, d: Difference): Promise<void> {
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
      if (!has) parts.tables.push(createTable(want!.relation, columnsOf(desk, want!.relation)))
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
      ;(many ? parts.after : parts.constraints).push(createIndex(want!, many))
      return
    }
    case 'trigger':
      if (has) parts.dropped.push(replacing(has, dropTrigger(has)))
      parts.rest.push(`${want!.definition};`)
      return
    case 'policy':
      if (has) parts.dropped.push(replacing(has, dropPolicy(has)))
      parts.rest.push(createPolicy(want!))
      return
    case 'row security':
    case 'replica identity':
      parts.rest.push(setQuality(want!))
      return
    case 'privilege':
      // its own statements give it, at the end
      return
  }
}

/** What the files have taken away by now, or lets in whom they would not. */
function settleSurplus(desk: Desk, has: MadeObject): void {
  const { parts } = desk
  if (has.kind === 'policy') parts.dropped.push(replacing(has, dropPolicy(has)))
  else if (has.kind === 'trigger') parts.dropped.push(replacing(has, dropTrigger(has)))
  else if (has.kind === 'constraint') parts.dropped.push(replacing(has, dropConstraint(has)))
  else if (has.kind === 'column') parts.columns.push(dropNotNull(has))
  else if (has.kind === 'index') parts.dropped.push(rename(has))
  else if (has.kind !== 'privilege' && has.kind !== 'row security' && has.kind !== 'replica identity')
    choose(desk, has, 'the files have taken it away by then', rename(has))
}

function settleCode(desk: Desk, { want, has }: Difference): void {
  const { parts } = desk
  const make = want!.kind === 'view' ? createView(want!) : `${want!.definition.replace(/\s*$/, '')};`
  if (has && (want!.kind === 'view' || want!.signature !== has.signature))
    choose(
      desk,
      want!,
      `it is there as ${has.signature ?? has.definition}, and what calls it may rely on that`,
      `${rename(has)}\n${make}`,
    )
  else parts[want!.kind === 'view' ? 'rest' : 'functions'].push(has ? replacing(has, make) : make)
}

/** The columns that a table is to have, in the order of the files. */
const columnsOf = ({ differences }: Desk, relation: string): MadeObject[] =>
  differences.flatMap(({ what, want }) =>
    what === 'missing' && want!.kind === 'column' && want!.relation === relation ? [want!] : [],
  )

/** Types whose every value has exactly one equal in another. */
const wider: readonly (readonly [RegExp, RegExp])[] = [
  [/^character varying(\(\d+\))?$/, /^(text|character varying)$/],
  [/^smallint$/, /^(integer|bigint)$/],
  [/^integer$/, /^bigint$/],
  [/^real$/, /^double precision$/],
]

function isWider(from: string, to: string, enums: ReadonlySet<string>): boolean {
  if (enums.has(from) && to === 'text') return true
  const lengths = [from, to].map(t => Number(/^character varying\((\d+)\)$/.exec(t)?.[1] ?? Number.NaN))
  return wider.some(([a, b]) => a.test(from) && b.test(to)) || lengths[0]! <= lengths[1]!
}

async function settleColumn(desk: Desk, want: MadeObject, has: MadeObject | null): Promise<void> {
  const { parts, actual } = desk
  const should = want.column!
  if (!has) {
    // it comes with its table
    if (!actual.has(tableKey(want.relation))) return
    const { some } = await desk.rows(want.relation)
    if (some && should.notNull && should.default === null && should.identity === '') {
      const free = { ...want, column: { ...should, notNull: false } }
      const { first, later } = requireValues(want)
      choose(
        desk,
        want,
        'it must have a value in every row, and only you know which',
        [addColumn(free), fillNulls(want), first, later].join('\n'),
      )
    } else parts.columns.push(addColumn(want))
    return
  }
  const is = has.column!
  if (is.identity !== should.identity || is.generated !== should.generated) {
    choose(
      desk,
      want,
      `it is ${has.definition}, and should be ${want.definition}`,
      `${rename(has)}\n${addColumn(want)}`,
    )
    return
  }
  if (is.type !== should.type && !isWider(is.type, should.type, desk.enumerations)) {
    const reason = `it is ${is.type}, and should be ${should.type}: not every value of the one is a value of the other`
    choose(desk, want, reason, changeType(want, is.type))
    return
  }
  if (is.type !== should.type) desk.retyped.add(want.relation)
  const altered = alterColumn(want, is)
  if (altered !== '') parts.columns.push(`${commented(`was: ${has.definition}`)}\n${altered}`)
  if (!should.notNull || is.notNull) return
  const empty = await nulls(desk.sql, want.relation, quotedIn(want))
  const { first, later } = requireValues(want)
  if (empty === 0) {
    parts.constraints.push(first)
    parts.after.push(later)
  } else choose(desk, want, `${empty} row(s) have no value in it`, [fillNulls(want), first, later].join('\n'))
}

/** The name of a column as SQL. */
const quotedIn = ({ name }: MadeObject): string => `"${name.replaceAll('"', '""')}"`

async function settleConstraint(desk: Desk, want: MadeObject, has: MadeObject | null): Promise<void> {
  const { parts, actual } = desk
  const should = want.constraint!
  const unproven = has !== null && has.definition === want.definition
  const { first, later } = addConstraint(want)
  // rows of a table, or of columns, that are not there yet break no rule
  const columns = should.columns.map(c => keyOfObject({ kind: 'column', relation: want.relation, name: c }))
  const isThere = actual.has(tableKey(want.relation)) && columns.every(c => actual.has(c))
  const broken = isThere ? await refusedRows(desk.sql, want.relation, should) : null
  if (broken !== null && broken.rows > 0) {
    const steps = unproven ? [validate(want)] : [...(has ? [dropConstraint(has)] : []), first, later]
    const reason = `${broken.rows} row(s) break it`
    choose(desk, want, reason, [`${broken.query};`, ...steps].filter(Boolean).join('\n'))
    return
  }
  if (unproven) {
    parts.after.push(validate(want))
    return
  }
  if (has && (has.constraint!.type === 'p' || has.constraint!.type !== should.type)) {
    const reason = `it is ${has.definition}, and should be ${want.definition}`
    choose(desk, want, reason, [dropConstraint(has), first, later].filter(Boolean).join('\n'))
    return
  }
  const other = [...actual.values()].find(
    o => should.type === 'p' && o.relation === want.relation && o.constraint?.type === 'p',
  )
  if (other && !has) {
    choose(desk, want, `its key is ${other.definition}`, [dropConstraint(other), first].join('\n'))
    return
  }
  if (has) parts.dropped.push(replacing(has, dropConstraint(has)))
  parts.constraints.push(first)
  if (later !== '') parts.after.push(later)
}

/** A column can't change its type while policies and triggers of its table hang on it: they are made again. */
function rebuilt({ parts, differences, actual, retyped }: Desk, wanted: Objects): void {
  const named = new Set(differences.map(d => keyOfObject((d.want ?? d.has)!)))
  for (const [key, o] of actual) {
    if (!retyped.has(o.relation) || named.has(key) || (o.kind !== 'policy' && o.kind !== 'trigger')) continue
    const again = wanted.get(key) ?? o
    parts.dropped.push(o.kind === 'policy' ? dropPolicy(o) : dropTrigger(o))
    parts.rest.unshift(o.kind === 'policy' ? createPolicy(again) : `${again.definition};`)
  }
}

/** Statements of the files themselves: privileges that differ, and the first rows of tables that are made. */
async function verbatim({ parts, differences, actual }: Desk, migrations: Migration[]): Promise<void> {
  const lack = new Set<string>()
  for (const { want } of differences)
    if (want?.kind === 'privilege') lack.add(want.relation.replace(/\([^()]*\)$/, ''))
  for (const m of migrations) {
    if (m.backfill) continue
    for (const s of await parseStatements(m.file.text)) {
      const fills = s.kind === 'InsertStmt' ? tableText(rangeTable(s.node.relation)) : null
      const isNew = fills !== null && !actual.has(tableKey(fills))
      if (isNew || grantedOn(s).some(o => lack.has(o))) parts.rest.push(`${s.text};`)
    }
  }
}
