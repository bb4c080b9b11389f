import type { ConfigValues } from '../files/config.js'
import type { HazardCode } from '../model/codes.js'
import type { Event } from '../model/event.js'
import type { Pin } from '../model/pin.js'
import type { Phase } from '../model/project.js'
import type { KeptProof } from '../model/proof.js'

/** Options of `openProject`. It reads no environment variables, and no files that are not named here. */
export interface OpenProjectOptions {
  /** The target, as `postgres://user:password@host:5432/database`. Required unless `embedded` is true. */
  databaseUrl?: string | undefined
  /**
   * Folder with migrations/, rollbacks/ and verify/. Default: `dir` of the configuration, else the tracks
   * that come with the package.
   */
  dir?: string | undefined
  /**
   * The layout of the files, such as `supabase` or `dbmate`. Default: `layout` of the configuration, else it
   * is detected.
   */
  layout?: string | undefined
  /**
   * Name of the track. Default: that of the configuration, else the ledger’s, else the only
   * one that fits the database.
   */
  track?: string | undefined
  /**
   * Settings for the SQL files, such as `{ retention: '90d' }`. They take precedence over the configuration.
   */
  settings?: Record<string, string> | undefined
  /** Path of a rethread.config.json, or its values. Default: none. */
  config?: string | ConfigValues | undefined
  /**
   * Start a PostgreSQL server under .rethread/ in the working directory. `close()` stops it. Default: false.
   */
  embedded?: boolean | undefined
  /** How long a call that writes waits for another run, in seconds; 0 for no wait. Default: 60. */
  lockWaitSeconds?: number | undefined
  /** The reason for the runs of this project, for the ledger. */
  reason?: string | undefined
  /** The person who makes them, for the ledger. Default: the user of the operating system. */
  who?: string | undefined
  /** Called for progress. If it throws, the run continues, and the call rejects with the error at the end. */
  onEvent?: ((event: Event) => void) | undefined
  /** When it fires, a running call finishes its batch, saves its state and reports `interrupted`. */
  signal?: AbortSignal | undefined
}

/**
 * Consent by name. Without the necessary consent a call changes nothing and reports `refused` with what it
 * needs.
 */
export interface ConsentRequest {
  /** Allowed hazards. Default: none. */
  allow?: HazardCode[] | undefined
  /** Name of the database, if data would be dropped. */
  confirm?: string | undefined
  /**
   * The highest number of rows for `QUARANTINES_ROWS`, as the fact `rows` of `CONSENT_NEEDED` gives it.
   * Default: the number in the last report.
   */
  rows?: number | undefined
}

/** How far `migrate` and `plan` go. */
export interface TargetRequest {
  /** Apply up to and including this migration: its version, its name, or its name without the version. */
  to?: string | undefined
  /** Apply up to this phase. Default: up to the first step that the old application would not survive. */
  phase?: Phase | undefined
  /** False to stop before the first backfill. Default: true. */
  backfills?: boolean | undefined
  consent?: ConsentRequest | undefined
}

/** How much of the server's capacity a backfill uses. */
export interface PaceRequest {
  /** Connections that share a backfill, and cores that build an index. Default: 1. */
  workers?: number | undefined
  /**
   * How long to rest, as a multiple of the work, from 0 to 100; 1 means half of the time. Default: 0, and 1.5
   * beside other active sessions.
   */
  nice?: number | undefined
  /** A query. While its first value is true or above zero, the backfill waits. */
  throttleQuery?: string | undefined
}

/** Options of `plan`. */
export interface PlanRequest extends TargetRequest {
  /** Also run some batches of each backfill and roll them back, to measure time and WAL. Default: false. */
  sample?: boolean | undefined
  /** Also execute the plan here, in one transaction that is rolled back. Default: false. */
  rehearse?: boolean | undefined
  /** Execute it on this copy of the database instead, such as a branch or a restored backup. */
  rehearseUrl?: string | undefined
  /** Also show who sees which rows now and after each step. Default: false. */
  visibility?: boolean | undefined
  /** SQL of the current application, tried after each phase of a rehearsal. */
  oldApp?: string | undefined
  /** SQL of the next application, tried after all steps of a rehearsal. */
  newApp?: string | undefined
  /** Add a `pin` to the report, for `migrate`. Default: false. */
  pin?: boolean | undefined
}

/** Options of `migrate`. */
export interface MigrateRequest extends TargetRequest, PaceRequest {
  /**
   * A pinned plan, from `plan({ pin: true })`. The call is refused if anything has changed since. It also
   * says how far to go.
   */
  pin?: Pin | undefined
}

/** Options of `baseline`. */
export interface BaselineRequest {
  /** Record as applied everything up to and including this migration. */
  to: string
}

/** Options of `adopt`. */
export interface AdoptRequest {
  /** Adopt up to and including this migration. Default: as far as its work is done. */
  to?: string | undefined
}

/** Options of `repair`. Its reason is that of `openProject`. */
export interface RepairRequest {
  /** Its name or version. */
  migration: string
  /** Its new state in the ledger. */
  as: 'applied' | 'not applied'
  consent?: ConsentRequest | undefined
}

/** Options of `backfill`. */
export interface BackfillRequest extends PaceRequest {
  /** Canary: only rows of this workspace. The backfill stays unfinished. */
  workspace?: string | undefined
  /** Stop after about this number of rows. The backfill stays unfinished. */
  maxRows?: number | undefined
  /** End a pause first. Default: false. */
  resume?: boolean | undefined
  consent?: ConsentRequest | undefined
}

/** Options of `verify`. */
export interface VerifyRequest {
  /** Names of checks. Default: all. */
  only?: string[] | undefined
  /** The lowest level that fails. Default: `error`. */
  failOn?: 'warn' | 'error' | undefined
  /** Compare what this number of real users see with the track's rule. Default: 0. */
  sample?: number | undefined
  /** Also count and hash the results of backfills again. Default: false. */
  deep?: boolean | undefined
  /** Also show what this user sees. */
  asUser?: string | undefined
}

/** Options of `prove`. */
export interface ProveRequest {
  /** Number of real users whose visible rows are compared with the track's rule. Default: 5. */
  sample?: number | undefined
  /** Add `proof` to the report, to be kept. Default: false. */
  proof?: boolean | undefined
  /** An earlier proof. The report says what has changed since. */
  against?: KeptProof | undefined
}

/** Options of `rollback` and `planRollback`: exactly one of `to`, `steps` and `all`. */
export interface RollbackRequest {
  /** Undo back to this migration, which stays applied. */
  to?: string | undefined
  /** Undo this number of migrations. */
  steps?: number | undefined
  /** Undo everything. Default: false; for `planRollback`, true without `to` and `steps`. */
  all?: boolean | undefined
  consent?: ConsentRequest | undefined
}

/** Options of calls for a scratch database. They need its name in `consent.confirm`. */
export interface ScratchRequest {
  consent?: ConsentRequest | undefined
}

/** Options of `restore`. */
export interface RestoreRequest {
  /** Name of the archive, such as `r12`, or `latest`. */
  archive: string
  consent?: ConsentRequest | undefined
}

/** Options of `showQuarantined`. */
export interface QuarantinedRequest {
  /** Number of the row from `listQuarantine`: `12`, or `f3` for a failed row. */
  id: string
}

/** Options of `retryQuarantined`. */
export interface RetryRequest {
  /** Only rows with exactly this reason. Default: all. */
  reason?: string | undefined
  consent?: ConsentRequest | undefined
}

/** Options of `assignQuarantined`. */
export interface AssignRequest extends RetryRequest {
  /** The workspace for the rows. */
  workspace: string
}

/** Options of `countSessions`. */
export interface CountSessionsRequest {
  /** Only sessions with one of these values, by the track's names of columns: `{ user: ['u1'] }`. */
  filter?: Record<string, string[]> | undefined
  /** Only sessions active since then: a time such as `2026-01-31T18:00Z`, or `7d`, `12h`. */
  since?: string | undefined
  /** Only sessions with this text in their title or a message. */
  search?: string | undefined
  /** Time limit of a search, in seconds. Default: 30. */
  within?: number | undefined
  /** Also sessions that are marked as deleted. Default: false. */
  withDeleted?: boolean | undefined
}

/** Options of `sessions`. */
export interface SessionsRequest extends CountSessionsRequest {
  /** Number of sessions, the most recent first. Default: 50. */
  limit?: number | undefined
  /** All columns of a session, not only the usual ones. Default: true. */
  allFields?: boolean | undefined
}

/** Options of `session`. */
export interface SessionRequest {
  /** Its id. */
  id: string
  /** Number of its newest messages; null for all. Default: 20. */
  limit?: number | null | undefined
}

/** Options of `exportSession`. */
export interface ExportSessionRequest {
  /** Its id. */
  id: string
}

/** Options of `importSession`. */
export interface ImportSessionRequest {
  /** The text of `session` in the report of `exportSession`, or of a file that the command wrote. */
  session: string
  consent?: ConsentRequest | undefined
}

/** Options of `recoverSession`. */
export interface RecoverSessionRequest {
  /** Its id. */
  id: string
  consent?: ConsentRequest | undefined
}

/** Options of `prune`. */
export interface PruneRequest {
  /**
   * Prune sessions that were last used, or archives that were made, before this number of days ago. Default:
   * the setting `retention`; none for archives.
   */
  olderThanDays?: number | undefined
  /** True to prune; otherwise nothing is changed. Default: false. */
  apply?: boolean | undefined
  /** Delete sessions with everything that depends on them. `restore` can restore them. Default: false. */
  delete?: boolean | undefined
  /** Mark sessions as deleted, if the track has a column for it. Default: false. */
  soft?: boolean | undefined
  /** Drop old archives of rollbacks instead of pruning sessions. Default: false. */
  archives?: boolean | undefined
  consent?: ConsentRequest | undefined
}
