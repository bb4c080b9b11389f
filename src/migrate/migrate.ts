import { closeArchives, sealBroken } from '../archive/archive.js'
import { takesOut } from '../backfill/pending_spec.js'
import { judgeLeaving, judgeReferring, withLeavingRows } from '../backfill/take_out.js'
import { type Context, connect } from '../database/context.js'
import { inspect, judgeRights, judgeServer, preflight } from '../database/server.js'
import { lint } from '../files/lint.js'
import { judgeSettings, readTrackInfo } from '../files/track_info.js'
import { Failures } from '../model/failure.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, finding, type Report, verdictOf } from '../model/report.js'
import { otherTracks } from '../plan/choose_track.js'
import { guard, outdated } from '../plan/consent.js'
import { describe } from '../plan/describe_steps.js'
import { readHistory } from '../plan/history.js'
import { lookAhead } from '../plan/look_ahead.js'
import { heldFindings } from '../plan/make_plan.js'
import { judgePin, pinOf } from '../plan/pinned_plan.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { ledgerStorage, reportRan, runSteps } from '../run/run_steps.js'
import { drifted, driftFinding, keepStart, storeFingerprint } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { stepResult } from '../run/step_result.js'
import { gateRows } from '../verify/run_check.js'
import { recordVisibility } from '../verify/visibility.js'
import { announceHeld, refuseReopened } from './contract_guards.js'
import { executeStep } from './execute_step.js'
import { judgePlan, readPlan } from './judge_plan.js'
import { leftInPlace } from './left_in_place.js'
import type { MigrateOptions } from './migrate_options.js'
import { reportCost } from './rollback_cost.js'

/**
 * Applies what is pending, in order, up to where the wish says. Guards come first: a
 * refused run has changed nothing.
 */
export async function migrate(ctx: Context, track: Track, options: MigrateOptions): Promise<Report> {
  const report = emptyReport('migrate')
  const prepared = await preparePlan(ctx, track, options, report)
  if (!prepared) return { ...report, verdict: verdictOf(report) }

  const run = await openRun(ctx, 'migrate', options.leaseWaitMs)
  try {
    const held = await stillHolds(run, track, prepared, options, report)
    if (held) {
      await executePlan(run, track, held, options, report)
      // what comes after a step that did not finish is nothing to invite to
      if (verdictOf(report) === 'clean')
        report.findings.push(...(await announceHeld(run, track, held.plan, options.consent.from)))
    }
    report.verdict = verdictOf(report)
    return report
  } finally {
    await run.close(report.verdict)
  }
}

/** A plan that may be executed, and what was looked at to say so. */
interface PreparedRun {
  plan: Plan
  /** How the schema looked before the first step; null where another run has been at work since. */
  schema: ObjectRow[] | null
  /** Newest row of the ledger at that time. */
  newest: string | null
}

/**
 * Compares the approved plan with what the ledger says under the lease: another run may have been at
 * work while this one waited. The plan to execute, or null where nothing is left or where it is no
 * longer what was approved.
 */
async function stillHolds(
  run: Run,
  track: Track,
  { plan: approved, schema, newest }: PreparedRun,
  options: MigrateOptions,
  report: Report,
): Promise<PreparedRun | null> {
  // what is to do again is what was found a moment ago: an application may write such a row at any time
  const { plan: now, newest: since } = await readHistory(run.writer, track, options, async () =>
    reopenedSteps(approved),
  )
  const errors = now.findings.filter(f => f.level === 'error')
  report.findings.push(...errors)
  if (now.steps.length === 0) {
    report.steps = report.steps.map(s => ({ ...s, reason: 'another run applied it meanwhile' }))
    report.findings.push(
      finding('NOTHING_TO_DO', track.name, { applied: now.applied.length }),
      ...heldFindings(await describe(now, run.writer.sql), run.target.info.database, options.consent.from),
    )
    return null
  }
  if (errors.length > 0) return null
  if (outdated(approved, now, options.consent).length === 0) {
    // what is resumed is what the ledger says now: another run may have begun a step and broken off
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

/** The steps of a plan that are finished backfills with rows to do again. */
const reopenedSteps = (plan: Plan): Set<string> =>
  new Set(
    plan.steps
      .map(s => s.migration)
      .filter(m => plan.applied.includes(m))
      .map(m => m.name),
  )

/** Everything that can be said without writing; null when nothing is to run or a guard said no. */
async function preparePlan(
  ctx: Context,
  track: Track,
  options: MigrateOptions,
  report: Report,
): Promise<PreparedRun | null> {
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  report.target = target.info
  report.findings.push(...judgeServer(target, true))
  const { plan, history, hasLedger, newest, reopened } = await readPlan(connection, track, options)
  report.findings.push(...plan.findings, ...reopened)
  if (report.findings.some(f => f.level === 'error')) return null
  // one look at the schema serves the gate, and a later rollback to before the first step
  const schema = hasLedger || plan.steps.length > 0 ? await objects(connection.sql) : null
  const changed = hasLedger && schema ? await drifted(connection, target.major, schema) : []
  if (plan.steps.length === 0) {
    await sealBroken(ctx, connection, track.name, options.leaseWaitMs)
    const left = await withLeavingRows(connection, track, await describe(plan, connection.sql))
    report.findings.push(
      ...driftFinding(changed),
      finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }),
      ...heldFindings(left, target.info.database, options.consent.from),
    )
    return null
  }
  const { info, faults: wrong } = await readTrackInfo(track)
  const faults = [...wrong, ...(await lint(track)).filter(f => f.level === 'error')]
  if (faults.length > 0) throw new Failures(faults)
  const { plan: described, findings: firing } = await judgePlan(ctx, connection, track, plan, changed)
  if (options.pin)
    report.findings.push(
      ...judgePin(options.pin, await pinOf(connection, described, history, options, target.major)),
    )
  const obstacles = await preflight(
    connection,
    plan.steps.map(s => s.migration),
  )
  if (obstacles.some(f => f.code === 'ALREADY_EXISTS')) {
    // a run beside this one may have made it since the ledger was read: its row came in the same commit
    const now = await readHistory(connection, track, options)
    if (now.history.applied.size !== history.applied.size) {
      report.findings = []
      return preparePlan(ctx, track, options, report)
    }
  }
  const ahead = await lookAhead(ctx, connection, track, {
    applied: plan.applied,
    pending: [...plan.steps, ...plan.held].map(s => s.migration),
    resumed: new Set(history.unfinished.keys()),
    major: target.major,
    obstacles,
  })
  report.steps = described.steps.map(s => stepResult(s, 'not-run', 'refused before the first step'))
  report.findings.push(
    ...driftFinding(changed),
    ...firing,
    ...judgeRights(target, hasLedger),
    ...judgeSettings(track.name, info, ctx.settings),
    ...obstacles,
    ...ahead,
    ...(await otherTracks(connection, ctx, track, obstacles)),
    ...guard(described, options.consent),
    ...(await judgeLeaving(connection, described, options.consent)),
    ...(await judgeReferring(connection, track, described)),
  )
  return report.findings.some(f => f.level === 'refused') ? null : { plan: described, schema, newest }
}

async function executePlan(
  run: Run,
  track: Track,
  { plan, schema }: PreparedRun,
  options: MigrateOptions,
  report: Report,
): Promise<void> {
  await closeArchives(run, track.name)
  if (plan.applied.length === 0) await recordVisibility(run, track)
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
      if (guarded.has(step)) await refuseReopened(run, track, name)
      return gated.has(name)
        ? (await gateRows(run.writer, track, name)).map(g =>
            finding('GATE', name, { check: g.check, rows: g.rows }, 'warn'),
          )
        : []
    },
    perform: step => executeStep(run, track, step, options, reopened.has(step.migration.name)),
  })
  reportRan(report, ran)
  report.findings.push(...(await leftInPlace(run, track, plan, ran)))
  if (ran.done.length === 0) return
  if (!run.writer.lost) await storeFingerprint(run)
  await reportCost(run, track, plan, ran.done, report)
}
