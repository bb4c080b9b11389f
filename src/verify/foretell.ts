import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import type { Check } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { runCheck } from './run_check.js'

/** Runs checks on today's data. What they find is reported as OUTLOOK, not as a fault. */
export async function foretell(
  ctx: Context,
  connection: Connection,
  checks: Check[],
  applied: ReadonlySet<string> = new Set(),
): Promise<Finding[]> {
  const found: Finding[] = []
  for (const check of checks) {
    const { result } = await runCheck(ctx, connection, check, applied)
    const level = check.level === 'info' ? 'info' : 'warn'
    for (const row of result.found)
      found.push(finding('OUTLOOK', row.object, { detail: row.detail, check: check.name }, level))
  }
  return found
}

/**
 * Listings of a track that apply before a migration, as tables. If the server reports an error, the table
 * shows it.
 */
export async function foretellTables(
  ctx: Context,
  connection: Connection,
  checks: Check[],
  applied: ReadonlySet<string>,
): Promise<Table[]> {
  const found: Table[] = []
  for (const check of checks.filter(c => c.kind === 'listing' && c.until !== null)) {
    const { result, tables } = await runCheck(ctx, connection, check, applied)
    found.push(...tables.filter(t => t.rows.length > 0))
    if (result.outcome === 'failed')
      found.push({ title: check.title, columns: ['not counted'], rows: [[result.reason]] })
  }
  return found
}
