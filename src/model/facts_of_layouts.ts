import type { Reason, WithSql } from './fact_shapes.js'

/** Facts of the findings about files of other tools, by code. */
export interface FactsOfLayouts {
  LAYOUT: {
    /** The tool whose files they are. */
    tool: string
    /** Folder of the files, seen from the folder that was named. */
    folder: string
    migrations: number
    /** How many of them have a way back. */
    reversible: number
  }
  LAYOUT_UNCLEAR: {
    /** Folders that both have it; none where nothing has it. */
    folders: string[]
  }
  BAD_LAYOUT: Reason
  UNNUMBERED_FILE: {
    /** The shape that the tool wants the name to have. */
    wanted: string
  }
  NOT_IN_JOURNAL: {
    /** Path of the journal. */
    journal: string
  }
  MIXED_DIGITS: {
    /** Path of the file that comes before it. */
    before: string
    compares: 'text' | 'numbers' | 'times'
  }
  NOT_SQL: {
    /** The tool that runs it. */
    tool: string
  }
  ONE_WAY: {
    /** The first of them, ten at most. */
    migrations: string[]
    count: number
  }
  OWN_TRANSACTIONS: WithSql
  PART_CHANGED: {
    /** Number of the statement, from 1. */
    statement: number
  } & WithSql
  PARTLY_APPLIED: {
    /** How many statements are done and stay done. */
    done: number
    of: number
    /** First lines of those, in their order. */
    statements: string[]
  }
}
