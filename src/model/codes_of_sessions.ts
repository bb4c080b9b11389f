/** Findings about single sessions, with their usual levels. */
export const sessionCodes = {
  NO_SESSIONS_TABLE: 'error',
  NO_SUCH_SESSION: 'error',
  NO_SESSION_HAS: 'info',
  NO_SESSION_FOUND: 'info',
  SESSIONS_HIDDEN: 'warn',
  SEARCH_SCANS: 'info',
  SEARCH_TOO_SLOW: 'error',
  SESSION_TOO_LARGE: 'error',
  BAD_SESSION_FILE: 'error',
  SESSION_FROM_ELSEWHERE: 'refused',
  SESSION_EXISTS: 'refused',
  SESSION_NOT_PUT: 'refused',
  SESSION_THERE: 'info',
  SESSION_PUT: 'info',
  PRUNABLE: 'info',
  PRUNED: 'info',
} as const
