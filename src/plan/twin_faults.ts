import { shortSql } from '../files/lint.js'
import { nameKeyOf, pairsIn } from '../files/moved_names.js'
import { lineOf, type Statement } from '../files/statements.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import type { ScriptLine, TwinScript } from './twin_script.js'

/** What the server said of a statement on the twins. */
export interface TwinFault {
  code: string
  message: string
  /** The functions that were at work, innermost first, as the server writes them. */
  where?: string
}

/** Which line of the script failed, and how; -1 where there were no twins. */
export interface StoppedAt {
  at: number
  fault: TwinFault
}

/**
 * What a fault on a twin says of the real run: it would fail too. Everything else may be the twins' own:
 * names and grants that they do not have, or a server that is busy.
 */
const sameThere =
  /^(42804|42809|42703|42883|42846|42830|42P17|42P16|42611|0A000|22P02|42803|42P10|42P01|42P13|42P18|42P2[012]|42725|54011)$/
/** Faults that may also follow from a statement that was left out. */
const mayFollow = /^(42703|42883|42P01|42P10)$/

/** A published table without an identity refuses these: a new one, for the twins of others have one. */
const isChange = ({ kind }: Statement): boolean => kind === 'UpdateStmt' || kind === 'DeleteStmt'

/** SQLSTATE of what an object does not allow: a key that can be deferred, as the target of a foreign key. */
const notThatWay = '55000'

/**
 * What a fault means for the real run. With NOT_TRIED the rehearsal goes on without the statement, every
 * other finding ends it. Null where only the twins refuse the statement.
 */
export async function judgeTwinFault(
  track: Track,
  script: TwinScript,
  { at, fault }: StoppedAt,
  eventTriggers: { name: string; function: string }[],
): Promise<Finding | null> {
  const failed = script.lines[at]
  const raising = raisedBy(fault.where, eventTriggers)
  if (raising) {
    const sql = failed ? shortSql(failed.statement.text) : 'create table'
    return finding('EVENT_TRIGGER_RAISES', raising, { sql, sqlstate: fault.code, reason: fault.message })
  }
  if (!failed) return finding('NOT_REHEARSED', track.name, { reason: saidOf(fault) })
  if (!(await holdsThere(failed.statement, fault, script))) return null
  if (script.leftOut.length === 0 || !mayFollow.test(fault.code))
    return finding('WOULD_FAIL', whereIn(failed), whatOf(failed, fault))
  const leftOut = script.gaps.filter(gap => gap.before <= at).at(-1)?.text ?? script.leftOut[0]!
  return finding('NOT_TRIED', whereIn(failed), { ...whatOf(failed, fault), leftOut: shortSql(leftOut) })
}

/** A fault in a line. */
export const saidOf = ({ code, message }: TwinFault): string => `${code}: ${message}`

/** A text of the server for a reader, who knows no twin. */
export const withoutTwins = (text: string): string => text.replaceAll('rethread_twin_', '')

/** The event trigger whose function has raised a fault; null where none has. */
const raisedBy = (where: string | undefined, triggers: { name: string; function: string }[]): string | null =>
  triggers.find(t => where?.includes(`function ${t.function}(`) || where?.includes(`.${t.function}(`))
    ?.name ?? null

/** Whether the tables themselves would refuse the statement too. */
async function holdsThere(s: Statement, { code }: TwinFault, { notMade }: TwinScript): Promise<boolean> {
  const follows = mayFollow.test(code) && (await pairsIn(s.text)).some(p => notMade.has(nameKeyOf(p)))
  if (follows) return false
  return sameThere.test(code) || (code === notThatWay && (isChange(s) || s.kind === 'AlterTableStmt'))
}

const whereIn = ({ migration: { file }, statement }: ScriptLine): string =>
  `${file.path}:${lineOf(file.text, statement.offset).line}`

/** A statement and what the server said of it. */
const whatOf = ({ statement }: ScriptLine, { code, message }: TwinFault) => ({
  sql: shortSql(statement.text),
  sqlstate: code,
  reason: withoutTwins(message),
})
