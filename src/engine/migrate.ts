import { Failure, Failures, findingsOf } from '../model/failure.js'
import type { Pin } from '../model/pin.js'
import type { Consent, Plan, Step } from '../model/plan.js'
import {
  type BackfillResult,
  emptyReport,
  type Finding,
  finding,
  type Report,
  type StepResult,
  verdictOf,
} from '../model/report.js'
import { idOf, type Migration, type Track } from '../model/workspace.js'
import { lint } from '../workspace/lint.js'
import { judgeSettings, readTrackInfo } from '../workspace/track.js'
import { closeArchives } from './archive.js'
import { runBackfill } from './backfill.js'
import { gateRows } from './check.js'
import { type Context, connect } from './context.js'
import { describe, stepResult } from './describe.js'
import { keepStart, storeFingerprint } from './fingerprint.js'
import { guard } from './guard.js'
import { look, otherTracks } from './look.js'
import { atRisk, rollbackCommand } from './loss.js'
import { judgePin, pinOf } from './pin.js'
import type { Wish } from './plan.js'
import { recordBackfill } from './record.js'
import { openRun, type Run } from './run.js'
import { recordSights } from './sight.js'
import { type Executed, runStatements, runTransaction } from './step.js'
import { inspect, judgeRights, judgeServer, preflight } from './target.js'

/** What a person asked `migrate` for. */
export interface MigrateWish extends Wish {
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
export const bareWish = {
  to: null,
  phase: null,
  backfills: true,
  workers: 1,
  nice: 0,
  throttleQuery: null,
} as const

/** A stop that is not an error: a gate said no, or somebody pressed Ctrl-C. */
class Stop extends Error {
  constructor(
    readonly verdict: 'attention' | 'interrupted',
    readonly findings: Finding[],
  ) {
    super(verdict)
  }
}

/**
 * Applies what is pending, in order, up to where the wish says. Guards come first: a
 * refused run has changed nothing.
 */
export async function migrate(given: Context, track: Track, wish: MigrateWish): Promise<Report> {
  const ctx = { ...given, cores: wish.workers }
  const report = emptyReport('migrate')
  const first = await prepare(ctx, track, wish, report)
  if (!first) return { ...report, verdict: verdictOf(report) }

  const run = await openRun(ctx, 'migrate', wish.leaseWaitMs)
  try {
    // another run may have done all of it while we waited: the ledger is read again under the lease
    const plan = await describe((await look(run.writer, track, wish)).plan)
    report.findings.push(...plan.findings.filter(f => f.level === 'error'))
    if (plan.steps.length === 0)
      report.findings.push(finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }))
    else if (report.findings.every(f => f.level !== 'error')) await execute(run, track, plan, wish, report)
    report.findings.push(...heldFindings(plan, run.target.info.database))
    report.verdict = verdictOf(report)
    return report
  } finally {
    await run.close(report.verdict)
  }
}

/** Everything that can be said without writing; null when nothing is to run or a guard said no. */
async function prepare(ctx: Context, track: Track, wish: MigrateWish, report: Report): Promise<Plan | null> {
  await using session = await connect(ctx, 'reader')
  const target = await inspect(ctx, session)
  report.target = target.info
  report.findings.push(...judgeServer(target, true))
  const { plan, history, hasLedger } = await look(session, track, wish)
  report.findings.push(...plan.findings)
  if (report.findings.some(f => f.level === 'error')) return null
  if (plan.steps.length === 0) {
    report.findings.push(
      finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }),
      ...heldFindings(plan, target.info.database),
    )
    return null
  }
  const { info, faults: wrong } = await readTrackInfo(track)
  const faults = [...wrong, ...(await lint(track)).filter(f => f.level === 'error')]
  if (faults.length > 0) throw new Failures(faults)
  const described = await describe(plan)
  if (wish.pin)
    report.findings.push(...judgePin(wish.pin, await pinOf(session, described, history, wish, target.major)))
  const obstacles = await preflight(
    session,
    plan.steps.map(s => s.migration),
  )
  if (obstacles.some(f => f.code === 'ALREADY_EXISTS')) {
    // a run beside this one may have made it since the ledger was read: its row came in the same commit
    const now = await look(session, track, wish)
    if (now.history.applied.size !== history.applied.size) {
      report.findings = []
      return prepare(ctx, track, wish, report)
    }
  }
  report.steps = described.steps.map(s => stepResult(s, 'not-run', 'refused before the first step'))
  report.findings.push(
    ...judgeRights(target, hasLedger),
    ...judgeSettings(track.name, info, ctx.settings),
    ...obstacles,
    ...(await otherTracks(session, ctx, track, obstacles)),
    ...guard(described, wish.consent),
  )
  return report.findings.some(f => f.level === 'refused') ? null : described
}

/** What is left and how to get there. */
export function heldFindings(plan: Plan, database: string): Finding[] {
  const first = plan.held[0]
  if (!first) return []
  const hazards = new Set(
    plan.held.flatMap(h => [...h.migration.hazards, ...(h.migration.endsOldApp ? ['ENDS_OLD_APP'] : [])]),
  )
  const command =
    first.why === 'ends-old-app'
      ? `rethread migrate --track ${plan.track} --phase contract --allow ${[...hazards].sort().join(',')}`
      : `rethread migrate --track ${plan.track}`
  return [
    finding('STOPPED_BEFORE', first.migration.name, {
      why: first.why,
      left: plan.held.length,
      because: first.migration.endsOldApp,
      command,
      database,
    }),
  ]
}

async function execute(run: Run, track: Track, plan: Plan, wish: MigrateWish, report: Report): Promise<void> {
  await closeArchives(run, track.name)
  if (plan.applied.length === 0) await recordSights(run, track)
  if (plan.steps[0]) await keepStart(run, track.name, plan.steps[0].migration.name)
  const results = new Map<Step, StepResult>(
    plan.steps.map(s => [s, stepResult(s, 'not-run', 'an earlier step did not finish')]),
  )
  const done: Step[] = []
  // umzug costs 60 ms to import: only when something is to run
  const { Umzug } = await import('umzug')
  const umzug = new Umzug({
    migrations: plan.steps.map(step => ({
      name: idOf(step.migration),
      up: async () => {
        await oneStep(run, track, plan, step, wish, results, report)
        done.push(step)
        await tellCost(run, track, plan, done, report)
      },
    })),
    // the ledger is written in each step's own transaction; umzug only orders and runs
    storage: { executed: async () => [], logMigration: async () => {}, unlogMigration: async () => {} },
    logger: undefined,
  })
  try {
    await umzug.up()
  } catch (error) {
    const cause = causeOf(error)
    if (cause instanceof Stop) {
      report.findings.push(...cause.findings)
      report.verdict = cause.verdict
    } else if (cause instanceof Failure && cause.finding.code === 'INTERRUPTED') {
      report.findings.push(cause.finding)
      report.verdict = 'interrupted'
    } else report.findings.push(...findingsOf(cause))
  }
  report.steps = [...results.values()]
  if (done.length > 0 && !run.writer.lost) await storeFingerprint(run)
}

/** umzug wraps what a migration throws. */
const causeOf = (error: unknown): unknown =>
  error instanceof Error && error.name === 'MigrationError' && error.cause ? error.cause : error

async function oneStep(
  run: Run,
  track: Track,
  plan: Plan,
  step: Step,
  wish: MigrateWish,
  results: Map<Step, StepResult>,
  report: Report,
): Promise<void> {
  const { ctx } = run
  const { migration } = step
  const index = plan.steps.indexOf(step) + 1
  const note = (change: Partial<StepResult>) => results.set(step, { ...results.get(step)!, ...change })
  if (ctx.signal.aborted)
    throw new Stop('interrupted', [finding('INTERRUPTED', migration.name, { command: null })])
  const gates = await gateRows(run.writer, track, migration.name)
  if (gates.length > 0) {
    note({ outcome: 'not-run', reason: `gate ${gates[0]!.check} found rows` })
    throw new Stop(
      'attention',
      gates.map(g => finding('GATE', migration.name, { check: g.check, rows: g.rows }, 'warn')),
    )
  }
  ctx.emit({
    type: 'step-start',
    migration: migration.name,
    title: migration.title,
    phase: migration.phase,
    direction: 'up',
    index,
    of: plan.steps.length,
  })
  const start = ctx.clock.now()
  try {
    const { executed, backfill } = await perform(run, step, wish)
    note({
      outcome: 'done',
      durationMs: executed.durationMs,
      attempts: executed.attempts,
      reason: executed.skipped ? `${executed.skipped} statement(s) already there` : null,
      rows: backfill?.rows ?? null,
    })
    report.findings.push(...executed.findings)
    if (backfill) report.backfill.push(backfill)
    ctx.emit({
      type: 'step-done',
      migration: migration.name,
      durationMs: executed.durationMs,
      rows: backfill?.rows ?? null,
      skipped: executed.skipped,
    })
  } catch (error) {
    const interrupted =
      error instanceof Stop || (error instanceof Failure && error.finding.code === 'INTERRUPTED')
    note({
      outcome: interrupted ? 'interrupted' : 'failed',
      durationMs: ctx.clock.now() - start,
      reason: null,
    })
    throw error
  }
}

async function perform(
  run: Run,
  step: Step,
  wish: MigrateWish,
): Promise<{ executed: Executed; backfill: BackfillResult | null }> {
  const { migration: m } = step
  const file = {
    track: m.track,
    migration: m.name,
    direction: 'up' as const,
    phase: m.phase,
    file: m.file,
    resumes: step.resumes,
  }
  if (m.backfill) return backfillStep(run, step, wish)
  const executed = m.transaction === 'none' ? await runStatements(run, file) : await runTransaction(run, file)
  return { executed, backfill: null }
}

/** A backfill as a step: open until the closing sweep is empty; only then does the ledger say done. */
async function backfillStep(run: Run, step: Step, wish: MigrateWish) {
  const { ctx } = run
  const start = ctx.clock.now()
  const row = await recordBackfill(run, step.migration)
  const ended = await runBackfill(run, step.migration, {
    unit: null,
    maxRows: null,
    workers: wish.workers,
    nice: wish.nice,
    throttleQuery: wish.throttleQuery,
  }).catch(async error => {
    if (!run.writer.lost) await row.end('failed', ctx.clock.now() - start).catch(() => {})
    throw error
  })
  const durationMs = ctx.clock.now() - start
  if (ended.outcome !== 'done') {
    await row.end('interrupted', durationMs)
    const paused = !ctx.signal.aborted
    throw new Stop(paused ? 'attention' : 'interrupted', [
      ...ended.findings,
      finding('INTERRUPTED', step.migration.name, {
        command: paused ? 'rethread backfill --resume' : 'the same command',
        rows: ended.result.rows,
      }),
    ])
  }
  await row.end('done', durationMs)
  return {
    executed: { attempts: 1, durationMs, skipped: 0, findings: ended.findings },
    backfill: ended.result,
  }
}

/** Longest look for the cost line at the end, and after the steps before, in milliseconds. */
const costTimeoutMs = 500
const glanceMs = 100

/** After every step: the exact way back, and what it would cost now. */
async function tellCost(run: Run, track: Track, plan: Plan, done: Step[], report: Report): Promise<void> {
  const applied = [...plan.applied, ...done.map(s => s.migration)]
  const command = await rollbackCommand(track, plan.applied.at(-1) ?? null, applied, run.target.info.database)
  const last = done.length === plan.steps.length
  const before = report.findings.find(f => f.code === 'ROLLBACK_COST')
  // what a glance could not tell after one step, it can't after the next: only the longer
  // look at the end tries again
  const rows =
    before?.facts.atRisk === null && !last
      ? null
      : await glance(
          run,
          done.map(s => s.migration),
          last ? costTimeoutMs : glanceMs,
        )
  run.ctx.emit({ type: 'rollback-cost', command, atRisk: rows })
  report.findings = report.findings.filter(f => f !== before)
  report.findings.push(finding('ROLLBACK_COST', track.name, { command, atRisk: rows }))
}

/** Rows at risk, on a connection of its own: what the look costs, or fails by, is not the writer's. */
async function glance(run: Run, migrations: Migration[], timeoutMs: number): Promise<number | null> {
  await using reader = await connect(run.ctx, 'reader')
  return await atRisk(reader, migrations, timeoutMs)
}
