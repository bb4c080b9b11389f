import type { Report } from '../model/report.js'
import type {
  AdoptRequest,
  AssignRequest,
  BackfillRequest,
  BaselineRequest,
  CountSessionsRequest,
  ExportSessionRequest,
  ImportSessionRequest,
  MigrateRequest,
  PlanRequest,
  ProveRequest,
  PruneRequest,
  QuarantinedRequest,
  RecoverSessionRequest,
  RepairRequest,
  RestoreRequest,
  RetryRequest,
  RollbackRequest,
  ScratchRequest,
  SessionRequest,
  SessionsRequest,
  VerifyRequest,
} from './requests.js'

/**
 * The verbs of rethread on one database. Each call opens and closes its own connections and reads the files
 * again. It resolves to a `Report` for everything that the files, the server and the guards say: look at its
 * `verdict`. It rejects only for wrong usage (a `Failure` with the code USAGE) and for unexpected errors.
 * Defaults are those of the command line.
 */
export interface Verbs {
  /** Examines the database and the files without writing, and says how to fix what is missing. */
  doctor(): Promise<Report>
  /** What is applied, pending, changed or missing, and what a rollback would cost now. */
  status(): Promise<Report>
  /** The dry run of `migrate`. It only reads; the server refuses any write. */
  plan(request?: PlanRequest): Promise<Report>
  /** The dry run of `rollback`: what would be deleted, and the origin of the rows. */
  planRollback(request?: RollbackRequest): Promise<Report>
  /**
   * Applies pending migrations and backfills, up to the first step that the old application would not
   * survive.
   */
  migrate(request?: MigrateRequest): Promise<Report>
  /** Adopts an existing database: records as applied what the catalog proves. */
  baseline(request: BaselineRequest): Promise<Report>
  /**
   * Takes over a database in which other SQL has done a part of the work. Records what equals the files'
   * result; for the rest, `fixUp` of the report is SQL that completes it.
   */
  adopt(request?: AdoptRequest): Promise<Report>
  /**
   * Records that a migration is applied, or is not, after manual work. The catalog must prove it, and
   * `openProject` must have a reason.
   */
  repair(request: RepairRequest): Promise<Report>
  /** Starts or resumes the backfills, or tries them on one workspace first. */
  backfill(request?: BackfillRequest): Promise<Report>
  /** The progress of the backfills. */
  backfillStatus(): Promise<Report>
  /** Stops running backfills after their batch, also those of other processes. */
  pauseBackfills(): Promise<Report>
  /** Runs the checks, which only read, and the probes, which act as users and are rolled back. */
  verify(request?: VerifyRequest): Promise<Report>
  /** The checks of the track, without running them. */
  listChecks(): Promise<Report>
  /** On a scratch database: makes one error at a time, and reports which check notices it. */
  testChecks(request?: ScratchRequest): Promise<Report>
  /** The report to sign off after a run: what came in, what it became, and who sees what. */
  prove(request?: ProveRequest): Promise<Report>
  /** Undoes migrations: first the loss report, then the archive, then the files. */
  rollback(request: RollbackRequest): Promise<Report>
  /** On a scratch database: applies, rolls back and applies each migration again, and compares the schema. */
  testRollbacks(request?: ScratchRequest): Promise<Report>
  /** Restores an archive after a rollback; applies migrations again first if necessary. */
  restore(request: RestoreRequest): Promise<Report>
  /** The archives of rollbacks. */
  listArchives(): Promise<Report>
  /** The quarantined rows by reason, and the failed rows. */
  listQuarantine(): Promise<Report>
  /** One quarantined row: as it was, as it is now, and the reason that the file gives now. */
  showQuarantined(request: QuarantinedRequest): Promise<Report>
  /** Processes rows again after the data was repaired or a setting was changed. Runs the backfills. */
  retryQuarantined(request?: RetryRequest): Promise<Report>
  /** Assigns a workspace to quarantined rows, and processes them again. */
  assignQuarantined(request: AssignRequest): Promise<Report>
  /** Sessions, the most recent first. */
  sessions(request?: SessionsRequest): Promise<Report>
  /** One session with its messages. */
  session(request: SessionRequest): Promise<Report>
  /** How many sessions there are. */
  countSessions(request?: CountSessionsRequest): Promise<Report>
  /** One complete session: `session` of the report is the text for `importSession`. */
  exportSession(request: ExportSessionRequest): Promise<Report>
  /** Writes one exported session to the database, in one transaction. */
  importSession(request: ImportSessionRequest): Promise<Report>
  /** Restores one session that is marked as deleted, or is in an archive. */
  recoverSession(request: RecoverSessionRequest): Promise<Report>
  /** Counts of sessions and messages, recent activity, sizes, the largest sessions. */
  stats(): Promise<Report>
  /**
   * Archives or deletes sessions past a retention, or drops old archives; a dry run unless `apply` is true.
   */
  prune(request?: PruneRequest): Promise<Report>
}

/** What `openProject` resolves to. */
export interface OpenedProject extends Verbs {
  /** URL of the embedded server; null if there is none. */
  readonly embeddedUrl: string | null
  /** Stops an embedded server. Later calls reject. Wait for running calls first. */
  close(): Promise<void>
}
