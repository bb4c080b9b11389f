import { type Context, connect } from '../database/context.js'
import type { Track } from '../model/project.js'
import { isFault, leavesUnseen, type Report, type StepResult, type Table } from '../model/report.js'
import { elementStructures } from '../plan/element_shapes.js'
import { tablesMadeBy, waitedFor } from '../run/lock_trace.js'
import type { DryRunOptions } from './foreseen_run.js'
import { readApplications } from './new_app.js'
import { dryRunAndPlan } from './plan.js'
import { rehearseInPlace } from './rehearse_in_place.js'
import { rehearseOnCopy } from './rehearse_on_copy.js'

/** The dry run with a rehearsal: on a copy, or on the target in one transaction that is rolled back. */
export async function dryRunWithRehearsal(
  ctx: Context,
  track: Track,
  options: DryRunOptions,
  url: string | null,
  apps: { old: string | null; new: string | null },
): Promise<Report> {
  // on a copy the steps really run, so visibility is examined there and not predicted
  const visibility = options.visibility === true && url !== null
  const { report, plan } = await dryRunAndPlan(ctx, track, {
    ...options,
    visibility: options.visibility === true && !visibility,
  })
  if (report.verdict === 'failed') return report
  const applications = await readApplications(apps.old, apps.new)
  const rehearsed =
    url === null
      ? await rehearseInPlace(ctx, track, plan, {
          applications,
          schema: report.schema,
          consent: options.consent,
        })
      : await rehearseOnCopy(ctx, track, {
          options,
          plan,
          url,
          applications,
          visibility,
          schema: report.schema,
        })
  const made = await tablesMadeBy(plan.steps.map(s => s.migration))
  report.steps = report.steps.map(s => {
    const played = rehearsed.steps.find(r => r.migration === s.migration)
    if (!played) return { ...s, outcome: 'not-run' as const, reason: 'it was not reached in the rehearsal' }
    const { outcome, reason, durationMs, attempts, rows } = played
    // objects that the plan creates have no users yet
    const traces = played.traces.map(t => ({ ...t, locks: t.locks.filter(l => !made.has(l.table ?? '')) }))
    return { ...s, outcome, reason, durationMs, attempts, rows, traces }
  })
  report.checks = rehearsed.checks
  if (rehearsed.schema) report.schema = rehearsed.schema
  report.tables.push(tracesTable(report.steps), ...(await structures(ctx, track)), ...rehearsed.tables)
  report.findings.push(...rehearsed.findings)
  const loud = rehearsed.checks.some(isFault)
  const stuck = rehearsed.findings.some(f => f.code === 'REHEARSAL_STUCK' || f.code === 'REHEARSAL_DIFFERS')
  const newAppFails = rehearsed.findings.some(f => f.code === 'NEW_APP_FAILS')
  // a step that failed in a rehearsal did no harm, so it is reported as a finding
  if (
    loud ||
    stuck ||
    newAppFails ||
    leavesUnseen(rehearsed.findings) ||
    report.steps.some(s => s.outcome === 'failed')
  )
    report.verdict = 'attention'
  if (rehearsed.verdict === 'interrupted') report.verdict = 'interrupted'
  return report
}

/** The structure of some elements that will become messages. Read from the target, also for a copy. */
async function structures(ctx: Context, track: Track): Promise<Table[]> {
  await using connection = await connect(ctx, 'reader')
  const table = await elementStructures(ctx, connection, track)
  return table ? [table] : []
}

/** The statements that took time, held locks that others wait for, or wrote. */
function tracesTable(steps: StepResult[]): Table {
  const rows: Table['rows'] = []
  for (const s of steps)
    for (const t of s.traces) {
      const locks = waitedFor(t.locks)
      if (t.ms < 1 && locks === null && t.rewritten.length === 0 && t.rows === 0) continue
      rows.push([
        s.migration,
        t.statement,
        Math.round(t.ms * 10) / 10,
        locks,
        t.rewritten.join(', ') || null,
        t.rows,
        t.walBytes,
      ])
    }
  return {
    title: 'Rehearsed',
    columns: [
      'step',
      'statement',
      'ms',
      'locks, and how long they were held',
      'rewritten',
      'rows',
      'WAL bytes',
    ],
    rows,
  }
}
