import type { Pin } from '../model/pin.js'
import type { Consent } from '../model/plan.js'
import { barePlanOptions, type PlanOptions } from '../plan/make_plan.js'

/** What a person asked `migrate` for. */
export interface MigrateOptions extends PlanOptions {
  consent: Consent
  /** How long to wait for another run, in milliseconds. */
  leaseWaitMs: number
  workers: number
  nice: number
  throttleQuery: string | null
  /** The plan that a reviewer saw; null where nobody pinned one. */
  pin?: Pin | null
}

/** What bare `migrate` wants: all that the old application survives, with one worker at full speed. */
export const bareMigrateOptions = {
  ...barePlanOptions,
  workers: 1,
  nice: 0,
  throttleQuery: null,
} as const
