import { closeArchives } from '../archive/archive.js'
import { takesOut } from '../backfill/pending_spec.js'
import { type Reopened, reopenedBackfills, reopenedFindings } from '../backfill/reopened.js'
import { runBackfill } from '../backfill/run_backfill.js'
import { judgeLeaving, withLeavingRows } from '../backfill/take_out.js'
import { type Context, connect } from '../database/context.js'
import { inspect, judgeRights, judgeServer, preflight } from '../database/server.js'
import { lint } from '../files/lint.js'
import { judgeSettings, readTrackInfo } from '../files/track_info.js'
import { Failures } from '../model/failure.js'
import type { Plan, Step } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, finding, type Report, verdictOf } from '../model/report.js'
import { otherTracks } from '../plan/choose_track.js'
import { guard, outdated } from '../plan/consent.js'
import { describe } from '../plan/describe_steps.js'
import { readHistory } from '../plan/history.js'
import { heldFindings } from '../plan/make_plan.js'
import { judgePin, pinOf } from '../plan/pinned_plan.js'
import { runStatements } from '../run/execute_file.js'
import { runTransaction } from '../run/execute_transaction.js'
import { recordBackfill } from '../run/ledger_rows.js'
import { openRun } from '../run/open_run.js'
import { permitsOf } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { ledgerStorage, type Performed, reportRan, runSteps, Stop } from '../run/run_steps.js'
import { keepStart, storeFingerprint } from '../run/schema_snapshot.js'
import { forgetSettings } from '../run/session_settings.js'
import { stepResult } from '../run/step_result.js'
import { gateRows } from '../verify/run_check.js'
import { recordVisibility } from '../verify/visibility.js'
import { announceHeld, refuseReopened } from './contract_guards.js'
import type { MigrateOptions } from './migrate_options.js'
import { reportCost } from './rollback_cost.js'

/**
 * Applies what is pending, in order, up to where the wish says. Guards come first: a
 * refused run has changed nothing.
 */
export async function migrate(ctx: Context, track: Track, options: MigrateOptions): Promise<Report> {
  const report = emptyReport('migrate')
  const approved = await preparePlan(ctx, track, options, report)
  if (!approved) return { ...report, verdict: verdictOf(report) }

  const run = await openRun(ctx, 'migrate', options.leaseWaitMs)
  try {
    const plan = await stillHolds(run, track, approved, options, report)
    if (plan) {
      await executePlan(run, track, plan, options, report)
      // what comes after a step that did not finish is nothing to invite to
      if (verdictOf(report) === 'clean') report.findings.push(...(await announceHeld(run, track, plan)))
    }
    report.verdict = verdictOf(report)
    return report
  } finally {
    await run.close(report.verdict)
  }
}

/**
 * Compares the approved plan with what the ledger says under the lease: another run may have been at
 * work while this one waited. The plan to execute, or null where nothing is left or where it is no
 * longer what was approved.
 */
async function stillHolds(
  run: Run,
  track: Track,
  approved: Plan,
  options: MigrateOptions,
  report: Report,
): Promise<Plan | null> {
  // what is to do again is what was found a moment ago: an application may write such a row at any time
  const { plan: now } = await readHistory(run.writer, track, options, async () => reopenedSteps(approved))
  const errors = now.findings.filter(f => f.level === 'error')
  report.findings.push(...errors)
  if (now.steps.length === 0) {
    report.steps = report.steps.map(s => ({ ...s, reason: 'another run applied it meanwhile' }))
    report.findings.push(
      finding('NOTHING_TO_DO', track.name, { applied: now.applied.length }),
      ...heldFindings(now, run.target.info.database),
    )
    return null
  }
  if (errors.length > 0) return null
  if (outdated(approved, now, options.consent).length === 0) {
    // what is resumed is what the ledger says now: another run may have begun a step and broken off
    return { ...approved, steps: approved.steps.map((s, i) => ({ ...s, resumes: now.steps[i]!.resumes })) }
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
): Promise<Plan | null> {
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  report.target = target.info
  report.findings.push(...judgeServer(target, true))
  let again: Reopened | null = null
  const { plan, history, hasLedger } = await readHistory(connection, track, options, async applied => {
    again = await reopenedBackfills(connection, track, applied)
    return again.names
  })
  report.findings.push(...plan.findings, ...reopenedFindings(again!))
  if (report.findings.some(f => f.level === 'error')) return null
  if (plan.steps.length === 0) {
    const counted = await withLeavingRows(connection, track, plan)
    report.findings.push(
      finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }),
      ...heldFindings(counted, target.info.database),
    )
    return null
  }
  const { info, faults: wrong } = await readTrackInfo(track)
  const faults = [...wrong, ...(await lint(track)).filter(f => f.level === 'error')]
  if (faults.length > 0) throw new Failures(faults)
  const described = await withLeavingRows(connection, track, await describe(plan, connection.sql))
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
  report.steps = described.steps.map(s => stepResult(s, 'not-run', 'refused before the first step'))
  report.findings.push(
    ...judgeRights(target, hasLedger),
    ...judgeSettings(track.name, info, ctx.settings),
    ...obstacles,
    ...(await otherTracks(connection, ctx, track, obstacles)),
    ...guard(described, options.consent),
    ...(await judgeLeaving(connection, described, options.consent)),
  )
  return report.findings.some(f => f.level === 'refused') ? null : described
}

async function executePlan(
  run: Run,
  track: Track,
  plan: Plan,
  options: MigrateOptions,
  report: Report,
): Promise<void> {
  await closeArchives(run, track.name)
  if (plan.applied.length === 0) await recordVisibility(run, track)
  if (plan.steps[0]) await keepStart(run, track.name, plan.steps[0].migration.name)
  const gated = new Set(track.checks.map(c => c.gate))
  const guarded = new Set([
    plan.steps.find(s => s.migration.phase === 'contract'),
    ...plan.steps.filter(s => takesOut(s.migration)),
  ])
  const reopened = reopenedSteps(plan)
  const ran = await runSteps(run.ctx, {
    track,
    plan,
    storage: ledgerStorage(run, track.name, reopened),
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
  if (ran.done.length === 0) return
  if (!run.writer.lost) await storeFingerprint(run)
  await reportCost(run, track, plan, ran.done, report)
}

async function executeStep(
  run: Run,
  track: Track,
  step: Step,
  options: MigrateOptions,
  reopened: boolean,
): Promise<Performed> {
  const { migration: m } = step
  if (m.backfill) return backfillStep(run, step, options, reopened)
  const file = {
    track: m.track,
    migration: m.name,
    direction: 'up' as const,
    phase: m.phase,
    file: m.file,
    resumes: step.resumes,
    permits: await permitsOf(track, step, options.consent),
  }
  const executed = m.transaction === 'none' ? await runStatements(run, file) : await runTransaction(run, file)
  const { durationMs, attempts, skipped, findings } = executed
  const reason = skipped ? `${skipped} statement(s) already there` : null
  return { outcome: 'done', result: { durationMs, attempts, reason }, skipped, findings }
}

/** A backfill as a step: open until the closing sweep is empty; only then does the ledger say done. */
async function backfillStep(
  run: Run,
  step: Step,
  options: MigrateOptions,
  reopened: boolean,
): Promise<Performed> {
  const { ctx } = run
  const start = ctx.clock.now()
  const row = await recordBackfill(run, step.migration)
  // it sets how the writer leaves its pages to the disk
  forgetSettings(run.writer)
  const ended = await runBackfill(run, step.migration, {
    unit: null,
    maxRows: null,
    workers: options.workers,
    nice: options.nice,
    throttleQuery: options.throttleQuery,
    consent: options.consent,
    reopened,
  }).catch(async error => {
    if (!run.writer.lost) await row.end('failed', ctx.clock.now() - start).catch(() => {})
    throw error
  })
  const durationMs = ctx.clock.now() - start
  if (ended.outcome === 'failed') {
    await row.end('failed', durationMs)
    throw new Stop('attention', ended.findings, {
      backfill: ended.result,
      reason: `${ended.result.failed} row(s) failed`,
    })
  }
  if (ended.outcome !== 'done') {
    await row.end('interrupted', durationMs)
    const paused = !ctx.signal.aborted
    throw new Stop(paused ? 'attention' : 'interrupted', [
      ...ended.findings,
      finding('INTERRUPTED', step.migration.name, {
        command: paused ? 'rethread backfill --resume' : null,
      }),
    ])
  }
  await row.end('done', durationMs)
  const { result, findings } = ended
  return {
    outcome: 'done',
    result: { durationMs, attempts: 1, rows: reopened ? ended.written : result.rows },
    findings,
    backfill: result,
  }
}
