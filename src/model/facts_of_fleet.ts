import type { Reason } from './fact_shapes.js'

/** Facts of the findings of a command over many databases, by code. */
export interface FactsOfFleet {
  BAD_TARGETS: Reason
  TARGETS_READABLE: {
    /** Its permissions, as `ls -l` writes them in octal digits. */
    mode: string
  }
  TARGET_TWICE: {
    /** Name under which the same database is in the list already. */
    other: string
  }
  TARGET_LATE: {
    /** Seconds that it had. */
    deadline: number
    /** Seconds after which it had not ended although it was stopped; null where it did end. */
    waited: number | null
  }
  NOT_STARTED: {
    because: 'canary' | 'failures' | 'interrupted'
    /** Names of the databases that stopped the rest; none where somebody did. */
    failed: string[]
  }
  MORE_FINDINGS: {
    /** How many findings of the code are not shown. */
    count: number
  }
}
