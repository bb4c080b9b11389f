import type { Elsewhere } from '../model/other_tool.js'
import type { LedgerRow } from '../model/plan.js'

/** The ledger, folded: what is applied, and what was begun and not finished. */
export interface History {
  applied: Map<string, LedgerRow>
  unfinished: Map<string, LedgerRow>
  /** Applied backfills that have rows to do again; nobody asked where it is missing. */
  reopened?: ReadonlySet<string>
  /** What the history of another tool says, by migration; left out where there is none. */
  elsewhere?: ReadonlyMap<string, Elsewhere>
}

/** What another tool's history says of a migration that the ledger does not have as applied; else null. */
export function onlyElsewhere({ applied, elsewhere }: History, name: string): Elsewhere | null {
  const found = applied.has(name) ? undefined : elsewhere?.get(name)
  // a migration of which only some files are applied is one to go on with
  return found && found.state !== 'partly' ? found : null
}

/** Folds ledger rows (in the order written) of one track. */
export function foldLedger(rows: LedgerRow[], track: string): History {
  const applied: History['applied'] = new Map()
  const unfinished: History['unfinished'] = new Map()
  for (const row of rows.filter(r => r.track === track)) {
    if (row.outcome !== 'done') unfinished.set(row.migration, row)
    else {
      unfinished.delete(row.migration)
      if (row.direction === 'down') applied.delete(row.migration)
      else applied.set(row.migration, row)
    }
  }
  return { applied, unfinished }
}

/** How many statements of each unfinished migration are finished. */
export const finishedOf = ({ unfinished }: History): ReadonlyMap<string, number> =>
  new Map([...unfinished].map(([name, row]) => [name, row.direction === 'up' ? row.reached : 0]))

/** The row, where it is one of applying; null for one of rolling back. */
export const upward = (row: LedgerRow | undefined): LedgerRow | null => (row?.direction === 'up' ? row : null)

/** The row, where it is one of rolling back; null for one of applying. */
export const downward = (row: LedgerRow | undefined): LedgerRow | null =>
  row?.direction === 'down' ? row : null
