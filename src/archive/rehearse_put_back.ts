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

/** The result of trying to put some rows back. */
export interface PutBackRehearsal {
  /** The server's errors. The rollback cannot succeed as long as these remain. */
  refused: Finding[]
  /** False if it could not be tried, was too slow, or met a lock. */
  complete: boolean
}

/** Most rows of each migration that are put back, the first ones. */
const rowsTried = 20

/** SQLSTATEs that say nothing about the rows: a timeout, a lock, or a missing right. */
const inconclusive = ['57014', '55P03', '40P01', '25006', '42P01', '42703', '42883', '3F000', '42501']

/**
 * Tries the statements of rollback files that put rows back, on a sample, in transactions that are rolled
 * back. An error here would stop the rollback in the middle. The rows go to a temporary table like their own,
 * to which the earlier statements of the rollback have been applied, so nothing that the application uses is
 * locked. `undone` is in the order of the rollback.
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

/** A statement that moves rows from the quarantine into a table, as it is sent for the twin. */
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

/** Replaces the name of the table after `head` by that of the twin. */
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
    // the twin lacks some objects, such as foreign keys, which cannot be dropped from it
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

/** Findings for rows that migrations had quarantined and their rollbacks have left in the quarantine. */
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
