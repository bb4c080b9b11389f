import type { Finding } from './facts.js'
import type { ForeignFile } from './foreign.js'

/** The migration tools whose histories rethread reads, by the names of their layouts. */
export const historyTools = [
  'supabase',
  'dbmate',
  'golang-migrate',
  'goose',
  'flyway',
  'diesel',
  'drizzle',
  'prisma',
  'sequelize',
  'node-pg-migrate',
  'graphile-migrate',
  'sqitch',
] as const

/** The name of one. */
export type HistoryTool = (typeof historyTools)[number]

/** Another tool with a history of the same migrations. */
export interface OtherTool {
  name: HistoryTool
  /** The files of a migration in that tool. Empty if it has none. */
  filesOf(migration: string): readonly ForeignFile[]
  /**
   * Whether its history is written when steps are applied. Rows of an undone step are deleted in any case.
   */
  writes: boolean
}

/** What another tool's history records about one migration. */
export interface Elsewhere {
  tool: HistoryTool
  /**
   * `applied`: all of its files. `partly`: some of them. `failed`: a row says that one did not finish.
   * `changed`: a file differs from what was recorded.
   */
  state: 'applied' | 'partly' | 'failed' | 'changed'
  /** Keys of the rows, as the tool writes them. */
  rows: string[]
  /** When the last row was written, as the table has it; null if it has no time. */
  at: string | null
}

/** The relation of a track to another tool. */
export interface BesideTrack {
  /** Another tool with a history of the same files. Omitted if there is none. */
  otherTool?: OtherTool
  /** Why that history cannot be written. Omitted if it can. */
  unkept?: Finding
}
