import type { Elsewhere } from '../model/other_tool.js'
import type { LedgerRow } from '../model/plan.js'

/** The state from the ledger: applied migrations, and unfinished ones. */
export interface History {
  applied: Map<string, LedgerRow>
  unfinished: Map<string, LedgerRow>
  /** Applied backfills with pending rows. Undefined if it was not checked. */
  reopened?: ReadonlySet<string>
  /** By migration, what the history of another tool says. Undefined if there is none. */
  elsewhere?: ReadonlyMap<string, Elsewhere>
}

/** What another tool's history says about a migration that is not applied in the ledger; else null. */
export function onlyElsewhere({ applied, elsewhere }: History, name: string): Elsewhere | null {
  const found = applied.has(name) ? undefined : elsewhere?.get(name)
  // a migration with only some files applied there can be continued here
  return found && found.state !== 'partly' ? found : null
}

/** Computes the state of one track from ledger rows in the order of writing. */
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

/** The number of finished statements of each unfinished migration. */
export const finishedOf = ({ unfinished }: History): ReadonlyMap<string, number> =>
  new Map([...unfinished].map(([name, row]) => [name, row.direction === 'up' ? row.reached : 0]))

/** The row if it is for applying a migration; null for a rollback. */
export const upward = (row: LedgerRow | undefined): LedgerRow | null => (row?.direction === 'up' ? row : null)

/** The row, where it is one of rolling back; null for one of applying. */
export const downward = (row: LedgerRow | undefined): LedgerRow | null =>
  row?.direction === 'down' ? row : null
