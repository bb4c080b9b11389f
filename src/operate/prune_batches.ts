import { causeOf } from '../backfill/failed_rows.js'
import type { Cause } from '../backfill/failed_rows.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { isDataFault } from '../database/faults.js'
import { transaction } from '../database/scopes.js'
import { Failure } from '../model/failure.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { withLockRetries } from '../run/lock_retry.js'
import type { Run } from '../run/run.js'
import { deleteSessions, type Follows, unchangedRows } from './delete_sessions.js'
import { lockIdle, type Retention, settle, stillIdle } from './prune.sql.js'

/** Sessions of one transaction. It is short, so that nobody waits. */
const pruneAtOnce = 200

/** Most sessions that are listed for one reason to stay. */
const namedSessions = 3

/**
 * Prunes sessions in batches, each in a short transaction. After a kill, the next run continues with the
 * rest. If the server refuses a batch, also at commit, its sessions are tried one by one. Those that fail
 * stay and are named in the findings; more than `maxFailedRows` stop the run. `note` is called with the
 * number of sessions in each batch.
 */
export async function pruneAll(
  run: Run,
  track: Track,
  { retention, follows, note }: { retention: Retention; follows: Follows; note: (pruned: number) => void },
): Promise<Finding[]> {
  const { table } = retention.info.sessions
  const refused = new Map<string, Cause>()
  const goesOn = () => !run.ctx.signal.aborted && refused.size <= run.ctx.maxFailedRows
  let tried: string[] = []
  /** Prunes one batch. Returns whether there was one. */
  const some = async (only: string[] | null): Promise<boolean> => {
    const { value } = await withLockRetries(run, table, timeout =>
      transaction(run.writer.sql)(async tx => {
        tried = []
        await setLocal(tx, timeout, 30_000)
        tried = await lockIdle(tx, retention, pruneAtOnce, { only, except: [...refused.keys()] })
        const ids = await stillIdle(tx, retention, tried)
        if (ids.length === 0) return { locked: tried.length, pruned: 0 }
        const pruned =
          retention.how === 'deleted'
            ? await deleteSessions(run, tx, track, follows, ids)
            : await settle(tx, retention, ids)
        if (pruned < ids.length) throw unchangedRows(table, ids.length - pruned)
        return { locked: tried.length, pruned }
      }),
    )
    const { locked, pruned } = value
    note(pruned)
    return locked > 0
  }
  for (let more = true; more && goesOn(); )
    try {
      more = await some(null)
    } catch (error) {
      // without chosen sessions, the choice itself failed
      if (whyRefused(error) === null || tried.length === 0) throw error
      for (const id of [...tried]) {
        if (!goesOn()) break
        try {
          await some([id])
        } catch (fault) {
          const cause = whyRefused(fault)
          if (cause === null) throw fault
          refused.set(id, cause)
        }
      }
    }
  return stayFindings(table, refused, refused.size > run.ctx.maxFailedRows)
}

/** Why a session was refused; null for an error that does not concern sessions. */
function whyRefused(error: unknown): Cause | null {
  if (error instanceof Failure)
    return error.finding.code === 'ROWS_FAILED'
      ? { sqlstate: null, reason: error.finding.facts.reason }
      : null
  return isDataFault(error) ? causeOf(error) : null
}

/** The findings about sessions that stay, one for each reason. */
function stayFindings(table: string, refused: Map<string, Cause>, stoppedEarly: boolean): Finding[] {
  const groups = new Map<string, { cause: Cause; keys: string[] }>()
  for (const [id, cause] of refused) {
    const name = JSON.stringify(cause)
    const group = groups.get(name) ?? { cause, keys: [] }
    group.keys.push(id)
    groups.set(name, group)
  }
  return [...groups.values()].map(({ cause, keys }) =>
    finding('ROWS_FAILED', table, {
      ...cause,
      rows: keys.length,
      migration: 'prune',
      keys: keys.slice(0, namedSessions),
      stoppedEarly,
    }),
  )
}
