import { isRetriable, serverFault } from '../database/faults.js'
import { withLockRetries } from './lock_retry.js'
import type { Run } from './run.js'
import {
  disableAutoAnalyze,
  forgottenTables,
  rememberNone,
  renameSettings,
  restoreAutoAnalyze,
  settingsOfGone,
  tablesWithChangedSettings,
} from './table_settings.sql.js'

/** SQLSTATE for a table of another owner. */
const noPrivilege = '42501'

/**
 * Disables automatic ANALYZE of tables that are about to be updated. If that is not possible the backfill
 * only causes more bloat.
 */
export async function holdBackAnalyze(run: Run, heaps: { relation: string }[]): Promise<void> {
  for (const { relation } of heaps) {
    try {
      await disableAutoAnalyze(run.writer.sql, relation)
    } catch (error) {
      if (!isRetriable(error) && serverFault(error)?.code !== noPrivilege) throw error
    }
  }
}

/**
 * Restores all table settings that a backfill has changed, also those of a run that was killed, and of a
 * table that was renamed since.
 */
export async function restoreTableSettings(run: Run): Promise<void> {
  const { sql } = run.writer
  const forgotten = await forgottenTables(sql)
  const gone = forgotten.length === 1 ? await settingsOfGone(sql) : null
  if (gone !== null) await renameSettings(sql, gone, forgotten[0]!)
  else for (const relation of forgotten) await rememberNone(sql, relation)
  for (const relation of await tablesWithChangedSettings(sql))
    await withLockRetries(run, relation, timeout => restoreAutoAnalyze(sql, relation, timeout))
}
