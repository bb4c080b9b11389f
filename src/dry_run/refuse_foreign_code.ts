import type { Db } from '../database/types.js'
import { UsageError } from '../model/failure.js'
import type { Consent, Plan } from '../model/plan.js'
import { foreignHazard } from '../plan/foreign_code.js'

/**
 * Throws UsageError if tables of the plan run code of other owners as a superuser and this was not allowed. A
 * rehearsal is rolled back, but such code may have effects that are not.
 */
export async function refuseForeignCode(sql: Db, plan: Plan, consent: Consent, flag: string): Promise<void> {
  const refused = await foreignHazard(
    sql,
    plan.steps.map(s => s.migration),
    consent,
  )
  if (refused)
    throw new UsageError(
      flag,
      `${refused}: connect as a role that is no superuser, or allow it with --allow RUNS_FOREIGN_CODE`,
    )
}
