import type { Db } from '../database/types.js'
import { relationsNamed, statementsOrNone } from '../files/statements.js'
import type { Hazard } from '../model/plan.js'
import type { Migration } from '../model/project.js'
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
