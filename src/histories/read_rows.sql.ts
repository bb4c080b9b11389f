import type { HistoryRow, ToolHistory } from './tool_history.js'

/** The parts of a history row, as SQL expressions over it. */
interface RowExpressions {
  key: string
  /** By default, every row is of an applied file. */
  state?: string
  /** By default, the tool records none. */
  checksum?: string
  /** By default, the tool records no time. */
  at?: string
  /** The rows that count, given the history's table. By default, all. */
  from?: (table: string) => string
}

/** Reads the history of a tool that has one table with rows. */
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
