import { setLocal } from '../database/connection.sql.js'
import { faultText, isRefused } from '../database/faults.js'
import { type Scope, savepoint, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { shortSql } from '../files/lint.js'
import type { Statement } from '../files/statements.js'
import { plural } from '../model/plural.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { rowsOfText } from '../run/execute_file.sql.js'

/** The result of each statement of an application at one moment: its rows, or the server's error. */
export type Moment = Map<number, { rows: number } | { fault: string }>

/** Runs the statements of an application one by one, each in a savepoint, and rolls all of it back. */
export async function runApplication(statements: Statement[], scope: Scope): Promise<Moment> {
  if (statements.length === 0) return new Map()
  return takenBack(scope, async tx => {
    await setLocal(tx, 500, 10_000)
    const moment: Moment = new Map()
    for (const [i, s] of statements.entries()) moment.set(i, await tried(tx, s.text))
    return moment
  })
}

async function tried(tx: Db, text: string): Promise<{ rows: number } | { fault: string }> {
  try {
    return { rows: await savepoint(tx)(inner => rowsOfText(inner, text)) }
  } catch (error) {
    if (!isRefused(error)) throw error
    return { fault: faultText(error) }
  }
}

/**
 * The result of each statement of the old application at each moment, with a finding for those that fail or
 * affect other rows than before.
 */
export function compareMoments(
  statements: Statement[],
  moments: { after: string; moment: Moment }[],
): { table: Table; findings: Finding[] } {
  const findings: Finding[] = []
  const outcomeOf = (m: Moment, i: number): string => {
    const x = m.get(i)
    return x === undefined ? '-' : 'fault' in x ? x.fault : plural(x.rows, 'row')
  }
  const [first, ...later] = moments
  for (const [i, s] of statements.entries()) {
    const before = outcomeOf(first!.moment, i)
    const other = later.find(m => outcomeOf(m.moment, i) !== before)
    if (other)
      findings.push(
        finding('OLD_APP_CHANGES', shortSql(s.text), {
          after: other.after,
          before,
          now: outcomeOf(other.moment, i),
        }),
      )
  }
  return {
    table: {
      title: 'What the old application’s statements return',
      columns: ['statement', ...moments.map(m => m.after)],
      rows: statements.map((s, i) => [shortSql(s.text), ...moments.map(m => outcomeOf(m.moment, i))]),
    },
    findings,
  }
}
