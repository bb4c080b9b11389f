import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { Failure } from '../model/failure.js'
import type { Plan } from '../model/plan.js'
import type { Check, Track } from '../model/project.js'
import { withHazards } from '../plan/decisions.js'
import { runCheck } from './run_check.js'

/** Whether the findings of an outlook are a hazard. They are none if its setting is set. */
export const isDecision = (ctx: Context, { hazard }: Check): boolean =>
  hazard !== null && (hazard.unlessSet === null || !Object.hasOwn(ctx.settings, hazard.unlessSet))

/**
 * Adds the hazards that the track's outlooks find in the data, each at the migration that the outlook names,
 * unless its setting is set. Outlooks of migrations that are not in the plan are not run. Throws CHECK_FAILED
 * if the server cannot run one, because its hazard would be unknown.
 */
export async function withOutlookHazards(
  ctx: Context,
  connection: Connection,
  track: Track,
  plan: Plan,
): Promise<Plan> {
  const applied = new Set(plan.applied.map(m => m.name))
  let { steps, held } = plan
  for (const check of track.checks) {
    if (!check.hazard || !isDecision(ctx, check)) continue
    const { code, at } = check.hazard
    if (![...steps, ...held].some(s => s.migration.name === at)) continue
    const { result } = await runCheck(ctx, connection, check, applied)
    if (result.outcome === 'failed')
      throw new Failure('CHECK_FAILED', check.name, { reason: result.reason ?? 'no answer' })
    const hazards = result.found.map(f => ({ code, subject: f.object, detail: f.detail }))
    const add = <S extends (typeof steps)[number] | (typeof held)[number]>(s: S): S =>
      s.migration.name === at ? withHazards(s, hazards) : s
    steps = steps.map(add)
    held = held.map(add)
  }
  return { ...plan, steps, held }
}
