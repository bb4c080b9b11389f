import {
  type AskedTable,
  type ForeignCode,
  foreignCode,
  foreignEventTriggers,
  foreignFunction,
} from '../database/foreign_code.sql.js'
import type { Db } from '../database/types.js'
import { pairsIn } from '../files/moved_names.js'
import { type Node, type Statement, statementsOrNone, strings, visitNodes } from '../files/statements.js'
import type { Consent, Hazard } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { nameAt, tableText } from '../model/table_name.js'

/** For each migration: the functions of other owners that its tables and event triggers run. */
export async function foreignCodeOf(
  sql: Db,
  migrations: Migration[],
): Promise<ReadonlyMap<Migration, ForeignCode[]>> {
  const named = new Map<Migration, AskedTable[]>()
  for (const m of migrations) named.set(m, await tablesAsked(m.file.text))
  const tables = new Map([...named.values()].flat().map(t => [t.asked, t]))
  if (tables.size === 0) return new Map()
  const found = await foreignCode(sql, [...tables.values()])
  const events = (await foreignEventTriggers(sql)).map(e => ({ ...e, asked: e.table }))
  return new Map(
    [...named].map(([m, asked]) => {
      const keys = new Set(asked.map(t => t.asked))
      return [m, [...found.filter(f => keys.has(f.asked)), ...(asked.length > 0 ? events : [])]]
    }),
  )
}

/**
 * Every name in a file that may be a table's: pairs with a dot, in function bodies too, and names without a
 * schema, which the search path decides.
 */
async function tablesAsked(text: string): Promise<AskedTable[]> {
  const statements = await statementsOrNone(text)
  const { deletes, updates } = rowsTaken(statements)
  const how = `${deletes} ${updates.join(' ')}`
  const asked = ({ schema, name }: { schema: string | null; name: string }): AskedTable => ({
    schema,
    name,
    asked: `${schema === null ? name : tableText({ schema, name })} ${how}`,
    deletes,
    updates,
    trustsOwner: true,
  })
  // a text that does not parse has no statements, and names no table
  const pairs = statements.length === 0 ? [] : await pairsIn(text)
  return [...pairs, ...bareNames(statements).map(name => ({ schema: null, name }))].map(asked)
}

/** Names of tables without a schema, and the words in bodies, which may be such names. */
function bareNames(statements: Statement[]): string[] {
  const found = new Set<string>()
  for (const s of statements)
    visitNodes(s.node, part => {
      if (typeof part.relname === 'string' && !part.schemaname) found.add(part.relname)
      if (part.DefElem?.defname === 'as')
        for (const word of bodyOf(part.DefElem.arg).match(/[\p{L}\p{N}_$]+/gu) ?? []) found.add(word)
    })
  return [...found]
}

const bodyOf = (arg: Node): string => strings(arg?.List ? arg.List.items : [arg]).join('\n')

/** Whether statements delete rows, and which columns they update. A body may do both, to any table. */
function rowsTaken(statements: Statement[]): { deletes: boolean; updates: string[] } {
  let deletes = false
  const updates = new Set<string>()
  for (const s of statements) {
    if (s.kind === 'DeleteStmt' || s.kind === 'TruncateStmt') deletes = true
    visitNodes(s.node, part => {
      if (part.DeleteStmt || part.MergeStmt) deletes = true
      const body = part.DefElem?.defname === 'as' ? bodyOf(part.DefElem.arg) : ''
      if (/\b(delete|truncate|merge)\b/i.test(body)) deletes = true
      const set: Node[] =
        part.UpdateStmt?.targetList ??
        part.onConflictClause?.targetList ??
        (s.kind === 'UpdateStmt' ? part.targetList : null) ??
        []
      for (const target of set) if (target.ResTarget?.name) updates.add(target.ResTarget.name)
    })
  }
  return { deletes, updates: [...updates].sort() }
}

/**
 * Functions of other owners run with the rights of the current role. If it is a superuser, each of them
 * must be allowed. For any other role they are only reported.
 */
export const foreignCodeHazards = (code: ForeignCode[]): Hazard[] =>
  code
    .filter(c => c.superuser)
    .map(c => ({
      code: 'RUNS_FOREIGN_CODE',
      subject: c.table,
      detail: `${describeForeignCode(c)} would run as ${c.role}, a superuser`,
    }))

/** What tables of these migrations would run as a superuser and nobody has allowed, else null. */
export async function foreignHazard(
  sql: Db,
  migrations: Migration[],
  consent: Consent,
): Promise<string | null> {
  if (consent.allow.has('RUNS_FOREIGN_CODE')) return null
  const [hazard] = foreignCodeHazards([...(await foreignCodeOf(sql, migrations)).values()].flat())
  return hazard ? `${hazard.detail}, on ${hazard.subject}` : null
}

/** For example `trigger a_audit (public.audit of mallory)`. */
export const describeForeignCode = (c: Omit<ForeignCode, 'asked'>): string =>
  `${c.what} (${c.function} of ${c.owner})`

/** FOREIGN_CODE for each table, if the current role is no superuser. */
export function foreignCodeFindings(code: ForeignCode[]): Finding[] {
  const tables = new Map<string, ForeignCode[]>()
  for (const c of code) if (!c.superuser) tables.set(c.table, [...(tables.get(c.table) ?? []), c])
  return [...tables].map(([table, all]) =>
    finding('FOREIGN_CODE', table, {
      code: [...new Set(all.map(describeForeignCode))],
      role: all[0]!.role,
    }),
  )
}

/** Tables by their SQL names, from which rows may be deleted too. */
export const tablesTaken = (tables: string[]): AskedTable[] =>
  [...new Set(tables)].flatMap(asked => {
    const parts = nameAt(asked)?.parts ?? []
    return parts.length === 2
      ? [{ asked, schema: parts[0]!, name: parts[1]!, deletes: true, updates: [], trustsOwner: true }]
      : []
  })

/**
 * Throws FOREIGN_OBJECT if a superuser who reads rows of these tables would run functions of others: a value
 * that is shown as text goes through the casts of its type.
 */
export async function refuseForeignTypes(sql: Db, tables: string[]): Promise<void> {
  const code = (await foreignCode(sql, tablesTaken(tables))).find(c => c.superuser && c.ofType)
  if (code) throw foreignFunction(code)
}

/** Checks tables that are written without a migration's file: the findings, and the request for consent. */
export async function judgeForeignCode(
  sql: Db,
  tables: string[],
): Promise<{ hazards: Hazard[]; findings: Finding[] }> {
  const code = await foreignCode(sql, tablesTaken(tables))
  return { hazards: foreignCodeHazards(code), findings: foreignCodeFindings(code) }
}
