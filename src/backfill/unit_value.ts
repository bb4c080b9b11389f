import { isDataFault, serverFault } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { UsageError } from '../model/failure.js'
import type { Migration } from '../model/project.js'
import { hasUnit, unitText } from './unit_value.sql.js'
import { type KeyColumn, keyColumns } from './walk_keys.sql.js'

/**
 * The value of a unit, such as a workspace's id, in the text form of its column: a uuid may be typed in
 * capitals. Throws UsageError if the column's type refuses it.
 */
export async function readUnit(sql: Db, unit: KeyColumn, value: string): Promise<string> {
  try {
    return await unitText(sql, unit, value)
  } catch (error) {
    if (!isDataFault(error)) throw error
    throw new UsageError(`--workspace ${value}`, `it is no ${unit.type}: ${serverFault(error)!.message}`)
  }
}

/** Throws UsageError for a backfill without a unit: no part of its rows can be asked for by name. */
export function requireUnit({ name, backfill }: Migration): void {
  if (backfill && !backfill.unit) throw new UsageError('--workspace', `${name} has no \`unit\` in its header`)
}

/**
 * The value of a canary's unit for each backfill. Throws UsageError if a backfill has no unit, before another
 * one begins, and if no row has the value: a canary without rows would otherwise report success.
 */
export async function unitOfEach(
  sql: Db,
  migrations: Migration[],
  value: string,
): Promise<(m: Migration) => string> {
  migrations.forEach(requireUnit)
  const values = new Map<string, string>()
  const looked = new Set<string>()
  let found = false
  for (const { name, backfill } of migrations) {
    const [unit] = backfill?.unit ? await keyColumns(sql, backfill.table, [backfill.unit]) : []
    if (!unit) continue
    const text = await readUnit(sql, unit, value)
    values.set(name, text)
    looked.add(`${backfill!.table} as ${unit.name}`)
    found ||= await hasUnit(sql, backfill!.table, unit, text)
  }
  if (looked.size > 0 && !found)
    throw new UsageError(`--workspace ${value}`, `no row of ${[...looked].join(', ')} has it`)
  return m => values.get(m.name) ?? value
}
