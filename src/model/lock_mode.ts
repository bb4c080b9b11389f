/** PostgreSQL's table lock modes, weakest first. Source: its documentation, chapter Explicit Locking. */
export const lockModes = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const

/** One of them. */
export type LockMode = (typeof lockModes)[number]

/**
 * Which of the application's statements wait while a lock is held. Source: the table of conflicts in the same
 * chapter.
 */
export const blocks = (mode: LockMode): 'reads and writes' | 'writes' | 'nothing' =>
  mode === 'ACCESS EXCLUSIVE'
    ? 'reads and writes'
    : lockModes.indexOf(mode) >= lockModes.indexOf('SHARE')
      ? 'writes'
      : 'nothing'

/** True when the first mode is stronger than the second. */
export const isStronger = (a: LockMode, b: LockMode): boolean => lockModes.indexOf(a) > lockModes.indexOf(b)

/** A lock on one table. `by` is the cause, in words. */
export interface Taken {
  table: string
  mode: LockMode
  by?: string
}

/** Locks in the same mode on several tables. */
export const lockAll = (tables: string[], mode: LockMode, by?: string): Taken[] =>
  tables.map(table => ({ table, mode, ...(by === undefined ? {} : { by }) }))
