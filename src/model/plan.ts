import type { HazardCode, HazardLevel } from './codes.js'
import type { Migration } from './project.js'
import type { Finding, Lock } from './report.js'

/** What the ledger says of one migration: its newest row. */
export interface LedgerRow {
  track: string
  migration: string
  direction: 'up' | 'down' | 'baseline'
  outcome: 'started' | 'done' | 'failed' | 'interrupted'
  /** sha256 of the file as it was applied (line ends normalised). */
  checksum: string
  /** sha256 of its tokens: comments and white space do not count. */
  tokens: string
  /** Statements that were finished, of a file without a transaction. */
  reached: number
  at: string
  run: number
}

/** A hazard of one statement or of a header. */
export interface Hazard {
  code: HazardCode
  subject: string
  detail: string
}

/** A table lock that a statement takes, and whom it makes wait while it is held or waited for. */
export interface StatementLock {
  table: string
  /** Name of the mode in capitals, such as `ACCESS EXCLUSIVE`. */
  mode: string
  blocks: 'reads and writes' | 'writes' | 'nothing'
  /** What takes it, in words. */
  by: string
}

/** A foreign key as the catalog has it; names with their schema. */
export interface ForeignKey {
  name: string
  table: string
  columns: string[]
  references: string
  referenced: string[]
}

/** A migration in a plan. */
export interface Step {
  migration: Migration
  direction: 'up' | 'down'
  statements: string[]
  hazards: Hazard[]
  /** The locks that the statements take, as far as they are known before they run. */
  locks: Lock[]
  /** The ledger's unfinished row of this step, when it is to be resumed. */
  resumes: LedgerRow | null
}

/** The file that a step runs; none where nothing takes its migration back. */
export const fileOfStep = ({ migration: m, direction }: Pick<Step, 'migration' | 'direction'>) =>
  direction === 'down' ? m.rollback?.file : m.file

/** A step as a plan begins with it: nobody has looked yet what is in its file. */
export const bareStep = (
  migration: Migration,
  direction: Step['direction'],
  resumes: LedgerRow | null = null,
): Step => ({ migration, direction, statements: [], hazards: [], locks: [], resumes })

/** A pending migration that a plan leaves for later. */
export interface Held {
  migration: Migration
  why: 'ends-old-app' | 'target' | 'phase' | 'no-backfill'
  /** What it can do, as far as the catalog shows now. */
  hazards: Hazard[]
}

/** What will run, in order, and what was found on the way; the very object that `migrate` executes. */
export interface Plan {
  track: string
  steps: Step[]
  /** Pending migrations after the steps, with the reason for stopping there. */
  held: Held[]
  /** Applied migrations, in order; those among the steps are finished backfills with rows to do again. */
  applied: Migration[]
  /** Rows that a step, or one after the plan, takes out of a table now, by migration; counted by who asks. */
  leaving?: ReadonlyMap<string, number>
  findings: Finding[]
}

/** Every migration that is not applied, also those that a plan leaves for later. */
export const pendingIn = ({ steps, held }: Plan): Migration[] => [...steps, ...held].map(s => s.migration)

/** What a person allowed by name. A value: commands return `refused` with the consent they need. */
export interface Consent {
  allow: ReadonlySet<string>
  /** Database name typed by the person, else null. */
  confirm: string | null
  /** Most rows that QUARANTINES_ROWS is for; without it, as many as the last report named. */
  rows?: number | null
  /** The mildest level of hazards that must be named; `outage` where it is not configured. */
  from?: HazardLevel | undefined
}
