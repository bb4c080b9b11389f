/** The facts of a code that has none besides its subject. */
export type NoFacts = Record<string, never>

/** Codes that a comment in the SQL can excuse: `-- allow <code>: <reason>`. */
export type Excusable = {
  /** The reason that the comment gives; null if there is no such comment. */
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

/** Why a file has no statement, such as `only comments`; null if it is empty. */
export type Emptiness = {
  reason: string | null
}

/** Objects of a report, each with a prefix: `+` new, `-` removed, `~` changed. */
export type Differences = {
  objects: string[]
}

/** A list with at least one entry. */
export type Some = [string, ...string[]]

/** A number of rows. */
export type Rows = {
  rows: number
}

/** The next command to run, ready to paste. */
export type Next = {
  command: string
}

/** Where a rehearsal ran: on the target in a transaction that was rolled back, or on a copy. */
export type RehearsedOn = 'target' | 'copy'

/** What `prune` would do or did. */
export type Pruning = {
  count: number
  /** What is counted: `session` or `archive`. */
  what: string
  /** What happens to it, such as `deleted with their messages`. */
  how: string
}
