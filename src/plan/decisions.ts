import type { Context } from '../database/context.js'
import type { Db } from '../database/types.js'
import { type Hazard, type Plan, pendingIn } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { driftHazards } from './drift.js'
import { firedByEach, triggerHazards } from './firing_triggers.js'
import { foreignCodeFindings, foreignCodeHazards, foreignCodeOf } from './foreign_code.js'

/**
 * Adds the hazards that only the database shows: changed objects of the track (`changed`, from `drifted`),
 * triggers of the application that a backfill would fire, and functions of other owners that the tables
 * run. The findings name the triggers, whether they are held off, and the functions with their owners.
 */
export async function addDecisions(
  ctx: Context,
  sql: Db,
  track: Track,
  plan: Plan,
  changed: string[],
): Promise<{ plan: Plan; findings: Finding[] }> {
  const findings: Finding[] = []
  const pending = pendingIn(plan)
  const foreign = await foreignCodeOf(sql, pending)
  findings.push(...foreignCodeFindings([...foreign.values()].flat()))
  const fired = await firedByEach(sql, track, pending)
  const decided = <S extends { migration: Migration; hazards: Hazard[] }>(step: S): S => {
    const { migration } = step
    const firing = fired.get(migration) ?? null
    if (firing && plan.steps.some(s => s.migration === migration)) {
      const { table, rows, triggers, whyNotHeld } = firing
      const held = ctx.holdTriggers && whyNotHeld === null
      findings.push(finding('FIRING_TRIGGERS', table, { triggers, rows, held, migration: migration.name }))
    }
    return withHazards(step, [
      ...triggerHazards(firing, ctx.holdTriggers),
      ...foreignCodeHazards(foreign.get(migration) ?? []),
    ])
  }
  const steps = plan.steps.map(decided)
  // a hazard of the whole track is reported once, at the first step
  if (steps[0]) steps[0] = withHazards(steps[0], await driftHazards(track, changed))
  return { plan: { ...plan, steps, held: plan.held.map(decided) }, findings }
}

/** The step with hazards added that its statements do not show. */
export const withHazards = <S extends { hazards: Hazard[] }>(step: S, more: Hazard[]): S => ({
  ...step,
  hazards: [...step.hazards, ...more],
})
