import type { Pin } from '../model/pin.js'
import type { Consent } from '../model/plan.js'
import { barePlanOptions, type PlanOptions } from '../plan/make_plan.js'

/** Options of `migrate`. */
export interface MigrateOptions extends PlanOptions {
  consent: Consent
  /** How long to wait for another run, in milliseconds. */
  leaseWaitMs: number
  workers: number
  nice: number
  throttleQuery: string | null
  /** The plan that was reviewed; null if none was pinned. */
  pin?: Pin | null
}

/** The defaults of `migrate`: everything that the old application survives, with one worker at full speed. */
export const bareMigrateOptions = {
  ...barePlanOptions,
  workers: 1,
  nice: 0,
  throttleQuery: null,
} as const
