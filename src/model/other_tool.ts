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

/** A file as another tool names it in its history. */
export interface ToolFile {
  /** Version as the tool writes it; empty for a file without one. */
  version: string
  description: string
  /** The name by which the tool calls the file: its path, its folder or its tag. */
  script: string
  /** The whole text, as it is on disk. */
  source: string
  /** True for a file that is applied again whenever it has changed. */
  repeatable: boolean
  /** Milliseconds since 1970 that the tool's journal gives the file, else null. */
  at: number | null
}

/** Another tool that keeps a history of what a track holds. */
export interface OtherTool {
  name: HistoryTool
  /** The files of a migration, by its name, as that tool knows them; none where it has none. */
  filesOf(migration: string): readonly ToolFile[]
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
