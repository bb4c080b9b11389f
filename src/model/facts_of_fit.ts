import type { NoFacts, Some } from './fact_shapes.js'

/** Facts of the findings about how a track fits a database, and about what exists already, by code. */
export interface FactsOfFit {
  ELEMENTS_SET_ASIDE: {
    /** The number of these elements, and of all that were read. */
    elements: number
    of: number
    /** The shapes of these elements; one may be `unknown`. */
    shapes: Some
    /** Roles that are not known, each with what it may be: `client=user`. */
    roles: string[]
  }
  DISTRIBUTED_TABLE: {
    /**
     * The column that decides on which server a row is; null for a table that every server has as a whole.
     */
    column: string | null
    /** What the files would have to change, one line each. */
    needs: string[]
    migration: string
  }
  UNFIT_TABLE: {
    is: 'foreign' | 'typed' | 'partition' | 'subscribed' | 'view'
    /** What it depends on, as SQL: server, type, partitioned table, subscription, or the tables of a view. */
    of: string
    migration: string
  }
  /** A generated column, and the file that writes it. */
  GENERATED_COLUMN: { table: string; column: string; migration: string }
  WRONG_TYPE: {
    /** The type of the column, and the types of which it needs one. */
    found: string
    wanted: Some
    /** Of a column that names rows: the ids that it names, as SQL, whose type it has not. */
    ids?: string
    /** The statement that gives it their type; null where something is in its way. */
    change?: string | null
  }
  TRACK_UNCLEAR: {
    reason: string
    /** Candidates. */
    tracks: string[]
    /** The command that copies the nearest track, if none fits; null if none is near. */
    command: string | null
    /** The command that takes one of them, without `--track`. */
    ask: string
  }
  FITS_AS_COPY: {
    /** Columns whose values the files read and write only in a copy. */
    columns: Some
    /** The command that writes the copy. */
    command: string
  }
  NEAREST_TRACK: {
    /** The number of the track's roles (tables, columns, the current user), and how many were found. */
    roles: number
    found: number
    /** The differences from what the track expects, one line each. */
    differs: string[]
    /** True if the command is refused until types of columns are changed, as the differences say. */
    typesFirst: boolean
    /** The command that copies the track under the names of the database. */
    command: string
  }
  SESSIONS_ALREADY: {
    /** The table of messages. */
    messages: string
    /** The column of the container that names its owner. */
    owner: string
    /** The column of messages that names an author; null if there is none. */
    author: string | null
  }
  QUESTION_AND_ANSWER: {
    /** The column with what a person said. */
    question: string
    /** The column with what they got back. */
    answer: string
  }
  WITHOUT_API: {
    /** Roles of the application, as SQL, that get the rights that they have on messages. */
    roles: string[]
    /** True if the tables have row security. The tables of the copy have it too, then. */
    secured: boolean
  }
  GRANTED_IN_PART: {
    /** The role, as SQL, and a privilege that it has on some columns. */
    role: string
    privilege: string
    /** The table of messages, and its columns with that privilege. */
    messages: string
    on: string[]
    /** Columns of the new table that get the privilege. */
    gets: string[]
  }
  MAPPING_UNUSED: {
    /** Keys of the mapping. */
    roles: string[]
  }
  MAPPING_OPEN: {
    /** Roles that a person must name. For each the most likely name, empty if there is none. */
    roles: string[]
    names: string[]
    /** The candidates and the reasons, one line for each role. */
    questions: string[]
    /** The command with all names that were found. */
    command: string
  }
  MAPPING_DIFFERS: {
    /** The binding that the track was written with and the current one, as JSON; null if there is none. */
    written: string | null
    now: string | null
    /** Files of the track that it would change. */
    files: string[]
    /** The command that writes the track as the database now needs it, without the folder for it. */
    command: string
  }
  MAPPING_HOLDS: { names: number }
  ADOPT_DIFFERS: {
    /** The number of differences, and of those that the fix-up does not include. */
    differences: number
    choices: number
    track: string
    /** The requested migration; null for the last one whose work is done. */
    to: string | null
  }
  ADOPT_CHOICE: {
    reason: string
    /** SQL that would resolve it. */
    choice: string
  }
  ADOPT_LOST_TABLE: {
    track: string
    /** A table that has all of its columns; null if there is none. */
    renamed: string | null
    /** SQL that renames that table. */
    rename: string | null
    /** SQL that creates an empty table with the name. */
    empty: string
  }
  /** Objects on the track's own tables that the files do not make. */
  ADOPT_BESIDE: { objects: string[] }
  ADOPT_NOT_COMPARED: { statements: string[] }
  ADOPT_NOTHING: NoFacts
}
