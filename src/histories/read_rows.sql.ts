import type { HistoryRow, ToolHistory } from './tool_history.js'

/** What a row of a tool's history says, each as an SQL expression over it. */
interface RowExpressions {
  key: string
  /** Every row is of a file that was applied, unless this says otherwise. */
  state?: string
  /** The tool notes none, unless this says otherwise. */
  checksum?: string
  /** The tool notes no time, unless this says otherwise. */
  at?: string
  /** The rows that count, from the history's table; all of them by default. */
  from?: (table: string) => string
}

/** Reads the history of a tool that keeps it in rows of one table. */
export const readRows =
  ({
    key,
    state = "'applied'",
    checksum = 'null::text',
    at = 'null::text',
    from = table => table,
  }: RowExpressions): ToolHistory['read'] =>
  async (sql, table) =>
    sql.unsafe<HistoryRow[]>(
      `select ${key} as key, ${state} as state, ${checksum} as checksum, ${at} as at from ${from(table)}`,
    )
