/** The facts of a code that needs none: its subject says it all. */
export type NoFacts = Record<string, never>

/** Codes that a comment in the SQL can excuse: `-- allow <code>: <reason>`. */
export type Excusable = {
  /** The reason that the comment gives; null where nobody excused it. */
  excused: string | null
}

/** Why something is wrong, as the end of a sentence: lower case, no full stop. */
export type Reason = {
  reason: string
}

/** A statement in a file, by its first line. */
export type WithSql = {
  sql: string
}

/** Why a file has no statement, such as `only comments`; null where it is empty. */
export type Emptiness = {
  reason: string | null
}

/** Objects that a report shows, each with `+` (new), `-` (gone) or `~` (defined otherwise) in front. */
export type Differences = {
  objects: string[]
}

/** A list that is never empty. */
export type Some = [string, ...string[]]

/** Rows that a finding counts. */
export type Rows = {
  rows: number
}

/** What to paste to go on. */
export type Next = {
  command: string
}

/** Where a rehearsal ran: on the target, in a transaction that was rolled back, or on a copy. */
export type RehearsedOn = 'target' | 'copy'

/** What `prune` would do or did. */
export type Pruning = {
  count: number
  /** What is counted: `session`, or `archive`. */
  what: string
  /** What becomes of it, as `deleted with their messages`. */
  how: string
}
