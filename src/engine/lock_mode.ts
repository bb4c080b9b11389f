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

/** Which of an application's statements wait while a mode is held. Source: the same chapter's table of conflicts. */
export const blocks = (mode: LockMode): 'reads and writes' | 'writes' | 'nothing' =>
  mode === 'ACCESS EXCLUSIVE'
    ? 'reads and writes'
    : lockModes.indexOf(mode) >= lockModes.indexOf('SHARE')
      ? 'writes'
      : 'nothing'

/** True when the first mode is stronger than the second. */
export const isStronger = (a: LockMode, b: LockMode): boolean => lockModes.indexOf(a) > lockModes.indexOf(b)
