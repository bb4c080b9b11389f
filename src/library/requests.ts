import type { ConfigValues } from '../files/config.js'
import type { HazardCode } from '../model/codes.js'
import type { Event } from '../model/event.js'
import type { Pin } from '../model/pin.js'
import type { Phase } from '../model/project.js'
import type { KeptProof } from '../model/proof.js'

/**
 * What `openProject` is given. Nothing else is read: no environment variable and no
 * file that is not named here.
 */
export interface OpenProjectOptions {
  /** The target, as `postgres://user:password@host:5432/database`. Needed unless `embedded` is true. */
  databaseUrl?: string | undefined
  /**
   * Folder with migrations/, rollbacks/ and verify/. Default: `dir` of the configuration, else the tracks
   * that come with the package.
   */
  dir?: string | undefined
  /**
   * Whose files are in the folder, such as `supabase` or `dbmate`. Default: `layout` of the configuration,
   * else what they look like.
   */
  layout?: string | undefined
  /**
   * Name of the track. Default: that of the configuration, else the ledger’s, else the only
   * one that fits the database.
   */
  track?: string | undefined
  /**
   * Settings that the SQL files read, such as `{ retention: '90d' }`. They beat those of the configuration.
   */
  settings?: Record<string, string> | undefined
  /** Path of a rethread.config.json, or its values. Default: none. */
  config?: string | ConfigValues | undefined
  /**
   * Start a PostgreSQL of our own under .rethread/ in the current folder; `close()` stops it. Default: false.
   */
  embedded?: boolean | undefined
  /** How long a verb that writes waits for another run, in seconds; 0 is not at all. Default: 60. */
  lockWaitSeconds?: number | undefined
  /** Why the runs of this project are made; kept in the ledger. */
  reason?: string | undefined
  /** Who makes them; kept in the ledger. Default: the user of the operating system. */
  who?: string | undefined
  /**
   * Called for what happens on the way. An error that it throws ends no run: the verb
   * throws it when it has finished.
   */
  onEvent?: ((event: Event) => void) | undefined
  /** When it fires, a running verb finishes its batch, saves its state and reports `interrupted`. */
  signal?: AbortSignal | undefined
}

/**
 * What may happen, by name. Without it a verb that would need it changes nothing and reports
 * `refused` with what it needs.
 */
export interface ConsentRequest {
  /** Hazards that may happen. Default: none. */
  allow?: HazardCode[] | undefined
  /** Name of the database, where data would be dropped. */
  confirm?: string | undefined
  /**
   * Most rows that `QUARANTINES_ROWS` is for, as the fact `rows` of `CONSENT_NEEDED` names them. Default: as
   * many as the last report named.
   */
  rows?: number | undefined
}

/** How far `migrate` and `plan` go. */
export interface TargetRequest {
  /** Apply up to and including this migration: its version, its name, or its name without the version. */
  to?: string | undefined
  /** Apply up to this phase. Default: up to the first step that the old application would not survive. */
  phase?: Phase | undefined
  /** False stops before the first backfill. Default: true. */
  backfills?: boolean | undefined
  consent?: ConsentRequest | undefined
}

/** How much of the server a backfill takes. */
export interface PaceRequest {
  /** Connections that share a backfill, and cores that build an index. Default: 1. */
  workers?: number | undefined
  /**
   * Rest so many times as long as a batch works, 0 to 100: 1 is half duty. Default: 0, and
   * 1.5 beside others at work.
   */
  nice?: number | undefined
  /** A query of yours: while its first value is true or above zero, the backfill waits. */
  throttleQuery?: string | undefined
}

/** What `plan` is asked for. */
export interface PlanRequest extends TargetRequest {
  /** Also run some batches of each backfill and roll them back, to measure time and WAL. Default: false. */
  sample?: boolean | undefined
  /** Also execute the plan here, in one transaction that is rolled back. Default: false. */
  rehearse?: boolean | undefined
  /** Execute it on this copy of the database instead: a branch, a restored backup. */
  rehearseUrl?: string | undefined
  /** Also show who sees which rows now and after each step. Default: false. */
  visibility?: boolean | undefined
  /** SQL of the application of today, tried after each phase of a rehearsal. */
  oldApp?: string | undefined
  /** SQL of the application to be deployed, tried when all steps of a rehearsal have run. */
  newApp?: string | undefined
  /** Give the report a `pin`, which `migrate` can be held to. Default: false. */
  pin?: boolean | undefined
}

/** What `migrate` is asked for. */
export interface MigrateRequest extends TargetRequest, PaceRequest {
  /**
   * A pinned plan, of `plan({ pin: true })`: refused when anything has changed since.
   * It also says how far to go.
   */
  pin?: Pin | undefined
}

/** What `baseline` is asked for. */
export interface BaselineRequest {
  /** Record as applied everything up to and including this migration. */
  to: string
}

/** What `adopt` is asked for. */
export interface AdoptRequest {
  /** Adopt up to and including this migration. Default: as far as its work is done. */
  to?: string | undefined
}

/** What `repair` is asked for; the reason is that of `openProject`. */
export interface RepairRequest {
  /** Its name or version. */
  migration: string
  /** What the ledger is to say of it. */
  as: 'applied' | 'not applied'
  consent?: ConsentRequest | undefined
}

/** What `backfill` is asked for. */
export interface BackfillRequest extends PaceRequest {
  /** Canary: only rows of this workspace. The backfill stays open. */
  workspace?: string | undefined
  /** Stop after about so many rows. The backfill stays open. */
  maxRows?: number | undefined
  /** Lift a pause first. Default: false. */
  resume?: boolean | undefined
  consent?: ConsentRequest | undefined
}

/** What `verify` is asked for. */
export interface VerifyRequest {
  /** Names of checks. Default: all. */
  only?: string[] | undefined
  /** Lowest level that fails. Default: `error`. */
  failOn?: 'warn' | 'error' | undefined
  /** Also compare what so many real persons see with what they should. Default: 0. */
  sample?: number | undefined
  /** Also count and hash again what the backfills have left. Default: false. */
  deep?: boolean | undefined
  /** Also show what this person sees. */
  asUser?: string | undefined
}

/** What `prove` is asked for. */
export interface ProveRequest {
  /** Real persons that are compared with what they should see. Default: 5. */
  sample?: number | undefined
  /** Whether the report carries `proof`, to be kept. Default: false. */
  proof?: boolean | undefined
  /** A proof that was kept: the report says what has changed since. */
  against?: KeptProof | undefined
}

/** What `rollback` and `planRollback` are asked for: exactly one of `to`, `steps` and `all`. */
export interface RollbackRequest {
  /** Undo back to this migration, which stays. */
  to?: string | undefined
  /** Undo the last so many migrations. */
  steps?: number | undefined
  /** Undo everything. Default: false; for `planRollback`, true where neither `to` nor `steps` is given. */
  all?: boolean | undefined
  consent?: ConsentRequest | undefined
}

/** What a verb for a scratch database is asked for: it needs the database's name in `consent.confirm`. */
export interface ScratchRequest {
  consent?: ConsentRequest | undefined
}

/** What `restore` is asked for. */
export interface RestoreRequest {
  /** Name of the archive, such as `r12`, or `latest`. */
  archive: string
  consent?: ConsentRequest | undefined
}

/** What `showQuarantined` is asked for. */
export interface QuarantinedRequest {
  /** Number of the row, as `listQuarantine` gives it: `12`, or `f3` of a row that failed. */
  id: string
}

/** What `retryQuarantined` is asked for. */
export interface RetryRequest {
  /** Only rows with this reason, word for word. Default: all. */
  reason?: string | undefined
  consent?: ConsentRequest | undefined
}

/** What `assignQuarantined` is asked for. */
export interface AssignRequest extends RetryRequest {
  /** The workspace that the rows are given. */
  workspace: string
}

/** What `countSessions` is asked for. */
export interface CountSessionsRequest {
  /**
   * Only sessions with one of these values, by the names that the track gives its
   * columns: `{ user: ['u1'] }`.
   */
  filter?: Record<string, string[]> | undefined
  /** Only sessions active since: a time such as `2026-01-31T18:00Z`, or `7d`, `12h`. */
  since?: string | undefined
  /** Only sessions with this text in their title or a message. */
  search?: string | undefined
  /** How long a search may take, in seconds. Default: 30. */
  within?: number | undefined
  /** Also sessions that are marked as deleted. Default: false. */
  withDeleted?: boolean | undefined
}

/** What `sessions` is asked for. */
export interface SessionsRequest extends CountSessionsRequest {
  /** How many sessions, the most recent first. Default: 50. */
  limit?: number | undefined
  /** Every column of a session, not only the usual ones. Default: true. */
  allFields?: boolean | undefined
}

/** What `session` is asked for. */
export interface SessionRequest {
  /** Its id. */
  id: string
  /** How many of its messages, the newest; null for all. Default: 20. */
  limit?: number | null | undefined
}

/** What `exportSession` is asked for. */
export interface ExportSessionRequest {
  /** Its id. */
  id: string
}

/** What `importSession` is asked for. */
export interface ImportSessionRequest {
  /** The text of `session` in the report of `exportSession`, or of the file that the command writes. */
  session: string
  consent?: ConsentRequest | undefined
}

/** What `recoverSession` is asked for. */
export interface RecoverSessionRequest {
  /** Its id. */
  id: string
  consent?: ConsentRequest | undefined
}

/** What `prune` is asked for. */
export interface PruneRequest {
  /**
   * Sessions idle, or archives made, longer ago than so many days. Default: the setting
   * `retention`; none for archives.
   */
  olderThanDays?: number | undefined
  /** Do it; otherwise nothing is changed. Default: false. */
  apply?: boolean | undefined
  /** Delete sessions with what follows them; `restore` brings them back. Default: false. */
  delete?: boolean | undefined
  /** Mark sessions as deleted, where the track has a column for that. Default: false. */
  soft?: boolean | undefined
  /** Drop old archives of rollbacks instead of pruning sessions. Default: false. */
  archives?: boolean | undefined
  consent?: ConsentRequest | undefined
}
