import { type Context, connect } from '../database/context.js'
import { Failure, findingsOf } from '../model/failure.js'
import {
  emptyReport,
  exitCodes,
  finding,
  type Report,
  type TargetReport,
  verdictOf,
} from '../model/report.js'
import { databaseIdentity } from './database_identity.sql.js'
import type { FleetTarget } from './parse_targets.js'

/** A command that is ready to run on one database. */
interface OpenedTarget {
  ctx: Context
  run(): Promise<Report>
  close(): Promise<void>
}

/** What the runs on one list share. */
export interface FleetRun {
  command: string
  /** Opens the command on a database without connecting. The signal stops it like Ctrl-C. */
  open(target: FleetTarget, signal: AbortSignal): OpenedTarget
  /** Removes the secrets of a database's URL from its report. */
  masked(report: Report, target: FleetTarget): Report
  /** Called with every error that ended a database's run. */
  onError(error: unknown, target: FleetTarget): void
  clock: Context['clock']
  signal: AbortSignal
  /** Time limit of a database, in seconds; null for none. */
  deadline: number | null
}

/** How long to wait for a stopped database, in seconds, before its report is made without it. */
const waited = 30

/** The databases that were already used, by identity, with their names. */
export type Met = Map<string, string>

/**
 * Runs the command on one database. Never rejects: every error becomes a report. TARGET_TWICE if the database
 * was used under another name; TARGET_LATE if it does not end within its time limit.
 */
export async function runTarget(fleet: FleetRun, met: Met, target: FleetTarget): Promise<TargetReport> {
  const { clock, signal, deadline } = fleet
  const began = clock.now()
  const stop = new AbortController()
  const ended = new AbortController()
  const work = workOn(fleet, met, target, AbortSignal.any([signal, stop.signal]))
  const late = deadline === null ? [] : [lateReport(fleet, deadline, stop, ended.signal)]
  const report = fleet.masked(await Promise.race([work, ...late]), target)
  ended.abort()
  if (deadline !== null && report.verdict === 'interrupted' && !signal.aborted)
    report.findings.push(finding('TARGET_LATE', fleet.command, { deadline, waited: null }))
  const seconds = Math.round((clock.now() - began) / 100) / 10
  return { name: target.name, exitCode: exitCodes[report.verdict], seconds, report }
}

async function workOn(fleet: FleetRun, met: Met, target: FleetTarget, signal: AbortSignal): Promise<Report> {
  let opened: OpenedTarget | null = null
  try {
    opened = fleet.open(target, signal)
    await refuseTwice(opened.ctx, met, target)
    return await opened.run()
  } catch (error) {
    fleet.onError(error, target)
    return reportOfError(fleet.command, error)
  } finally {
    await opened?.close().catch(error => fleet.onError(error, target))
  }
}

const reportOfError = (command: string, error: unknown): Report => {
  const report = { ...emptyReport(command), findings: findingsOf(error) }
  return { ...report, verdict: verdictOf(report) }
}

/** Throws TARGET_TWICE if the database was used under another name. The command takes the session over. */
async function refuseTwice(ctx: Context, met: Met, { name }: FleetTarget): Promise<void> {
  const connection = await connect(ctx, 'reader')
  ctx.spare.reader = connection
  const identity = await databaseIdentity(connection.sql)
  const other = met.get(identity)
  if (other !== undefined) throw new Failure('TARGET_TWICE', name, { other })
  met.set(identity, name)
}

/** Stops a database after its time limit. Returns a report if it does not end then either. */
async function lateReport(
  { command, clock }: FleetRun,
  deadline: number,
  stop: AbortController,
  ended: AbortSignal,
): Promise<Report> {
  await clock.sleep(deadline * 1000, ended)
  stop.abort()
  await clock.sleep(waited * 1000, ended)
  const stuck = finding('TARGET_LATE', command, { deadline, waited }, 'error')
  return { ...emptyReport(command), verdict: 'failed', findings: [stuck] }
}
