import { type Finding, finding, type Report, type StepResult, type Table } from '../model/report.js'
import { waitedFor } from '../run/lock_trace.js'
import type { Ran } from '../run/run_steps.js'
import { type Applications, judgeNewApp } from './new_app.js'
import { compareMoments, type Moment } from './old_app.js'

/** What a rehearsal adds to a plan's report. */
export interface Rehearsed {
  steps: StepResult[]
  checks: Report['checks']
  tables: Table[]
  findings: Finding[]
  /** The tables that the plan touches, as the steps have left them. */
  schema?: Report['schema']
  /** `interrupted` where somebody pressed Ctrl-C, `attention` where a gate closed. */
  verdict: Ran['verdict']
}

/** How the applications were tried: the old one before and after, the new one at the end. */
interface TriedApplications {
  moments: { after: string; moment: Moment }[]
  newMoment: Moment
  /** The last step that was done. */
  lastDone: string | undefined
  /** Steps that were not: the schema is not yet what they make of it. */
  unreached: string[]
}

/** What became of the statements of both applications. */
export function judgeApplications(
  applications: Applications,
  { moments, newMoment, lastDone = 'nothing', unreached }: TriedApplications,
): Pick<Rehearsed, 'tables' | 'findings'> {
  const { old, new: next } = applications
  const judged: { table: Table; findings: Finding[] }[] = []
  if (old.statements.length > 0) judged.push(compareMoments(old.statements, moments))
  if (next.statements.length > 0) judged.push(judgeNewApp(next, newMoment, `after ${lastDone}`, unreached))
  return { tables: judged.map(j => j.table), findings: judged.flatMap(j => j.findings) }
}

/** Objects that a report shows. */
const mostShownObjects = 20

/** Whether the schema is as it was before, after all of the way back. */
export const wayBack = (where: string, on: 'target' | 'copy', steps: number, differing: string[]): Finding =>
  differing.length === 0
    ? finding('REHEARSED', where, { steps, on })
    : finding('REHEARSAL_DIFFERS', where, { on, objects: differing.slice(0, mostShownObjects) })

/** The rollbacks that were rehearsed, with the locks that somebody would have waited for. */
export const downTable = (steps: StepResult[]): Table => ({
  title: 'The way back, rehearsed',
  columns: ['rollback', 'outcome', 'ms', 'locks'],
  rows: steps.map(s => [
    s.migration,
    s.outcome,
    s.durationMs === null ? null : Math.round(s.durationMs),
    waitedFor(s.traces.flatMap(t => t.locks)),
  ]),
})
