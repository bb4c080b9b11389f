import type { Finding } from './facts.js'
import type { ForeignFile } from './foreign.js'

/** The migration tools whose histories are read, by the names of their layouts. */
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

/** Another tool that keeps a history of what a track holds. */
export interface OtherTool {
  name: HistoryTool
  /** The files of a migration, by its name, as that tool knows them; none where it has none. */
  filesOf(migration: string): readonly ForeignFile[]
  /** Whether its table is written as steps are applied; rows of a step that is undone go in any case. */
  writes: boolean
}

/** What another tool's history says of one migration. */
export interface Elsewhere {
  tool: HistoryTool
  /**
   * `applied`: all of its files; `partly`: some of them; `failed`: a row says that one of them did not end;
   * `changed`: a file differs from what the row was written for.
   */
  state: 'applied' | 'partly' | 'failed' | 'changed'
  /** Keys of the rows, as the tool writes them. */
  rows: string[]
  /** When the last of them was written, as the table has it; null where it does not say. */
  at: string | null
}

/** What a track has to do with another tool. */
export interface BesideTrack {
  /** Another tool that keeps a history of the same files; left out where there is none. */
  otherTool?: OtherTool
  /** Why the history that is wanted beside the ledger can't be written; left out where it can. */
  unkept?: Finding
}
