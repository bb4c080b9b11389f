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
 * The verbs of rethread on one database. Each opens its own connections and closes them, reads the files
 * again, and resolves to a `Report` whatever the files, the server and the guards say: look at its `verdict`.
 * A verb rejects only for wrong usage (a `Failure` with the code USAGE) and for errors that are none of
 * these. Defaults are those of the command line.
 */
export interface Verbs {
  /** Looks at the database and the files without writing, and says how to fix what is missing. */
  doctor(): Promise<Report>
  /** What is applied, pending, changed or missing, and what a rollback would cost now. */
  status(): Promise<Report>
  /** The dry run of `migrate`. It reads only; the server refuses it any write. */
  plan(request?: PlanRequest): Promise<Report>
  /** The dry run of `rollback`: what would go, and whose rows they are. */
  planRollback(request?: RollbackRequest): Promise<Report>
  /**
   * Applies what is pending, backfills included, up to the first step that the old
   * application would not survive.
   */
  migrate(request?: MigrateRequest): Promise<Report>
  /** Adopts an existing database: records as applied what the catalog shows to be there. */
  baseline(request: BaselineRequest): Promise<Report>
  /**
   * Takes over a half-done database: records what is as the files make it; else the report's `fixUp` is SQL
   * that makes it so.
   */
  adopt(request?: AdoptRequest): Promise<Report>
  /**
   * Makes the ledger say that a migration is applied, or is not, after work by hand: proved from the catalog,
   * with the reason of `openProject`.
   */
  repair(request: RepairRequest): Promise<Report>
  /** Starts or resumes the backfills, or tries them on one workspace first. */
  backfill(request?: BackfillRequest): Promise<Report>
  /** How far the backfills are. */
  backfillStatus(): Promise<Report>
  /** Lets running backfills stop after their batch, whoever runs them. */
  pauseBackfills(): Promise<Report>
  /** Runs the checks, which read, and the probes, which act as persons and are rolled back. */
  verify(request?: VerifyRequest): Promise<Report>
  /** The checks of the track, without running them. */
  listChecks(): Promise<Report>
  /** On a scratch database: breaks one thing at a time, and reports which check notices. */
  testChecks(request?: ScratchRequest): Promise<Report>
  /** The report to sign off after a run: what came in, what it became, who sees what. */
  prove(request?: ProveRequest): Promise<Report>
  /** Undoes migrations: loss report first, then the archive, then the files. */
  rollback(request: RollbackRequest): Promise<Report>
  /** On a scratch database: up, down and up again for each migration, and whether that is exact. */
  testRollbacks(request?: ScratchRequest): Promise<Report>
  /** Brings an archive back after a rollback; migrates again first where that is needed. */
  restore(request: RestoreRequest): Promise<Report>
  /** The archives of rollbacks. */
  listArchives(): Promise<Report>
  /** What waits in the quarantine and why, how many by reason, and the rows that failed. */
  listQuarantine(): Promise<Report>
  /** One row of the quarantine: what it was, what it is now, and the reason that the file gives now. */
  showQuarantined(request: QuarantinedRequest): Promise<Report>
  /** Tries rows again, after the data was repaired or a setting was changed. Runs the backfills. */
  retryQuarantined(request?: RetryRequest): Promise<Report>
  /** Gives rows that were set aside a workspace, and tries them again. */
  assignQuarantined(request: AssignRequest): Promise<Report>
  /** Sessions, the most recent first. */
  sessions(request?: SessionsRequest): Promise<Report>
  /** One session with its messages. */
  session(request: SessionRequest): Promise<Report>
  /** How many sessions there are. */
  countSessions(request?: CountSessionsRequest): Promise<Report>
  /** One session whole: `session` of the report is the text that `importSession` takes. */
  exportSession(request: ExportSessionRequest): Promise<Report>
  /** Puts one session back that was exported, in one transaction. */
  importSession(request: ImportSessionRequest): Promise<Report>
  /** Brings one session back that is marked as deleted, or that an archive holds. */
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
  /** URL of the embedded server; null where there is none. */
  readonly embeddedUrl: string | null
  /** Stops an embedded server. Afterwards verbs reject. Wait for running verbs first. */
  close(): Promise<void>
}
