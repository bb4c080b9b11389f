/** How loud a finding is. `refused` is a guard that said no: exit code 3. */
export type Level = 'info' | 'warn' | 'error' | 'refused'

/**
 * Every finding that rethread can report, with its usual level. A finding is a fact (code, subject, facts):
 * its facts are typed in `facts.ts`, its sentence is in `render/words/`, and the compiler holds both to this
 * set of names.
 */
export const codes = {
  // files
  NO_TRACKS: 'error',
  DUPLICATE_VERSION: 'error',
  BAD_FILE_NAME: 'error',
  BAD_HEADER: 'error',
  EMPTY_FILE: 'error',
  NOT_UTF8: 'error',
  BAD_TRACK_INFO: 'error',
  BAD_EXPECTED: 'error',
  BAD_SETTING: 'refused',
  NO_TRACK_INFO: 'error',
  FILE_EXISTS: 'error',
  SEEN: 'info',
  COPIED: 'info',
  NO_SESSIONS_TABLE: 'error',
  NO_SUCH_SESSION: 'error',
  DROP_BEFORE_CREATE: 'error',
  SWALLOWED_EXCEPTION: 'warn',
  DEFINER_WITHOUT_SEARCH_PATH: 'warn',
  POLICY_WITHOUT_TO: 'warn',
  POLICY_WITHOUT_CHECK: 'warn',
  BULK_WRITE: 'warn',
  RLS_BEFORE_POLICIES: 'warn',
  CASCADING_DROP: 'warn',
  ENUM_VALUE_TOO_EARLY: 'warn',
  SQUAWK: 'warn',
  BYTE_ORDER_MARK: 'error',
  CR_IN_BODY: 'error',
  PSQL_META_COMMAND: 'error',
  SYNTAX: 'error',
  TRANSACTION_CONTROL: 'error',
  UNPROVABLE_STATEMENT: 'error',
  NEEDS_NO_TRANSACTION: 'error',
  NAME_TOO_LONG: 'error',
  BAD_BACKFILL: 'error',
  MISSING_ROLLBACK: 'error',
  EMPTY_ROLLBACK: 'error',
  ORPHAN_ROLLBACK: 'error',
  MISSING_VERIFY: 'error',
  PHASE_ORDER: 'error',
  UNKNOWN_REFERENCE: 'error',
  BAD_CONFIG: 'error',
  // history
  APPLIED_FILE_CHANGED: 'error',
  APPLIED_FILE_REFORMATTED: 'warn',
  APPLIED_FILE_MISSING: 'error',
  OUT_OF_ORDER: 'error',
  UNFINISHED: 'warn',
  NEWER_LEDGER: 'error',
  LEDGER_ABSENT: 'info',
  NOT_SAMPLED: 'info',
  BAD_PIN: 'error',
  PLAN_CHANGED: 'refused',
  PLAN_OUTDATED: 'refused',
  REHEARSED: 'info',
  OLD_APP_CHANGES: 'warn',
  REHEARSED_HERE: 'warn',
  REHEARSED_ELSEWHERE: 'warn',
  REHEARSAL_STUCK: 'warn',
  REHEARSAL_DIFFERS: 'warn',
  // target
  NO_DATABASE_URL: 'error',
  BAD_URL: 'error',
  NO_SERVER: 'error',
  WRONG_PASSWORD: 'error',
  NO_SUCH_DATABASE: 'error',
  CONNECTION_LOST: 'error',
  SERVER_TOO_OLD: 'error',
  SERVER_UNTESTED: 'warn',
  READ_ONLY_SERVER: 'error',
  TRANSACTION_POOLER: 'refused',
  POOL_USED_UP: 'error',
  MISSING_PRIVILEGE: 'refused',
  ROWS_HIDDEN: 'refused',
  MISSING_PREREQUISITE: 'refused',
  WRONG_TYPE: 'refused',
  ALREADY_EXISTS: 'refused',
  NAME_TAKEN: 'refused',
  NO_REPLICA_IDENTITY: 'refused',
  ROWS_VIOLATE: 'refused',
  ROWS_NOT_LOOKED_AT: 'warn',
  PARTITIONED_TABLE: 'refused',
  INHERITED_TABLE: 'refused',
  REWRITTEN_BY_RULE: 'refused',
  COUNTS_COLUMNS: 'refused',
  EVENT_TRIGGER_RAISES: 'refused',
  WOULD_FAIL: 'refused',
  NOT_REHEARSED: 'info',
  BASELINE_UNPROVEN: 'refused',
  ANOTHER_RUN: 'refused',
  TRACK_UNCLEAR: 'refused',
  OTHER_TRACK: 'info',
  NEAREST_TRACK: 'info',
  MAPPING_OPEN: 'refused',
  MAPPING_DIFFERS: 'warn',
  MAPPING_HOLDS: 'info',
  EVENT_TRIGGERS: 'info',
  PUBLISHED_TABLE: 'warn',
  FIRING_TRIGGERS: 'warn',
  OUTLOOK: 'warn',
  BLOCKER_NOW: 'warn',
  SERVER_STRAINED: 'warn',
  INVALID_INDEX: 'warn',
  FITS: 'info',
  // runs
  NOTHING_TO_DO: 'info',
  PENDING: 'warn',
  STOPPED_BEFORE: 'info',
  CONSENT_NEEDED: 'refused',
  LOCK_TIMEOUT: 'error',
  SQL_ERROR: 'error',
  TRIGGERS_RAISE: 'refused',
  LEFT_IN_PLACE: 'warn',
  ROLE_CHANGED: 'error',
  SETTINGS_LEAKED: 'warn',
  FOREIGN_INVALID_INDEX: 'error',
  DIFFERENT_DEFINITION: 'error',
  FENCED: 'error',
  GATE: 'error',
  INTERRUPTED: 'info',
  ROLLBACK_COST: 'info',
  QUARANTINED: 'warn',
  ROWS_FAILED: 'warn',
  ROWS_REFERENCED: 'refused',
  BACKFILL_REOPENED: 'info',
  NOT_RECHECKED: 'info',
  RELEASED: 'info',
  QUARANTINE_EMPTY: 'info',
  ASSIGNED: 'info',
  NO_SUCH_ROW: 'error',
  WORK_LEFT: 'warn',
  HELPED: 'info',
  NO_ROWS: 'info',
  // checks
  CHECK_FAILED: 'error',
  PROBE_SKIPPED: 'warn',
  POLICY_PER_ROW: 'warn',
  POLICY_SCANS: 'warn',
  ACCEPTANCE_OVER: 'warn',
  ACCEPTANCE_UNUSED: 'info',
  NO_ACCESS_FILE: 'error',
  RECOUNTED: 'info',
  NOT_ACCOUNTED: 'warn',
  NOTHING_CAME_IN: 'info',
  SEES_MORE: 'warn',
  SEES_LESS: 'warn',
  SAW_EVERYTHING: 'info',
  NO_SIGHTS: 'info',
  MUTANT_SURVIVED: 'warn',
  MUTANTS: 'info',
  NOTHING_APPLIED: 'warn',
  NO_CHECKS_RUN: 'warn',
  // rollback and restore
  TARGET_NEEDED: 'error',
  UNKNOWN_MIGRATION: 'error',
  AMBIGUOUS_MIGRATION: 'error',
  IRREVERSIBLE: 'refused',
  DESTROYS_UNARCHIVED: 'error',
  NO_WAY_BACK: 'refused',
  LEFT_ASIDE: 'warn',
  LOSS: 'warn',
  DEPENDANTS: 'refused',
  ARCHIVED: 'info',
  NO_ARCHIVE: 'error',
  ROLLED_BACK_EXACTLY: 'info',
  ROLLBACK_DIFFERS: 'warn',
  UNTESTED_ROLLBACK: 'warn',
  PRUNABLE: 'info',
  PRUNED: 'info',
  ARCHIVE_CHANGED: 'error',
  RESTORE_CONFLICT: 'warn',
  RESTORED: 'info',
  RESTORE_UNPROVEN: 'error',
  DRIFT: 'warn',
  DRIFT_UNKNOWN: 'warn',
  // usage and the rest
  DEMO_NEXT: 'info',
  DEMO_KEPT: 'info',
  USAGE: 'error',
  NO_EMBEDDED: 'error',
  EMBEDDED_FAILED: 'error',
  UNEXPECTED: 'error',
} as const satisfies Record<string, Level>

/** The name of a finding. */
export type Code = keyof typeof codes

/**
 * How bad a hazard is, the mildest first: the application feels it, it stands still or must be replaced, data
 * may be lost or seen by strangers.
 */
export const hazardLevels = ['felt', 'outage', 'loss'] as const

/** A level of hazards. */
export type HazardLevel = (typeof hazardLevels)[number]

/**
 * What a statement can do to a running application or to data. Codes are stable; `--allow` names
 * them. A run refuses without the name for every hazard of the configured level and above
 * (`consentFrom`, by default `outage`).
 */
export const hazards = {
  LOCKS_TABLE: 'felt',
  BLOCKS_WRITES: 'felt',
  SCANS_TABLE: 'felt',
  REWRITES_TABLE: 'outage',
  CANNOT_TELL: 'outage',
  ENDS_OLD_APP: 'outage',
  QUARANTINES_ROWS: 'loss',
  DELETES_DATA: 'loss',
  WIDENS_ACCESS: 'loss',
  HIDES_ROWS: 'loss',
  SHOWS_ROWS: 'loss',
  FIRES_TRIGGERS: 'loss',
  IGNORES_DRIFT: 'loss',
  IGNORES_RECENT_WRITES: 'loss',
  SKIPS_IRREVERSIBLE: 'loss',
  FILLS_DISK: 'loss',
  PRUNES_MOST: 'loss',
} as const satisfies Record<string, HazardLevel>

/** The name of a hazard. */
export type HazardCode = keyof typeof hazards

/** True when a hazard must be allowed by name where consent is wanted from a level on. */
export const needsConsent = (code: HazardCode, from: HazardLevel): boolean =>
  hazardLevels.indexOf(hazards[code]) >= hazardLevels.indexOf(from)

/** True when the text is the name of a hazard. */
export const isHazard = (name: string): name is HazardCode => Object.hasOwn(hazards, name)
