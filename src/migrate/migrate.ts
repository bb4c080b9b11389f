import { hasUnsealed } from '../archive/archive.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect, judgeServer } from '../database/server.js'
import type { Consent } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, verdictOf } from '../model/report.js'
import { undescribedHeld } from '../plan/make_plan.js'
import { migrateCommand } from '../plan/next_command.js'
import { type Drift, drifted, driftFinding, noDrift } from '../run/schema_snapshot.js'
import { objects } from '../run/schema_snapshot.sql.js'
import type { MigrateOptions } from './migrate_options.js'
import type { PreparedRun, Seen } from './prepare_run.js'
import { readPlan } from './read_plan.js'

/**
 * Applies pending migrations in order, as far as the options say. Guards come first: a run that is refused
 * has changed nothing.
 */
export async function migrate(ctx: Context, track: Track, options: MigrateOptions): Promise<Report> {
  const report = emptyReport('migrate')
  let prepared = await prepare(ctx, track, options, report)
  while (prepared === 'outrun') {
    report.findings = []
    prepared = await prepare(ctx, track, options, report)
  }
  if (!prepared) return proceeding({ ...report, verdict: verdictOf(report) }, track, options)
  const { executePrepared } = await import('./execute_prepared.js')
  return proceeding(await executePrepared(ctx, track, prepared, options, report), track, options)
}

/** Adds the command that continues, if only consent is missing. */
function proceeding(report: Report, track: Track, options: MigrateOptions): Report {
  const { findings } = report
  if (!findings.some(f => f.code === 'CONSENT_NEEDED')) return report
  return { ...report, next: migrateCommand(track.name, options, findings, options.consent) }
}

/**
 * Everything that is done without writing. Returns null if nothing is to run or a guard refused, and 'outrun'
 * if another run has applied the steps meanwhile.
 */
async function prepare(
  ctx: Context,
  track: Track,
  options: MigrateOptions,
  report: Report,
): Promise<PreparedRun | 'outrun' | null> {
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  report.target = target.info
  report.findings.push(...judgeServer(target, true))
  const read = await readPlan(connection, track, options)
  const { plan, hasLedger } = read
  report.findings.push(...plan.findings, ...read.reopened)
  if (report.findings.some(f => f.level === 'error' || isElsewhere(f))) return null
  // the schema is read once, for the check of drift and for a later rollback to before the first step
  const schema = hasLedger || plan.steps.length > 0 ? await objects(connection.sql) : null
  const drift = hasLedger && schema ? await drifted(connection, target.major, schema) : noDrift
  if (plan.steps.length === 0) {
    if (await hasUnsealed(connection.sql, track.name)) {
      const { sealBroken } = await import('../archive/archive.js')
      await sealBroken(ctx, connection, track.name, options.leaseWaitMs)
    }
    if (await isDriftOfTrack(track, drift, options.consent)) report.verdict = 'attention'
    report.findings.push(
      ...driftFinding(drift),
      finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }),
      ...undescribedHeld(plan, target.info.database),
    )
    return null
  }
  // code that parses, judges and applies is loaded only if something is pending; usually nothing is
  const { prepareRun } = await import('./prepare_run.js')
  const seen: Seen = { ...read, target, schema, drift }
  return await prepareRun(ctx, connection, track, seen, options, report)
}

/** True for findings about migrations that another tool has applied: they would be applied twice. */
const isElsewhere = ({ code }: Finding): boolean =>
  code === 'APPLIED_ELSEWHERE' || code === 'ELSEWHERE_FAILED' || code === 'ELSEWHERE_CHANGED'

/** Whether others have changed objects of the track and this was not allowed by name. */
export async function isDriftOfTrack(track: Track, { changed }: Drift, consent: Consent): Promise<boolean> {
  if (changed.length === 0 || consent.allow.has('IGNORES_DRIFT')) return false
  const { driftHazards } = await import('../plan/drift.js')
  return (await driftHazards(track, changed)).length > 0
}
