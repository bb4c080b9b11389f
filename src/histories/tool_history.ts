import type { Db } from '../database/types.js'
import type { ForeignFile } from '../model/foreign.js'

/** A row of another tool's history. */
export interface HistoryRow {
  /** The tool's identifier of a file in its table: a version or a name. */
  key: string
  /** `failed`: it began and did not finish. */
  state: 'applied' | 'failed'
  /** What the tool recorded about the file's text, to detect a change; null if nothing. */
  checksum: string | null
  /** The time in the table; null if there is none. */
  at: string | null
}

/** What a row contains besides the file. */
interface Around {
  /** The history's table, as SQL. */
  table: string
  /** The file that is applied before this one; null for the first. */
  before: ForeignFile | null
}

/**
 * The history that one tool keeps in a database. Each file of this folder is for one tool; `tools.ts` lists
 * them. Texts that write are statements for the transaction of a step, with the values that the tool would
 * write.
 */
export interface ToolHistory {
  /** The schema in which the tool creates its table. */
  schema: string
  table: string
  /** Columns that distinguish the table from one with the same name, each with its type if that matters. */
  columns: Record<string, string | null>
  /** SQL that creates the table as the tool does; null if only the tool can write it. */
  create: ((table: string) => string) | null
  /** All rows that count, in any order. */
  read(sql: Db, table: string): Promise<HistoryRow[]>
  keyOf(file: ForeignFile): string
  /** The checksum that a row of the file would have; null if the tool records none. */
  checksumOf(file: ForeignFile): string | null
  /** Other checksums that the tool accepts for the file, for example with other line ends. */
  otherChecksumsOf?(file: ForeignFile): string[]
  /** True if a row also covers the files before it: the tool only has one row, for the newest file. */
  coversEarlier: boolean
  /** SQL that records the file as applied. */
  add(file: ForeignFile, around: Around): Promise<string>
  /** SQL that records it as not applied. */
  remove(file: ForeignFile, around: Around): string
}
