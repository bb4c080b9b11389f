import { digestOf } from '../files/checksums.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/**
 * The registry. Sqitch computes the ids of its rows from the whole plan (planner, times, notes, the previous
 * change), so it is only read. `sqitch deploy --log-only` writes it.
 */
export const sqitchHistory: ToolHistory = {
  schema: 'sqitch',
  table: 'changes',
  columns: { change_id: null, script_hash: null, change: null, committed_at: null },
  create: null,
  // A registry may have several projects, and several instances of a reworked change. Its first version had
  // no hash of the script; the upgrade stored the id of the change instead.
  read: readRows({
    key: "concat(project, ':', change, case when instance > 1 then '~' || instance end)",
    checksum: 'nullif(script_hash, change_id)',
    at: 'committed_at::text',
    from: table => `(
        select c.*, row_number() over (partition by project, change order by planned_at, committed_at) as instance
        from ${table} c
      ) numbered`,
  }),
  keyOf: file => file.description,
  checksumOf: file => digestOf('sha1', file.source),
  coversEarlier: false,
  add: async () => '',
  remove: () => '',
}
