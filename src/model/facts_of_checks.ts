import type { NoFacts, Reason, Rows, Some, WithSql } from './fact_shapes.js'

/** Facts of the findings about checks, sampled persons and proofs, by code. */
export interface FactsOfChecks {
  CHECK_FAILED: Reason
  /**
   * `roles` are those that `role`, which is ours, may not become; none where something else was in the way.
   */
  PROBE_SKIPPED: Reason & ({ roles: Some; role: string } | { roles: []; role: null })
  POLICY_PER_ROW: {
    filter: string
    /** Node of the plan. */
    node: string
  }
  POLICY_SCANS: {
    /** What the scan filters by, else null. */
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
  NO_ACCESS_FILE: NoFacts
  RECOUNTED: {
    units: number
    /** How many of them are not as the backfill left them. */
    differ: number
  }
  NOT_ACCOUNTED: Rows
  NOTHING_CAME_IN: NoFacts
  SEES_MORE: Rows
  SEES_LESS: Rows
  SAW_EVERYTHING: NoFacts
  SIGHTS_SAMPLED: {
    /** How many rows each person was asked about. */
    rows: number
    /** How many rows the table has, about. */
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
    /** The check that tries who may do what, where there is one and it did not run. */
    check: string | null
    /** The migration after which all of it can be tried; else null. */
    after: string | null
  }
  PRE_EXISTING: Rows
  BAD_PROOF: Reason
  /** When it was made, as PostgreSQL writes it. */
  PROOF_HOLDS: { at: string }
  PROOF_DIFFERS: { at: string; changes: string[] }
}
