import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused, isSqlState, serverFault } from '../database/faults.js'
import { takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { lineOf, parseStatements, relationName, type Statement } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { sendText } from '../run/execute_file.sql.js'
import { attempt, leftAside, makeTwin, orphansOf, twin } from './rehearse_put_back.sql.js'

/** What became of putting some rows back and taking that back. */
export interface PutBackRehearsal {
  /** What the server refused: the way back is closed for as long as that is so. */
  refused: Finding[]
  /** False where it could not be tried, was too slow, or had to wait for somebody. */
  complete: boolean
}

/** Rows of each migration that are put back, in their order. */
const rowsTried = 20

/**
 * SQLSTATEs that say nothing of the rows: a time-out, a lock that is not waited for, a right that is
 * missing.
 */
const inconclusive = ['57014', '55P03', '40P01', '25006', '42P01', '42703', '42883', '3F000', '42501']

/**
 * Tries the statements of rollback files that put rows back, on a sample, in transactions that are
 * taken back:
 * what the table refuses today would end the rollback in the middle. The rows go to a temporary table like
 * the one that they came from, to which the statements of the rollback so far have been done: nothing that
 * the application uses is locked. `undone` is in the order of the rollback.
 */
export async function rehearsePutBack(
  connection: Connection,
  undone: Migration[],
  lockTimeoutMs: number,
  timeoutMs: number,
): Promise<PutBackRehearsal> {
  const refused: Finding[] = []
  let complete = true
  if (undone.every(m => !m.rollback || !putsSomethingBack.test(m.rollback.file.text)))
    return { refused, complete }
  const before: Statement[] = []
  for (const m of undone) {
    if (!m.rollback) continue
    const { file } = m.rollback
    for (const s of await parseStatements(file.text)) {
      const put = putBackOf(s)
      if (!put) {
        before.push(s)
        continue
      }
      try {
        const orphans = await takenBack(transaction(connection.sql, 'read write'), async tx => {
          await setLocal(tx, lockTimeoutMs, timeoutMs, {
            'rethread.sample': String(rowsTried),
            'rethread.twin': twin,
          })
          return tryOn(tx, put, before)
        })
        if (orphans.length > 0) refused.push(noWayBack(m, s, { code: '23503', message: orphans.join(', ') }))
      } catch (error) {
        if (!isRefused(error)) throw error
        if (isSqlState(error, ...inconclusive)) complete = false
        else refused.push(noWayBack(m, s, serverFault(error)!))
      }
    }
  }
  return { refused, complete }
}

/** A statement that takes rows out of the tool's own keeping into a table, as it is sent for the twin. */
interface PutBack {
  table: string
  text: string
}

const putsSomethingBack = /\brethread_archive\b[\s.]*(put_back|quarantine)\b/i
const call = /\brethread_archive\s*\.\s*put_back\s*\(\s*'[^']*'\s*,\s*'((?:[^']|'')*)'/i

function putBackOf({ kind, node, text }: Statement): PutBack | null {
  const called = kind === 'SelectStmt' ? call.exec(text) : null
  if (called) return { table: called[1]!.replaceAll("''", "'"), text }
  if (kind !== 'InsertStmt' || !/\bfrom\s+rethread_archive\s*\.\s*quarantine\b/i.test(text)) return null
  return { table: relationName(node.relation), text: retargeted(text, /\binsert\s+into\s+/i) }
}

/** After `head` comes the name of a table: the twin takes its place. */
const retargeted = (text: string, head: RegExp): string =>
  text.replace(
    new RegExp(`(${head.source})(?:"(?:[^"]|"")*"|[\\w$]+)(?:\\s*\\.\\s*(?:"(?:[^"]|"")*"|[\\w$]+))?`, 'i'),
    `$1${twin}`,
  )

async function tryOn(tx: Db, put: PutBack, before: Statement[]): Promise<string[]> {
  await makeTwin(tx, put.table)
  const dropped = new Set<string>()
  for (const { kind, node, text } of before) {
    if (kind !== 'AlterTableStmt' || relationName(node.relation) !== put.table) continue
    for (const { AlterTableCmd: c } of node.cmds) if (c.subtype === 'AT_DropConstraint') dropped.add(c.name)
    // what the twin does not have, such as a foreign key, can't be dropped from it
    await attempt(tx, retargeted(text, /\balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?/i))
  }
  await sendText(tx, put.text)
  return orphansOf(tx, put.table, dropped)
}

const noWayBack = (
  m: Migration,
  s: Statement,
  fault: { code: string; message: string; detail?: string },
): Finding =>
  finding('NO_WAY_BACK', m.name, {
    at: `${m.rollback!.file.path}:${lineOf(m.rollback!.file.text, s.offset).line}`,
    sqlstate: fault.code,
    reason: fault.message,
  })

/**
 * What migrations had set aside and their rollbacks, which put such rows back, have left in the
 * quarantine.
 */
export async function notPutBack(sql: Db, undone: Migration[]): Promise<Finding[]> {
  const found: Finding[] = []
  for (const m of undone) {
    if (!m.rollback || !putsSomethingBack.test(m.rollback.file.text)) continue
    const left = await leftAside(sql, m.track, m.name)
    for (const relation of new Set(left.map(l => l.relation))) {
      const rows = left.filter(l => l.relation === relation)
      const first = rows.slice(0, 10).map(l => `${l.key}: ${l.reason}`)
      found.push(finding('LEFT_ASIDE', relation, { rows: rows.length, first, migration: m.name }))
    }
  }
  return found
}
