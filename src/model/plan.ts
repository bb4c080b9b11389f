import type { HazardCode, HazardLevel } from './codes.js'
import type { Migration } from './project.js'
import type { Finding, Lock } from './report.js'

/** The newest ledger row of a migration. */
export interface LedgerRow {
  track: string
  migration: string
  direction: 'up' | 'down' | 'baseline'
  outcome: 'started' | 'done' | 'failed' | 'interrupted'
  /** sha256 of the applied file, with normalised line ends. */
  checksum: string
  /** sha256 of its tokens, without comments and white space. */
  tokens: string
  /** For a file without a transaction: how many statements were finished. */
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

/** A table lock of a statement, and which statements of others wait for it. */
export interface StatementLock {
  table: string
  /** Name of the mode in capitals, such as `ACCESS EXCLUSIVE`. */
  mode: string
  blocks: 'reads and writes' | 'writes' | 'nothing'
  /** The cause, in words. */
  by: string
}

/** A foreign key from the catalog. Names have their schema. */
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
  /** The locks of the statements, as far as they are known before they run. */
  locks: Lock[]
  /** The unfinished ledger row that this step resumes, else null. */
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
  /** Its hazards, as far as the catalog shows them now. */
  hazards: Hazard[]
}

/** The steps to run, in order, and the findings of planning. `migrate` executes this value. */
export interface Plan {
  track: string
  steps: Step[]
  /** Pending migrations after the steps, with the reason that the plan stops before them. */
  held: Held[]
  /**
   * Applied migrations, in order. One that is also a step is a finished backfill with new rows to process.
   */
  applied: Migration[]
  /** By migration, how many rows it would remove from a table now. The caller counts them. */
  leaving?: ReadonlyMap<string, number>
  findings: Finding[]
}

/** Every migration that is not applied, also those that a plan leaves for later. */
export const pendingIn = ({ steps, held }: Plan): Migration[] => [...steps, ...held].map(s => s.migration)

/** What a person allowed by name. A value: commands return `refused` with the consent they need. */
export interface Consent {
  allow: ReadonlySet<string>
  /** The database name that the person typed, else null. */
  confirm: string | null
  /** The highest number of rows for QUARANTINES_ROWS. Without it, the number in the last report. */
  rows?: number | null
  /** The lowest level of hazards that needs consent. `outage` if it is not configured. */
  from?: HazardLevel | undefined
}
