import { shortSql } from '../files/lint.js'
import { lineOf, parseStatements, type Statement } from '../files/statements.js'
import { plural } from '../model/plural.js'
import { type Finding, finding, type Table } from '../model/report.js'
import type { Moment } from './old_app.js'

/** A file with statements of an application. */
export interface Application {
  text: string
  statements: Statement[]
}

/** The applications that a rehearsal tries. */
export interface Applications {
  /** The current one: before the first step and after each phase. */
  old: Application
  /** The next one: after all steps. */
  new: Application
}

/** Reads both files; null for one that is not tried. Throws SyntaxFault. */
export const readApplications = async (old: string | null, next: string | null): Promise<Applications> => ({
  old: { text: old ?? '', statements: await parseStatements(old ?? '') },
  new: { text: next ?? '', statements: await parseStatements(next ?? '') },
})

/**
 * The result of each statement of the new application after the steps, with a finding for each that the
 * server refuses. `unreached` are steps that could not be rehearsed, so the schema lacks their changes.
 */
export function judgeNewApp(
  { text, statements }: Application,
  moment: Moment,
  after: string,
  unreached: string[],
): { table: Table; findings: Finding[] } {
  const rows: Table['rows'] = []
  const findings: Finding[] = []
  for (const [i, s] of statements.entries()) {
    const came = moment.get(i)!
    const { line } = lineOf(text, s.offset)
    rows.push([line, shortSql(s.text), 'fault' in came ? came.fault : plural(came.rows, 'row')])
    if (!('fault' in came)) continue
    const [sqlstate, ...reason] = came.fault.split(': ')
    findings.push(
      finding('NEW_APP_FAILS', shortSql(s.text), {
        line,
        sqlstate: sqlstate!,
        reason: reason.join(': '),
        after,
      }),
    )
  }
  if (unreached.length > 0) findings.push(finding('NEW_APP_EARLY', after, { steps: unreached }))
  const title = `What the new application’s statements return ${after}`
  return { table: { title, columns: ['line', 'statement', 'outcome'], rows }, findings }
}
