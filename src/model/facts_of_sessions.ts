import type { NoFacts, Reason, Some } from './fact_shapes.js'

/** The table in which something was looked for. */
type InTable = { table: string }

/** Facts of the findings about single sessions, by code. */
export interface FactsOfSessions {
  NO_SESSIONS_TABLE: NoFacts
  NO_SUCH_SESSION: InTable
  NO_SESSION_HAS: InTable
  NO_SESSION_FOUND: {
    /** What a list leaves out that is not asked for it, such as `sessions marked as deleted`. */
    hidden: string[]
  }
  SESSIONS_HIDDEN: {
    /** The role of the connection. */
    role: string
  }
  SEARCH_SCANS: {
    /** Rows of the table as the planner knows them; null where it was never analyzed. */
    rows: number | null
    /** The column of the messages' texts; null where they are elements of a JSON array. */
    column: string | null
  }
  SEARCH_TOO_SLOW: {
    seconds: number
    /** The column of the messages' texts; null where they are elements of a JSON array. */
    column: string | null
  } & InTable
  SESSION_TOO_LARGE: { mostMiB: number }
  BAD_SESSION_FILE: Reason
  SESSION_FROM_ELSEWHERE: {
    /** What is not as in this database. */
    differs: Some
  }
  SESSION_EXISTS: {
    /** What is not as in the file, by table. */
    differs: Some
    /** Whether the session itself is there, and not only rows that belong to it. */
    session: boolean
  }
  SESSION_NOT_PUT: Reason
  SESSION_THERE: InTable
  SESSION_PUT: {
    rows: number
    /** The file, the archive, or the column with the mark of the deletion. */
    from: string
    /** Columns whose values the track derives from other rows, and which are not as they were. */
    derived: string[]
  }
}
