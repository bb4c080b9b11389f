import { digestOf } from '../files/checksums.js'
import type { HistoryRow, ToolHistory } from './tool_history.js'

/**
 * The registry. Its rows hang on ids that sqitch computes from the whole plan (planner, times, notes, the
 * change before), so they are read only: `sqitch deploy --log-only` writes them.
 */
export const sqitchHistory: ToolHistory = {
  schema: 'sqitch',
  table: 'changes',
  columns: { change_id: null, script_hash: null, change: null, committed_at: null },
  create: null,
  read: async (sql, table) =>
    sql.unsafe<HistoryRow[]>(
      `select change as key, 'applied' as state, script_hash as checksum, committed_at::text as at from ${table}`,
    ),
  keyOf: file => file.script,
  checksumOf: file => digestOf('sha1', file.source),
  coversEarlier: false,
  add: async () => '',
  remove: () => '',
}
