import type { Db } from '../database/types.js'
import { relationsNamed, statementsOrNone } from '../files/statements.js'
import type { Hazard } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { type ForeignCode, foreignCode } from './foreign_code.sql.js'

/** For each migration: the functions of other owners that its tables run. */
export async function foreignCodeOf(
  sql: Db,
  migrations: Migration[],
): Promise<ReadonlyMap<Migration, ForeignCode[]>> {
  const named = new Map<Migration, Set<string>>()
  for (const m of migrations) named.set(m, relationsNamed(await statementsOrNone(m.file.text)))
  const tables = new Set([...named.values()].flatMap(names => [...names]))
  if (tables.size === 0) return new Map()
  const found = await foreignCode(sql, [...tables])
  return new Map([...named].map(([m, names]) => [m, found.filter(f => names.has(f.asked))]))
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

/** For example `trigger a_audit (public.audit of mallory)`. */
export const describeForeignCode = (c: ForeignCode): string => `${c.what} (${c.function} of ${c.owner})`

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

/** Checks tables that are written without a migration's file: the findings, and the request for consent. */
export async function judgeForeignCode(
  sql: Db,
  tables: string[],
): Promise<{ hazards: Hazard[]; findings: Finding[] }> {
  const code = await foreignCode(sql, [...new Set(tables)])
  return { hazards: foreignCodeHazards(code), findings: foreignCodeFindings(code) }
}
