import type { Connection } from '../database/connection.js'
import { type Context, connect, inside } from '../database/context.js'
import { takenBack, transaction } from '../database/scopes.js'
import { inspect } from '../database/server.js'
import { readTrackInfo } from '../files/track_info.js'
import { isDriftOfTrack } from '../migrate/migrate.js'
import { readPlan } from '../migrate/read_plan.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, type Finding, type Report, type StepResult, verdictOf } from '../model/report.js'
import { namesIn } from '../model/table_name.js'
import { migrateCommand, undoCommand } from '../plan/next_command.js'
import { pinOf } from '../plan/pinned_plan.js'
import { schemaPicture } from '../plan/schema_picture.js'
import { planRollback, type RollbackOptions, rollbackConsent } from '../rollback/plan_rollback.js'
import { stepResult } from '../run/step_result.js'
import { findingsOfFiles, findingsOfRun } from './dry_run_findings.js'
import { dryRunTables, waitsTable } from './dry_run_tables.js'
import { estimateBackfills, sampleBackfills } from './estimate.js'
import { type DryRunOptions, type ForeseenRun, foresee } from './foreseen_run.js'

/**
 * Runs work in one READ ONLY REPEATABLE READ transaction, which is rolled back. The server refuses any write,
 * and all numbers are of one moment.
 */
async function inReadOnly<T>(ctx: Context, work: (connection: Connection) => Promise<T>): Promise<T> {
  await using connection = await connect(ctx, 'reader')
  const scope = transaction(connection.sql, 'isolation level repeatable read read only')
  return await takenBack(scope, tx => work(inside(connection, tx)))
}

/**
 * The dry run of `migrate`: steps with SQL, phases and hazards, the tables they touch,
 * who would be in the way now.
 */
export const dryRun = async (ctx: Context, track: Track, options: DryRunOptions): Promise<Report> =>
  (await dryRunAndPlan(ctx, track, options)).report

/** The dry run, and the plan that it speaks of. */
export function dryRunAndPlan(
  ctx: Context,
  track: Track,
  options: DryRunOptions,
): Promise<{ report: Report; plan: Plan }> {
  return inReadOnly(ctx, async connection => {
    const target = await inspect(ctx, connection)
    const report = emptyReport('plan', target.info)
    const read = await readPlan(connection, track, options)
    const { plan, hasLedger } = read
    const said = await readTrackInfo(track)
    const readRun = { ctx, connection, track, options, target, read, said }
    report.findings = await findingsOfFiles(readRun)
    if (report.findings.some(f => f.level === 'error'))
      return { report: { ...report, verdict: 'failed' as const }, plan }
    const run = await foresee(readRun)
    const names = plan.steps.map(s => s.migration.name)
    const backfills = await estimateBackfills(connection, track, names, hasLedger)
    report.steps = withEstimates(foreseenSteps(run.judged), backfills.estimates)
    const touched = tablesTouched(report.steps)
    report.tables = await dryRunTables(run, report.steps, touched, backfills.table)
    report.findings.push(...(await findingsOfRun(run, touched)))
    await addConclusion(report, run)
    return { report, plan }
  })
}

/** The steps as the report has them, each with its locks and how many rows it takes out. */
const foreseenSteps = ({ steps, leaving }: Plan): StepResult[] =>
  steps.map(s => {
    const takesOut = leaving?.get(s.migration.name)
    return { ...stepResult(s), locks: s.locks, ...(takesOut === undefined ? {} : { takesOut }) }
  })

/** What follows from the findings of a dry run: what to do next, what to pin, and its verdict. */
async function addConclusion(report: Report, run: ForeseenRun): Promise<void> {
  const { connection, track, options, target, read, judged } = run
  const isToRun = read.plan.steps.length > 0
  const picture = await schemaPicture(connection.sql, judged)
  if (picture) report.schema = picture
  if (isToRun) report.next = migrateCommand(track.name, options, report.findings, options.consent)
  if (options.pinned) report.pin = await pinOf(connection, judged, read.history, options, target)
  // as `migrate` that has nothing to do: what others changed of the track is to be looked at
  if (!isToRun && (await isDriftOfTrack(track, run.drift, options.consent))) report.verdict = 'attention'
  // a plan refuses nothing itself: what `migrate` would refuse is attention
  if (report.findings.some(f => f.level === 'refused')) report.verdict = 'attention'
  report.findings = refusingNothing(report.findings)
  report.verdict = verdictOf(report)
}

const refusingNothing = (findings: Finding[]): Finding[] =>
  findings.map(f => (f.level === 'refused' ? { ...f, level: 'warn' } : f))

/** Tables that a hazard of a step is about. */
const tablesTouched = (steps: StepResult[]): string[] => [
  ...new Set(steps.flatMap(s => s.hazards.map(h => h.subject)).filter(name => namesIn(name)?.length === 2)),
]

const withEstimates = (steps: StepResult[], of: Map<string, NonNullable<StepResult['estimate']>>) =>
  steps.map(s => (of.has(s.migration) ? { ...s, estimate: of.get(s.migration)! } : s))

/** The dry run, with estimates from batches that are run and rolled back. */
export async function dryRunWithSample(ctx: Context, track: Track, options: DryRunOptions): Promise<Report> {
  const report = await dryRun(ctx, track, options)
  const { table, estimates, findings } = await sampleBackfills(
    ctx,
    track,
    report.steps.filter(s => s.phase === 'backfill').map(s => s.migration),
  )
  if (table) report.tables.push(table)
  report.steps = withEstimates(report.steps, estimates)
  report.findings.push(...findings)
  return report
}

/** The dry run of a rollback: the loss report and the steps. */
export function dryRunRollback(ctx: Context, track: Track, options: RollbackOptions): Promise<Report> {
  return inReadOnly(ctx, async connection => {
    const target = await inspect(ctx, connection)
    const { plan, report } = await planRollback(connection, target, track, options)
    report.steps = foreseenSteps(plan)
    if (report.steps.length > 0) report.tables.push(waitsTable(report.steps))
    report.findings.push(...rollbackConsent(plan, options, target.info.database))
    if (plan.steps.length > 0)
      report.next = undoCommand(track.name, options, report.findings, options.consent)
    report.findings = refusingNothing(report.findings)
    return { ...report, command: 'plan', verdict: verdictOf(report) }
  })
}
