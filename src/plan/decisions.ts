import type { Context } from '../database/context.js'
import type { Db } from '../database/types.js'
import { type Hazard, type Plan, pendingIn } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { driftHazards } from './drift.js'
import { firingTriggers, triggerHazards } from './firing_triggers.js'
import { foreignCodeFindings, foreignCodeHazards, foreignCodeOf } from './foreign_code.js'

/**
 * A described plan with the hazards that the database itself adds: objects of the track that have changed
 * (`changed`, what `drifted` found), triggers of the application that a backfill would fire, and functions of
 * others that its tables run. The findings say which triggers, and whether they are held off, and whose
 * functions they are.
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
  const decided = async <S extends { migration: Migration; hazards: Hazard[] }>(step: S): Promise<S> => {
    const { migration } = step
    const firing = await firingTriggers(sql, track, migration, pending.slice(0, pending.indexOf(migration)))
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
  const steps = []
  for (const step of plan.steps) steps.push(await decided(step))
  // one place for what is said of the whole track: the first step
  if (steps[0]) steps[0] = withHazards(steps[0], await driftHazards(track, changed))
  const held = []
  for (const step of plan.held) held.push(await decided(step))
  return { plan: { ...plan, steps, held }, findings }
}

/** The same step, with hazards that its statements do not show. */
export const withHazards = <S extends { hazards: Hazard[] }>(step: S, more: Hazard[]): S => ({
  ...step,
  hazards: [...step.hazards, ...more],
})
