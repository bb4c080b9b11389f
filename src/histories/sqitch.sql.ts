import { digestOf } from '../files/checksums.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/**
 * The registry. Its rows hang on ids that sqitch computes from the whole plan (planner, times, notes, the
 * change before), so they are read only: `sqitch deploy --log-only` writes them.
 */
export const sqitchHistory: ToolHistory = {
  schema: 'sqitch',
  table: 'changes',
  columns: { change_id: null, script_hash: null, change: null, committed_at: null },
  create: null,
  read: readRows({
    key: 'change',
    checksum: 'script_hash',
    at: 'committed_at::text',
  }),
  keyOf: file => file.script,
  checksumOf: file => digestOf('sha1', file.source),
  coversEarlier: false,
  add: async () => '',
  remove: () => '',
}
