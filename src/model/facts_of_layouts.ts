import type { Reason, WithSql } from './fact_shapes.js'

/** Facts of the findings about files of other tools, by code. */
export interface FactsOfLayouts {
  LAYOUT: {
    /** The tool whose files they are. */
    tool: string
    /** Folder of the files, relative to the named folder. */
    folder: string
    migrations: number
    /** How many of them have a rollback. */
    reversible: number
  }
  LAYOUT_UNCLEAR: {
    /** Folders that both contain it. Empty if none does. */
    folders: string[]
  }
  BAD_LAYOUT: Reason
  UNNUMBERED_FILE: {
    /** The pattern that the tool requires of the name. */
    wanted: string
  }
  NOT_IN_JOURNAL: {
    /** Path of the journal. */
    journal: string
  }
  MIXED_DIGITS: {
    /** Path of the file before it. */
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
    /** How many statements are finished and remain. */
    done: number
    of: number
    /** First lines of these statements, in order. */
    statements: string[]
  }
}
