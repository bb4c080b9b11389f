import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { isRefused } from '../database/faults.js'
import { type Known, knownOf } from '../database/known.js'
import { savepoint, takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { inPublic } from '../files/in_public.js'
import { movedNames, nameKeyOf, pairsIn, type QualifiedName, uniqueNames } from '../files/moved_names.js'
import { type Node, parseStatements, rangeTable, type Statement, strings } from '../files/statements.js'
import type { Migration, Track } from '../model/project.js'
import { partText, tableText } from '../model/table_name.js'
import { learnStatement } from '../plan/learn_changes.js'
import { foretoldLocks } from '../plan/statement_locks.js'
import { isDynamic, isNeedless, madeBy, onTwin, twinSchema } from '../plan/twin_statements.js'
import { createSchema, createTwin, type Original, originalsOf } from '../plan/twins.sql.js'
import { sendText } from '../run/execute_file.sql.js'
import {
  type LookedAt,
  type MadeObject,
  madeObjects,
  takeFromTwin,
  withoutBodies,
} from './made_objects.sql.js'

/** Time limit of a statement on the copies, in milliseconds. They are empty. */
const playedStatementMs = 10_000
/** Lock timeout for making a copy of a table, in milliseconds. */
const playedLockMs = 2000

/** Objects by kind, relation and name. */
export type Objects = ReadonlyMap<string, MadeObject>

/** The state of a database after one migration of a track. */
interface State {
  migration: Migration
  objects: Objects
  /** Keys of constraints that the files have left NOT VALID so far. */
  unproven: ReadonlySet<string>
}

/** What the files of a track create, step by step, and what of it exists in the database. */
export interface TrackStates {
  /** The application's tables without the objects that the files create. */
  base: Objects
  /** The states after each migration, in order. */
  states: State[]
  /** The current database. */
  actual: Objects
  /** Statements that could not be run on the copies, although they create or change something. */
  notPlayed: { migration: Migration; statement: Statement }[]
  /** Tables and views that the files create, as SQL. */
  made: ReadonlySet<string>
}

/** The key of an object. */
export const keyOfObject = (o: Pick<MadeObject, 'kind' | 'relation' | 'name'>): string =>
  `${o.kind}\0${o.relation}\0${o.name}`

/** The name of a relation or a function, without arguments. */
export const nameOnly = (o: MadeObject): string => o.relation.replace(/\([^()]*\)$/, '')

/**
 * Runs a track's files on empty copies of the application's tables, without what the files have already
 * created there, in one transaction that is rolled back. Reads the catalog after each file. The tables
 * themselves are only locked in ACCESS SHARE mode. The server's definitions of the copies and of the database
 * can then be compared word by word.
 */
export async function trackStates(ctx: Context, track: Track): Promise<TrackStates> {
  const files = await filesOfTrack(track)
  const all = files.flatMap(f => f.statements)
  const { relations, functions } = namesMade(all)
  const isMade = new Set(relations.map(nameKeyOf))
  const pairs = (await Promise.all(all.map(s => pairsIn(s.text)))).flat()
  await using connection = await connect(ctx, 'writer')
  const originals = await originalsOf(
    connection.sql,
    uniqueNames(pairs).filter(p => !isMade.has(nameKeyOf(p))),
  )
  const moved = new Set([...originals, ...all.flatMap(madeBy), ...functions].map(nameKeyOf))
  const schemas = new Map([...moved].map(key => [twinSchema(key.split('\0')[0]!), key.split('\0')[0]!]))
  const looked = uniqueNames([...relations, ...originals])
  const roles = rolesIn(all)
  const known = await knownOf(connection.sql, all)
  return await takenBack(transaction(connection.sql), async tx => {
    await setLocal(tx, playedLockMs, playedStatementMs)
    const here = (names: QualifiedName[]): LookedAt[] => names.map(n => ({ ...n, shown: n.schema }))
    const there = (names: QualifiedName[]): LookedAt[] =>
      names.map(n => ({ ...n, schema: twinSchema(n.schema), shown: n.schema }))
    const actual = byKey(await madeObjects(tx, here(looked), here(functions), roles))
    const read = async () =>
      byKey((await madeObjects(tx, there(looked), there(functions), roles)).map(o => shownHere(o, schemas)))
    await makeCopies(tx, schemas.keys(), originals, addedTo(all))
    const base = await read()
    const played = await playFiles(tx, files, { known, moved, base, read })
    return { ...played, base, actual, made: new Set(relations.map(tableText)) }
  })
}

/** A migration and what is in its file. */
interface PlayedFile {
  migration: Migration
  statements: Statement[]
}

const filesOfTrack = (track: Track): Promise<PlayedFile[]> =>
  Promise.all(
    track.migrations.map(async migration => ({
      migration,
      statements: await parseStatements(
        track.layout ? await inPublic(migration.file.text) : migration.file.text,
      ),
    })),
  )

/** Makes the copies, without what the files add to them. */
async function makeCopies(
  tx: Db,
  schemas: Iterable<string>,
  originals: Original[],
  added: ReturnType<typeof addedTo>,
): Promise<void> {
  await withoutBodies(tx)
  for (const schema of schemas) await createSchema(tx, schema)
  for (const original of originals) {
    const schema = twinSchema(original.schema)
    await createTwin(tx, original, schema)
    const { columns = [], constraints = [] } = added.get(tableText(original)) ?? {}
    await takeFromTwin(tx, tableText({ schema, name: original.name }), columns, constraints)
  }
}

/** What the files are played with. */
interface Copies {
  known: Known
  /** Keys of the names that are the copies' there. */
  moved: ReadonlySet<string>
  base: Objects
  /** Reads the catalog of the copies. */
  read: () => Promise<Objects>
}

/** Plays one file after the other, and reads what is there after each. */
async function playFiles(
  tx: Db,
  files: PlayedFile[],
  { known, moved, base, read }: Copies,
): Promise<Pick<TrackStates, 'states' | 'notPlayed'>> {
  const schemaFor = (schema: string, name: string) =>
    moved.has(nameKeyOf({ schema, name })) ? twinSchema(schema) : null
  const notPlayed: TrackStates['notPlayed'] = []
  const states: State[] = []
  let objects = base
  const unproven = new Set<string>()
  for (const { migration, statements } of files) {
    // a backfill makes rows
    for (const statement of migration.backfill ? [] : statements) {
      const locks = foretoldLocks(statement, known)
      learnStatement(known, statement)
      noteProof(statement, unproven)
      const text = isDynamic(statement, locks) ? null : await playable(statement, schemaFor)
      if (text === null ? !isNeedless(statement) : !(await isPlayed(tx, text)))
        notPlayed.push({ migration, statement })
    }
    if (!migration.backfill) objects = await read()
    states.push({ migration, objects, unproven: new Set(unproven) })
  }
  return { states, notPlayed }
}

/** Runs a statement. Returns false if it fails on the copies; what it creates is then not compared. */
async function isPlayed(tx: Db, text: string): Promise<boolean> {
  try {
    await savepoint(tx)(inner => sendText(inner, text))
    return true
  } catch (error) {
    if (!isRefused(error)) throw error
    return false
  }
}

/** A statement for the copies, including privileges; null if it has no effect there. */
async function playable(
  s: Statement,
  schemaFor: (schema: string, name: string) => string | null,
): Promise<string | null> {
  if (s.kind !== 'GrantStmt') return onTwin(s, schemaFor)
  const text = await movedNames(s.text, schemaFor)
  return text === s.text ? null : text
}

/** The functions that a DO block creates. */
export const functionsInside = ({ text }: Statement): QualifiedName[] =>
  [...text.matchAll(functionWords)].map(([, schema, name]) => ({ schema: schema!, name: name! }))

const functionWords = /\bfunction\s+([\w$]+)\.([\w$]+)\s*\(/gi

/**
 * The tables, views and functions that statements create, including functions that a DO block creates from
 * settings.
 */
function namesMade(statements: Statement[]): { relations: QualifiedName[]; functions: QualifiedName[] } {
  const relations: QualifiedName[] = []
  const functions: QualifiedName[] = []
  for (const s of statements) {
    if (s.kind === 'CreateStmt' || s.kind === 'ViewStmt') relations.push(...madeBy(s))
    if (s.kind === 'CreateFunctionStmt') functions.push(...madeBy(s))
    if (s.kind === 'DoStmt') functions.push(...functionsInside(s))
  }
  return { relations: uniqueNames(relations), functions: uniqueNames(functions) }
}

/** Columns and constraints that statements add to each table, as SQL. */
function addedTo(statements: Statement[]): Map<string, { columns: string[]; constraints: string[] }> {
  const added = new Map<string, { columns: string[]; constraints: string[] }>()
  for (const { kind, node } of statements) {
    if (kind !== 'AlterTableStmt') continue
    const table = tableText(rangeTable(node.relation))
    const to = added.get(table) ?? { columns: [], constraints: [] }
    added.set(table, to)
    for (const { AlterTableCmd: c } of node.cmds as Node[]) {
      if (c.subtype === 'AT_AddColumn') to.columns.push(partText(c.def.ColumnDef.colname))
      const name = c.subtype === 'AT_AddConstraint' ? c.def.Constraint.conname : null
      if (name) to.constraints.push(partText(name))
    }
  }
  return added
}

/** Notes the constraints that a statement adds NOT VALID, and removes those that it validates. */
function noteProof({ kind, node }: Statement, unproven: Set<string>): void {
  if (kind !== 'AlterTableStmt') return
  const relation = tableText(rangeTable(node.relation))
  for (const { AlterTableCmd: c } of node.cmds as Node[]) {
    const added = c.subtype === 'AT_AddConstraint' ? c.def.Constraint : null
    if (added?.conname && added.skip_validation)
      unproven.add(keyOfObject({ kind: 'constraint', relation, name: added.conname }))
    if (c.subtype === 'AT_ValidateConstraint')
      unproven.delete(keyOfObject({ kind: 'constraint', relation, name: c.name }))
  }
}

/** All roles in GRANT and REVOKE statements; `public` is everybody. */
function rolesIn(statements: Statement[]): string[] {
  const roles = new Set<string>()
  for (const { kind, node } of statements)
    if (kind === 'GrantStmt')
      for (const { RoleSpec: r } of node.grantees ?? [])
        roles.add(r.roletype === 'ROLESPEC_PUBLIC' ? 'public' : r.rolename)
  return [...roles].filter(Boolean)
}

/** An object of the copies with the names of the originals. */
function shownHere(o: MadeObject, schemas: ReadonlyMap<string, string>): MadeObject {
  const back = (text: string): string => {
    let shown = text
    for (const [twin, schema] of schemas)
      shown = shown.replaceAll(`${partText(twin)}.`, `${partText(schema)}.`)
    return shown
  }
  const backOrNull = (text: string | null) => (text === null ? null : back(text))
  return {
    ...o,
    relation: back(o.relation),
    definition: back(o.definition),
    column: o.column && { ...o.column, type: back(o.column.type), default: backOrNull(o.column.default) },
    constraint: o.constraint && {
      ...o.constraint,
      expression: backOrNull(o.constraint.expression),
      references: backOrNull(o.constraint.references),
    },
    signature: backOrNull(o.signature),
  }
}

const byKey = (rows: MadeObject[]): Objects => new Map(rows.map(o => [keyOfObject(o), o]))

/** The privileges that a statement gives or takes, on which relations or functions; none for a schema. */
export function grantedOn({ kind, node }: Statement): string[] {
  if (kind !== 'GrantStmt') return []
  return (node.objects ?? []).flatMap((o: Node): string[] => {
    if (o.RangeVar) return [tableText(rangeTable(o.RangeVar))]
    const path = o.ObjectWithArgs ? strings(o.ObjectWithArgs.objname) : []
    return path.length === 2 ? [tableText({ schema: path[0]!, name: path[1]! })] : []
  })
}
