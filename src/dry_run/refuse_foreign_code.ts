import type { Db } from '../database/types.js'
import { UsageError } from '../model/failure.js'
import type { Consent, Plan } from '../model/plan.js'
import { foreignCodeHazards, foreignCodeOf } from '../plan/foreign_code.js'

/**
 * Throws UsageError if tables of the plan run code of other owners as a superuser and this was not allowed. A
 * rehearsal is rolled back, but such code may have effects that are not.
 */
export async function refuseForeignCode(sql: Db, plan: Plan, consent: Consent, flag: string): Promise<void> {
  if (consent.allow.has('RUNS_FOREIGN_CODE')) return
  const code = await foreignCodeOf(
    sql,
    plan.steps.map(s => s.migration),
  )
  const [hazard] = foreignCodeHazards([...code.values()].flat())
  if (hazard)
    throw new UsageError(
      flag,
      `${hazard.detail}, on ${hazard.subject}: connect as a role that is no superuser, or allow it with --allow RUNS_FOREIGN_CODE`,
    )
}
