import type { Reason } from './fact_shapes.js'

/** Facts of the findings of a command over many databases, by code. */
export interface FactsOfFleet {
  BAD_TARGETS: Reason
  TARGETS_READABLE: {
    /** Its permissions, as `ls -l` writes them in octal digits. */
    mode: string
  }
  TARGET_TWICE: {
    /** Another name of the same database in the list. */
    other: string
  }
  TARGET_LATE: {
    /** The time limit of the database, in seconds. */
    deadline: number
    /** Seconds after which it had still not stopped; null if it did stop. */
    waited: number | null
  }
  NOT_STARTED: {
    because: 'canary' | 'failures' | 'interrupted'
    /** Databases whose failure stopped the rest. Empty if a person stopped it. */
    failed: string[]
  }
  MORE_FINDINGS: {
    /** How many findings of the code are not shown. */
    count: number
  }
}
