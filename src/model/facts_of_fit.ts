import type { NoFacts, Some } from './fact_shapes.js'

/** Facts of the findings about how a track fits a database, and what of it is there already, by code. */
export interface FactsOfFit {
  ELEMENTS_SET_ASIDE: {
    /** How many of those that were looked at, and how many these are. */
    elements: number
    of: number
    /** The shapes of those that are set aside; `unknown` is one. */
    shapes: Some
  }
  DISTRIBUTED_TABLE: {
    /** The column that says on which server a row is; null for a table that every server has as a whole. */
    column: string | null
    /** What the files would have to say otherwise, a line each. */
    needs: string[]
    migration: string
  }
  UNFIT_TABLE: {
    is: 'foreign' | 'typed' | 'partition' | 'subscribed'
    /** The server, type, partitioned table or subscription that it depends on, as SQL. */
    of: string
    migration: string
  }
  /** A column that the server computes, and the file that writes it. */
  GENERATED_COLUMN: { table: string; column: string; migration: string }
  NEAREST_TRACK: {
    /** Roles of the track: tables, columns and who asks; and for how many of them something was found. */
    roles: number
    found: number
    /** What differs from the database that the track is written for, a line each. */
    differs: string[]
    /** The command that copies the track under the names of the database. */
    command: string
  }
  WITHOUT_API: {
    /** Roles of the application, as SQL, that get what they have on messages. */
    roles: string[]
    /** True where the tables have row security, which the copy's own tables have too. */
    secured: boolean
  }
  GRANTED_IN_PART: {
    /** The role, as SQL, and the privilege that it has on some columns. */
    role: string
    privilege: string
    /** The table of the messages, and its columns that the role has it on. */
    messages: string
    on: string[]
    /** Columns of the new table that it gets it on. */
    gets: string[]
  }
  MAPPING_UNUSED: {
    /** Keys of the mapping. */
    roles: string[]
  }
  MAPPING_OPEN: {
    /** Roles that a person must name, and for each the most likely name; empty where there is none. */
    roles: string[]
    names: string[]
    /** What there is to choose from and why, a line for each role. */
    questions: string[]
    /** The command with everything that was found. */
    command: string
  }
  MAPPING_DIFFERS: {
    /** The binding that the track was written with, and that of today, as JSON; null where there is none. */
    written: string | null
    now: string | null
    /** Files of the track that it would change. */
    files: string[]
  }
  MAPPING_HOLDS: { names: number }
  ADOPT_DIFFERS: {
    /** Numbers of differences, and of those that are not in the fix-up. */
    differences: number
    choices: number
    track: string
    /** The migration that was asked for; null for as far as its work is done. */
    to: string | null
  }
  ADOPT_CHOICE: {
    reason: string
    /** SQL that would settle it. */
    choice: string
  }
  ADOPT_LOST_TABLE: {
    track: string
    /** The table that has all of its columns; null where none has. */
    renamed: string | null
    /** SQL that gives that table its name back. */
    rename: string | null
    /** SQL of an empty table of that name. */
    empty: string
  }
  /** Objects on the track's own tables that the files do not make. */
  ADOPT_BESIDE: { objects: string[] }
  ADOPT_NOT_COMPARED: { statements: string[] }
  ADOPT_NOTHING: NoFacts
}
