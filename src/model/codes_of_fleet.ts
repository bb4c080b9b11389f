/** Findings of a command over many databases, with their usual levels; `codes` has them all. */
export const fleetCodes = {
  BAD_TARGETS: 'error',
  TARGETS_READABLE: 'warn',
  TARGET_TWICE: 'refused',
  TARGET_LATE: 'warn',
  NOT_STARTED: 'warn',
  MORE_FINDINGS: 'info',
} as const
