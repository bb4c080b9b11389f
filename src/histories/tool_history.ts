import type { Db } from '../database/types.js'
import type { ForeignFile } from '../model/foreign.js'

/** A row of another tool's history. */
export interface HistoryRow {
  /** What the tool calls a file in its table: a version, a name. */
  key: string
  /** `failed`: it began and did not end well. */
  state: 'applied' | 'failed'
  /** What the tool has noted of the file's text, to tell whether it has changed; null for nothing. */
  checksum: string | null
  /** When, as the table has it; null where it does not say. */
  at: string | null
}

/** What a row says besides the file. */
interface Around {
  /** The history's table, as SQL. */
  table: string
  /** The file that is applied before this one; null for the first. */
  before: ForeignFile | null
}

/**
 * The history that one tool keeps in a database. A file of this folder is one tool; `tools.ts` lists them.
 * Texts that write are statements for the transaction of a step, with the values that the tool would write.
 */
export interface ToolHistory {
  /** Where the tool makes its table by itself. */
  schema: string
  table: string
  /** Columns that tell the table apart from one of the same name, each with its type where that matters. */
  columns: Record<string, string | null>
  /** Makes the table as the tool does; null for a tool whose table only it can write. */
  create: ((table: string) => string) | null
  /** Every row that counts, in any order. */
  read(sql: Db, table: string): Promise<HistoryRow[]>
  keyOf(file: ForeignFile): string
  /** What a row of the file would have as its checksum; null where the tool notes none. */
  checksumOf(file: ForeignFile): string | null
  /** Sums of the same text that the tool takes for the file too, such as with other line ends. */
  otherChecksumsOf?(file: ForeignFile): string[]
  /** True where a row covers the files before it too: the tool keeps one row, of the newest. */
  coversEarlier: boolean
  /** Says that the file is applied. */
  add(file: ForeignFile, around: Around): Promise<string>
  /** Says that it is not. */
  remove(file: ForeignFile, around: Around): string
}
