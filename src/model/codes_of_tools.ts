/** Findings about other migration tools and repairs of the ledger, with their usual levels. */
export const toolCodes = {
  EXPORTED: 'info',
  EXPORT_HELD: 'info',
  EXPORT_CONFLICT: 'error',
  APPLIED_ELSEWHERE: 'refused',
  HISTORY_BEHIND: 'warn',
  FOLDER_NOT_READ: 'info',
  ELSEWHERE_FAILED: 'refused',
  ELSEWHERE_CHANGED: 'refused',
  HISTORY_NOT_KEPT: 'error',
  REPAIRED: 'info',
  REPAIR_NEEDLESS: 'info',
} as const
