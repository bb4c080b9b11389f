import { relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type StepResult, type Table, tableOfCells, waitsTitle } from '../model/report.js'
import { foretellTables } from '../verify/foretell.js'
import { connected } from './diagnostics.sql.js'
import type { ForeseenRun } from './foreseen_run.js'

/**
 * What a dry run shows as tables: waits, what is touched and who reads it, the work of backfills, what is
 * foretold of rows, and who is connected.
 */
export async function dryRunTables(
  { ctx, connection, track, read, readers }: ForeseenRun,
  steps: StepResult[],
  touched: string[],
  backfills: Table | null,
): Promise<Table[]> {
  const tables = [
    ...(steps.length > 0 ? [waitsTable(steps)] : []),
    await touchedTable(connection, touched),
    ...readers,
    ...(backfills ? [backfills] : []),
  ]
  if (read.plan.steps.length === 0) return tables
  const applied = new Set(read.history.applied.keys())
  tables.push(...(await foretellTables(ctx, connection, track.checks, applied)))
  const sessions = await connected(connection.sql)
  if (sessions.length > 0)
    tables.push(tableOfCells('Connected now: a run would wait for their open transactions', sessions))
  return tables
}

/** Who would wait for what: the first lock of each kind that makes an application wait, by step and table. */
export function waitsTable(steps: StepResult[]): Table {
  const rows: Table['rows'] = []
  for (const s of steps) {
    const waits = s.locks.filter(l => l.blocks !== 'nothing' || l.table === null)
    for (const l of waits) {
      const same = waits.filter(o => o.table === l.table && o.mode === l.mode)
      if (same[0] !== l) continue
      const statement = same.length === 1 ? l.statement : `${l.statement} and ${same.length - 1} more`
      const who = l.table ? l.blocks : '?'
      rows.push([s.migration, statement, l.table ?? 'only a rehearsal shows it', l.mode, who])
    }
  }
  return {
    title: waitsTitle,
    columns: ['step', 'statement', 'table', 'lock', 'waits while it is held'],
    rows,
  }
}

async function touchedTable(connection: Connection, names: string[]): Promise<Table> {
  const facts = await relationFacts(connection.sql, names)
  return {
    title: 'Tables touched',
    columns: ['table', 'rows (estimate)', 'bytes', 'row security', 'owner'],
    rows: facts.map(f => [
      f.name,
      f.rows < 0 ? null : f.rows,
      f.bytes,
      f.forced ? 'forced' : f.rowSecurity,
      f.owner,
    ]),
  }
}
