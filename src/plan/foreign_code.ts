import type { Db } from '../database/types.js'
import { relationsNamed, statementsOrNone } from '../files/statements.js'
import type { Hazard } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { type ForeignCode, foreignCode } from './foreign_code.sql.js'

/** What the tables of each migration's file run that belongs to somebody else. */
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
 * A superuser lends its rights to whatever the tables run: each function of somebody else must be allowed.
 * Any other role lends only its own, and is shown whose functions they are.
 */
export const foreignCodeHazards = (code: ForeignCode[]): Hazard[] =>
  code
    .filter(c => c.superuser)
    .map(c => ({
      code: 'RUNS_FOREIGN_CODE',
      subject: c.table,
      detail: `${describeForeignCode(c)} would run as ${c.role}, a superuser`,
    }))

/** Such as `trigger a_audit (public.audit of mallory)`. */
export const describeForeignCode = (c: ForeignCode): string => `${c.what} (${c.function} of ${c.owner})`

/** Where no superuser lends its rights, whose functions the tables run is worth a line for each table. */
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

/** Both, for tables that are written without a migration's file. */
export async function judgeForeignCode(
  sql: Db,
  tables: string[],
): Promise<{ hazards: Hazard[]; findings: Finding[] }> {
  const code = await foreignCode(sql, [...new Set(tables)])
  return { hazards: foreignCodeHazards(code), findings: foreignCodeFindings(code) }
}
