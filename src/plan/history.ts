import type { Connection } from '../database/connection.js'
import { settleTransactions } from '../files/transactions.js'
import { readElsewhere } from '../histories/read_history.js'
import { Failure } from '../model/failure.js'
import type { LedgerRow, Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { readLedger } from '../run/ledger.sql.js'
import { foldLedger, type History } from '../run/ledger_history.js'
import { schemaVersion, upgrades } from '../run/schema_upgrades.sql.js'
import { changedFiles } from './changed_files.js'
import { makePlan, type PlanOptions } from './make_plan.js'

/** The history in the ledger, and the plan that follows from it and the files. */
export interface HistoryAndPlan {
  history: History
  plan: Plan
  hasLedger: boolean
  /** When the newest row of the ledger, of any track, was written. Null if there is none. */
  newest: string | null
}

/**
 * The ledger's rows. Null if the schema does not exist. Throws NEWER_LEDGER if a newer rethread wrote it.
 */
export async function ledgerRows(connection: Connection): Promise<LedgerRow[] | null> {
  const version = await schemaVersion(connection.sql)
  if (version === null) return null
  if (version > upgrades.length)
    throw new Failure('NEWER_LEDGER', 'schema rethread', { found: version, known: upgrades.length })
  return readLedger(connection.sql)
}

/**
 * Reads the ledger and makes the plan. It writes nothing and does not need the ledger to exist. `reopened`
 * finds applied backfills that have rows to process again; without it none are found.
 */
export async function readHistory(
  connection: Connection,
  track: Track,
  options: PlanOptions,
  reopened?: (applied: History['applied']) => Promise<ReadonlySet<string>>,
): Promise<HistoryAndPlan> {
  const rows = await ledgerRows(connection)
  const history = foldLedger(rows ?? [], track.name)
  if (reopened) history.reopened = await reopened(history.applied)
  const elsewhere = track.otherTool && (await readElsewhere(connection.sql, track, track.otherTool))
  if (elsewhere) history.elsewhere = elsewhere
  const changed = await changedFiles(track, history)
  const newest = (rows ?? []).reduce<string | null>((at, r) => (at === null || r.at > at ? r.at : at), null)
  const plan = makePlan(track, history, changed, options)
  await settleTransactions(plan.steps.map(s => s.migration))
  return { history, plan, hasLedger: rows !== null, newest }
}
