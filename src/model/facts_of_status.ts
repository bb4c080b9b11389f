import type { Some } from './fact_shapes.js'

/** Facts of the findings for pipelines and operators, by code. */
export interface FactsOfStatus {
  FILES_HOLD: {
    /** Files that were read. */
    files: number
  }
  FAIL_ON: {
    /** Codes of findings, hazards, or names of migrations: what counts. */
    names: Some
  }
}
