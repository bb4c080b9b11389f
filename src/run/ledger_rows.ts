import type { Db } from '../database/types.js'
import { parseStatements, tokenChecksum } from '../files/statements.js'
import { Failure } from '../model/failure.js'
import type { LedgerRow } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { sendText } from './execute_file.sql.js'
import { addLedgerRow, updateLedgerRow } from './ledger.sql.js'
import type { Run } from './run.js'

/** A ledger row that was begun and must be ended. */
interface OpenRow {
  /** `alongside` is SQL for the same transaction. */
  end(outcome: LedgerRow['outcome'], durationMs: number, alongside?: string | null): Promise<void>
}

/** Begins the ledger row of a backfill. Throws FENCED if another run has taken the lease over. */
export async function recordBackfill(run: Run, m: Migration): Promise<OpenRow> {
  const id = await record(run, m, 'up', 'started')
  return {
    end: async (outcome, durationMs, alongside = null) => {
      const change = {
        outcome,
        reached: outcome === 'done' ? 1 : 0,
        error: null,
        durationMs,
        fingerprint: null,
      }
      const ended = await writeTogether(run, alongside, tx => updateLedgerRow(tx, run.token, id, change))
      if (!ended) throw new Failure('FENCED', m.name)
    },
  }
}

/**
 * Adds a row about a migration whose file is not run: the start of a backfill, an adoption, or a step that
 * another rollback covers. `alongside` is SQL for the same transaction.
 */
export async function record(
  run: Run,
  m: Migration,
  direction: LedgerRow['direction'],
  outcome: LedgerRow['outcome'],
  { evidence, alongside = null }: { evidence?: object; alongside?: string | null } = {},
): Promise<number> {
  const row = {
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
    ...(evidence ? { evidence } : {}),
  }
  const id = await writeTogether(run, alongside, tx => addLedgerRow(tx, run.token, row))
  if (id === null) throw new Failure('FENCED', m.name)
  return id
}

/** A write, and SQL after it: not sent where the write says that it was none of ours. */
export async function writeThenSend<T>(
  tx: Db,
  alongside: string | null,
  write: (sql: Db) => Promise<T>,
): Promise<T> {
  const written = await write(tx)
  if (alongside !== null && written !== null && written !== false) await sendText(tx, alongside)
  return written
}

/** A write of the ledger, and SQL in the same transaction: not sent where the lease is no longer ours. */
export async function writeTogether<T>(
  { writer }: Pick<Run, 'writer'>,
  alongside: string | null,
  write: (sql: Db) => Promise<T>,
): Promise<T> {
  if (alongside === null) return write(writer.sql)
  return (await writer.sql.begin(tx => writeThenSend(tx, alongside, write))) as T
}
