import type { NoFacts, Reason, Rows, Some, WithSql } from './fact_shapes.js'

/** Facts of the findings about checks, sampled persons and proofs, by code. */
export interface FactsOfChecks {
  CHECK_FAILED: Reason
  /** `roles` are the roles that `role`, the current role, may not SET. Empty if there was another reason. */
  PROBE_SKIPPED: Reason & ({ roles: Some; role: string } | { roles: []; role: null })
  POLICY_PER_ROW: {
    filter: string
    /** Node of the plan. */
    node: string
  }
  POLICY_SCANS: {
    /** The filter of the scan; null if it has none. */
    filter: string | null
  } & Rows
  ACCEPTANCE_OVER: {
    reason: string
    /** Its last day. */
    until: string
  }
  ACCEPTANCE_UNUSED: {
    /** Its last day. */
    until: string
  }
  NO_ACCESS_FILE: {
    /** The migration from which on there is one; null if the track has none. */
    after: string | null
  }
  RECOUNTED: {
    units: number
    /** How many units differ from what the backfill recorded. */
    differ: number
  }
  NOT_ACCOUNTED: Rows
  NOTHING_CAME_IN: NoFacts
  SEES_MORE: Rows
  SEES_LESS: Rows
  SAW_EVERYTHING: NoFacts
  SIGHTS_SAMPLED: {
    /** How many rows were checked for each person. */
    rows: number
    /** The estimated number of rows of the table. */
    of: number
  }
  NO_SIGHTS: NoFacts
  MUTANT_SURVIVED: WithSql
  MUTANT_REFUSED: Reason & WithSql
  MUTANTS: { caught: number; of: number }
  NOTHING_APPLIED: NoFacts
  NO_CHECKS_RUN: NoFacts
  ISOLATION_UNVERIFIED: {
    why: 'no-file' | 'later' | 'in-part' | 'skipped' | 'not-asked'
    /** The access check that did not run; null if there is none. */
    check: string | null
    /** The migration after which all of it can be checked; else null. */
    after: string | null
  }
  PRE_EXISTING: Rows
  BAD_PROOF: Reason
  /** When the proof was made, as PostgreSQL writes it. */
  PROOF_HOLDS: { at: string }
  PROOF_DIFFERS: { at: string; changes: string[] }
}
