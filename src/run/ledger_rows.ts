import { parseStatements, tokenChecksum } from '../files/statements.js'
import { Failure } from '../model/failure.js'
import type { LedgerRow } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { addLedgerRow, updateLedgerRow } from './ledger.sql.js'
import type { Run } from './run.js'

/** A ledger row that is begun now and ended later. */
interface OpenRow {
  end(outcome: LedgerRow['outcome'], durationMs: number): Promise<void>
}

/** Begins the ledger row of a backfill. Throws FENCED when the lease is no longer ours. */
export async function recordBackfill(run: Run, m: Migration): Promise<OpenRow> {
  const id = await record(run, m, 'up', 'started')
  return {
    end: async (outcome, durationMs) => {
      const change = {
        outcome,
        reached: outcome === 'done' ? 1 : 0,
        error: null,
        durationMs,
        fingerprint: null,
      }
      if (!(await updateLedgerRow(run.writer.sql, run.token, id, change))) throw new Failure('FENCED', m.name)
    },
  }
}

/**
 * Writes one row about a migration without running it: the start of a backfill, an adoption, a step
 * that another rollback covers.
 */
export async function record(
  run: Run,
  m: Migration,
  direction: LedgerRow['direction'],
  outcome: LedgerRow['outcome'],
): Promise<number> {
  const id = await addLedgerRow(run.writer.sql, run.token, {
    run: run.id,
    track: m.track,
    migration: m.name,
    direction,
    outcome,
    checksum: m.file.checksum,
    tokens: await tokenChecksum(m.file.text),
    statements: (await parseStatements(m.file.text)).map(s => s.text),
    phase: m.phase,
    error: null,
    fingerprint: null,
    durationMs: null,
  })
  if (id === null) throw new Failure('FENCED', m.name)
  return id
}
