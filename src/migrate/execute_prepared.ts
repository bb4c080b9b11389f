import { closeArchives } from '../archive/archive.js'
import { waitingArchives } from '../archive/waiting_archives.js'
import { takesOut } from '../backfill/pending_spec.js'
import type { Context } from '../database/context.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { finding, type Report, verdictOf } from '../model/report.js'
import { guard, outdated } from '../plan/consent.js'
import { describe } from '../plan/describe_steps.js'
import { readHistory } from '../plan/history.js'
import { undescribedHeld } from '../plan/make_plan.js'
import { inRun } from '../run/in_run.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { ledgerStorage, reportRan, runSteps } from '../run/run_steps.js'
import { keepStart, storeFingerprint } from '../run/schema_snapshot.js'
import { stepResult } from '../run/step_result.js'
import { gateRows } from '../verify/run_check.js'
import { recordVisibility } from '../verify/visibility.js'
import { announceHeld, refuseReopened } from './contract_guards.js'
import { executeStep } from './execute_step.js'
import { leftInPlace } from './left_in_place.js'
import type { MigrateOptions } from './migrate_options.js'
import type { PreparedRun } from './prepare_run.js'
import { reportCost } from './rollback_cost.js'

/**
 * Takes the lease, checks that the plan is still the approved one, and executes it. Returns the finished
 * report.
 */
export async function executePrepared(
  ctx: Context,
  track: Track,
  prepared: PreparedRun,
  options: MigrateOptions,
  report: Report,
): Promise<Report> {
  const run = await openRun(ctx, 'migrate', options.leaseWaitMs)
  return inRun(run, report, async () => {
    const held = await stillHolds(run, track, prepared, options, report)
    if (held) {
      await executePlan(run, track, held, options, report)
      if (!run.writer.lost) report.findings.push(...(await waitingArchives(run.writer.sql, track.name)))
      // do not suggest the next phase after a step that did not finish
      if (verdictOf(report) === 'clean')
        report.findings.push(...(await announceHeld(run, track, held.plan, options.consent.from)))
    }
    report.verdict = verdictOf(report)
  })
}

/**
 * Compares the approved plan with the ledger under the lease, because another run may have been active
 * meanwhile. Returns the plan to execute; null if nothing is left, or if it differs from the approved plan.
 */
async function stillHolds(
  run: Run,
  track: Track,
  { plan: approved, schema, newest }: PreparedRun,
  options: MigrateOptions,
  report: Report,
): Promise<PreparedRun | null> {
  // use the reopened backfills that were found before: the application may write such a row at any time
  const { plan: now, newest: since } = await readHistory(run.writer, track, options, async () =>
    reopenedSteps(approved),
  )
  const errors = now.findings.filter(f => f.level === 'error')
  report.findings.push(...errors)
  if (now.steps.length === 0) {
    report.steps = report.steps.map(s => ({ ...s, reason: 'another run applied it meanwhile' }))
    report.findings.push(
      finding('NOTHING_TO_DO', track.name, { applied: now.applied.length }),
      ...undescribedHeld(now, run.target.info.database),
    )
    return null
  }
  if (errors.length > 0) return null
  if (outdated(approved, now, options.consent).length === 0) {
    // take unfinished rows from the current ledger: another run may have begun a step and stopped
    const steps = approved.steps.map((s, i) => ({ ...s, resumes: now.steps[i]!.resumes }))
    return { plan: { ...approved, steps }, schema: since === newest ? schema : null, newest: since }
  }
  const described = await describe(now, run.writer.sql)
  report.steps = described.steps.map(s => stepResult(s, 'not-run', 'the plan changed after it was approved'))
  report.findings.push(
    ...outdated(approved, described, options.consent),
    ...guard(described, options.consent),
  )
  return null
}

/** The steps of a plan that are finished backfills with pending rows. */
const reopenedSteps = (plan: Plan): Set<string> =>
  new Set(
    plan.steps
      .map(s => s.migration)
      .filter(m => plan.applied.includes(m))
      .map(m => m.name),
  )

async function executePlan(
  run: Run,
  track: Track,
  { plan, schema }: PreparedRun,
  options: MigrateOptions,
  report: Report,
): Promise<void> {
  await closeArchives(run, track.name)
  if (plan.applied.length === 0) report.findings.push(...(await recordVisibility(run, track)))
  if (plan.steps[0]) await keepStart(run, track.name, plan.steps[0].migration.name, schema)
  const gated = new Set(track.checks.map(c => c.gate))
  const guarded = new Set([
    plan.steps.find(s => s.migration.phase === 'contract'),
    ...plan.steps.filter(s => takesOut(s.migration)),
  ])
  const reopened = reopenedSteps(plan)
  const ran = await runSteps(run.ctx, {
    track,
    plan,
    storage: ledgerStorage(run, track.name, { reopened }),
    gate: async step => {
      const { name } = step.migration
      const closed = gated.has(name)
        ? (await gateRows(run.writer, track, name)).map(g =>
            finding('GATE', name, { check: g.check, rows: g.rows }, 'warn'),
          )
        : []
      if (guarded.has(step)) await refuseReopened(run, track, name, closed)
      return closed
    },
    perform: step => executeStep(run, track, step, options, reopened.has(step.migration.name)),
  })
  reportRan(report, ran)
  report.findings.push(...(await leftInPlace(run, track, plan, ran)))
  if (ran.done.length === 0) return
  if (!run.writer.lost) await storeFingerprint(run)
  await reportCost(run, track, plan, ran.done, report)
}
