import { closeArchives, sealBroken } from '../archive/archive.js'
import { rollbackCommand } from '../archive/loss_report.js'
import { runBackfill } from '../backfill/run_backfill.js'
import { type Context, connect } from '../database/context.js'
import { inspect, judgeRights, judgeServer, preflight } from '../database/server.js'
import { lint } from '../files/lint.js'
import { parseStatements } from '../files/statements.js'
import { judgeSettings, readTrackInfo } from '../files/track_info.js'
import { Failures } from '../model/failure.js'
import type { Plan, Step } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, verdictOf } from '../model/report.js'
import { otherTracks } from '../plan/choose_track.js'
import { guard, outdated } from '../plan/consent.js'
import { addDecisions } from '../plan/decisions.js'
import { describe } from '../plan/describe_steps.js'
import { readHistory } from '../plan/history.js'
import { lookAhead } from '../plan/look_ahead.js'
import { heldFindings } from '../plan/make_plan.js'
import { judgePin, pinOf } from '../plan/pinned_plan.js'
import { bestEffort } from '../run/best_effort.js'
import { runStatements } from '../run/execute_file.js'
import { runTransaction } from '../run/execute_transaction.js'
import { recordBackfill } from '../run/ledger_rows.js'
import { openRun } from '../run/open_run.js'
import { permitsOf } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { ledgerStorage, type Performed, type Ran, reportRan, runSteps, Stop } from '../run/run_steps.js'
import { drifted, driftFinding, keepStart, storeFingerprint } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { forgetSettings } from '../run/session_settings.js'
import { stepResult } from '../run/step_result.js'
import { trialsOf } from '../run/try_triggers.js'
import { gateRows } from '../verify/run_check.js'
import { recordVisibility } from '../verify/visibility.js'
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
      report.findings.push(...heldFindings(held.plan, run.target.info.database, options.consent.from))
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
  const { plan: now, newest: since } = await readHistory(run.writer, track, options)
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
  const { plan, history, hasLedger, newest } = await readHistory(connection, track, options)
  report.findings.push(...plan.findings)
  if (report.findings.some(f => f.level === 'error')) return null
  // one look at the schema serves the gate, and a later rollback to before the first step
  const schema = hasLedger || plan.steps.length > 0 ? await objects(connection.sql) : null
  const changed = hasLedger && schema ? await drifted(connection, target.major, schema) : []
  if (plan.steps.length === 0) {
    await sealBroken(ctx, connection, track.name, options.leaseWaitMs)
    report.findings.push(
      ...driftFinding(changed),
      finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }),
      ...heldFindings(await describe(plan, connection.sql), target.info.database, options.consent.from),
    )
    return null
  }
  const { info, faults: wrong } = await readTrackInfo(track)
  const faults = [...wrong, ...(await lint(track)).filter(f => f.level === 'error')]
  if (faults.length > 0) throw new Failures(faults)
  const { plan: described, findings: firing } = await addDecisions(
    ctx,
    connection.sql,
    track,
    await describe(plan, connection.sql),
    changed,
  )
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
  const ahead = obstacles.some(f => f.level === 'refused')
    ? []
    : await lookAhead(ctx, connection, track, {
        applied: plan.applied,
        pending: [...plan.steps, ...plan.held].map(s => s.migration),
        resumed: new Set(history.unfinished.keys()),
        major: target.major,
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
  const ran = await runSteps(run.ctx, {
    track,
    plan,
    storage: ledgerStorage(run, track.name),
    gate: async ({ migration: { name } }) =>
      gated.has(name)
        ? (await gateRows(run.writer, track, name)).map(g =>
            finding('GATE', name, { check: g.check, rows: g.rows }, 'warn'),
          )
        : [],
    perform: step => executeStep(run, track, step, options),
  })
  reportRan(report, ran)
  report.findings.push(...(await leftInPlace(run, track, plan, ran)))
  if (ran.done.length === 0) return
  if (!run.writer.lost) await storeFingerprint(run)
  await reportCost(run, track, plan, ran.done, report)
}

/** After a step that failed: what of the track is in place, and the one command that takes it away. */
async function leftInPlace(run: Run, track: Track, plan: Plan, ran: Ran): Promise<Finding[]> {
  const failed = ran.steps.find(s => s.outcome === 'failed')
  const applied = [...plan.applied, ...ran.done.map(s => s.migration)]
  if (!failed || applied.length === 0) return []
  const triggers = await triggersLeft(applied)
  const command = await rollbackCommand(track, null, applied, run.target.info.database)
  const migrations = applied.map(m => m.name)
  return [finding('LEFT_IN_PLACE', track.name, { failed: failed.migration, migrations, triggers, command })]
}

/** Triggers that migrations put on tables that were there before, and that none of them takes away. */
async function triggersLeft(applied: Migration[]): Promise<string[]> {
  const statements = (await Promise.all(applied.map(m => parseStatements(m.file.text)))).flat()
  return trialsOf(statements).flatMap(t => t.triggers.map(name => `${name} on ${t.table}`))
}

async function executeStep(run: Run, track: Track, step: Step, options: MigrateOptions): Promise<Performed> {
  const { migration: m } = step
  if (m.backfill) return backfillStep(run, step, options)
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
async function backfillStep(run: Run, step: Step, options: MigrateOptions): Promise<Performed> {
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
  }).catch(async error => {
    await bestEffort(ctx, 'ledger', () => row.end('failed', ctx.clock.now() - start))
    throw error
  })
  const durationMs = ctx.clock.now() - start
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
    result: { durationMs, attempts: 1, rows: result.rows },
    findings,
    backfill: result,
  }
}
