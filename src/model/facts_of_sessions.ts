import type { NoFacts, Reason, Some } from './fact_shapes.js'

/** The table that was searched. */
type InTable = { table: string }

/** Facts of the findings about single sessions, by code. */
export interface FactsOfSessions {
  NO_SESSIONS_TABLE: NoFacts
  NO_SUCH_SESSION: InTable
  NO_SESSION_HAS: InTable
  NO_SESSION_FOUND: {
    /** What a list leaves out by default, such as `sessions marked as deleted`. */
    hidden: string[]
  }
  SESSIONS_HIDDEN: {
    /** The role of the connection. */
    role: string
  }
  SEARCH_SCANS: {
    /** Estimated rows of the table; null if it was never analyzed. */
    rows: number | null
    /** The column with the messages' texts; null if they are elements of a JSON array. */
    column: string | null
  }
  SEARCH_TOO_SLOW: {
    seconds: number
    /** The column with the messages' texts; null if they are elements of a JSON array. */
    column: string | null
  } & InTable
  SESSION_TOO_LARGE: { mostMiB: number }
  BAD_SESSION_FILE: Reason
  SESSION_FROM_ELSEWHERE: {
    /** Differences between the file and this database. */
    differs: Some
  }
  SESSION_EXISTS: {
    /** Differences between the file and the existing rows, by table. */
    differs: Some
    /** True if the session itself exists, not only rows that belong to it. */
    session: boolean
  }
  SESSION_NOT_PUT: Reason
  SESSION_THERE: InTable
  SESSION_PUT: {
    rows: number
    /** The source: the file, the archive, or the column that marks deletion. */
    from: string
    /** Columns that the track derives from other rows and whose values differ from before. */
    derived: string[]
  }
}
