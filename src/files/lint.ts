import { Failure } from '../model/failure.js'
import type { Transaction } from '../model/foreign.js'
import { acts, type Migration, type Rollback, type SqlFile, type Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { readBackfillStatement } from './backfill_statement.js'
import { droppedObjects, droppedTables, objectText } from './dropped_objects.js'
import { readExpected } from './expected.js'
import { rulesOf } from './rules.js'
import type { SquawkWarning } from './squawk.js'
import { proofOf } from './statement_proof.js'
import {
  lineOf,
  mostCharacters,
  parseStatements,
  relationName,
  type Statement,
  SyntaxFault,
  scanTokens,
  statementsOrNone,
  withoutByteOrderMark,
} from './statements.js'
import { runsAlone } from './transactions.js'

/**
 * How a file is executed, or its kind. `foreign` is true for a file of another tool, which has other
 * conventions.
 */
interface Kind {
  kind: Transaction | 'check' | 'probe'
  foreign: boolean
  whenEmpty: 'EMPTY_FILE' | 'EMPTY_ROLLBACK'
}

/** PostgreSQL truncates longer names silently. Source: NAMEDATALEN - 1 bytes. */
const longestName = 63

/**
 * The track with the files that `lint` must check. Of another tool's files these are the pending ones: faults
 * in files that are applied already do not stop a run.
 */
export const toLint = (track: Track, pending: Migration[]): Track =>
  track.layout ? { ...track, migrations: pending } : track

/**
 * Parses every file of a track and collects the faults, each with file and line. `warnings` are those of
 * squawk.
 */
export async function lint(
  track: Track,
  warnings: ReadonlyMap<string, SquawkWarning[]> = new Map(),
): Promise<Finding[]> {
  const faults: Finding[] = []
  for (const m of track.migrations) {
    const foreign = m.foreign !== null
    faults.push(
      ...(m.foreign?.faults ?? []),
      ...(await lintFile(m.file, { kind: m.transaction, foreign, whenEmpty: 'EMPTY_FILE' })),
      ...(await rulesOf(m, warnings.get(m.file.path))),
    )
    if (m.backfill) {
      try {
        await readBackfillStatement(m.file.text, m.file.path, m.backfill)
      } catch (error) {
        if (error instanceof Failure) faults.push(error.finding)
        else if (!(error instanceof SyntaxFault)) throw error
      }
    }
    if (m.rollback)
      faults.push(
        ...(await lintFile(m.rollback.file, {
          kind: m.rollback.transaction,
          foreign,
          whenEmpty: 'EMPTY_ROLLBACK',
        })),
        ...(await dropsApart(m.rollback)),
        ...(await oursOfOthers(m.rollback)),
      )
  }
  // files of another tool are in the order of that tool
  if (!track.layout) faults.push(...(await dropsBeforeCreates(track)))
  for (const check of track.checks)
    faults.push(
      ...(await lintFile(check.file, {
        kind: acts(check) ? 'probe' : 'check',
        foreign: false,
        whenEmpty: 'EMPTY_FILE',
      })),
    )
  // only checks use expected.json; a rollback may lack some of the migrations that it names
  if (track.checks.length > 0) faults.push(...(await readExpected(track)).faults)
  return faults
}

/**
 * Columns that a rollback drops without a transaction. Their values must be archived in the same transaction.
 */
async function dropsApart({ file, transaction }: Rollback): Promise<Finding[]> {
  if (transaction === 'one') return []
  const statements = await statementsOrNone(file.text)
  return statements
    .filter(s => droppedObjects(s).some(o => o.kind === 'column'))
    .map(s =>
      finding('UNPROVABLE_STATEMENT', `${file.path}:${lineOf(file.text, s.offset).line}`, {
        sql: shortSql(s.text),
        drops: true,
      }),
    )
}

/** Objects that a rollback's `ours` names and its statements neither drop nor delete from. */
async function oursOfOthers({ file, ours, oursLine }: Rollback): Promise<Finding[]> {
  if (ours.length === 0) return []
  const statements = await statementsOrNone(file.text)
  // another finding reports a file that does not parse
  if (statements.length === 0) return []
  const taken = new Set(statements.flatMap(droppedObjects).flatMap(objectText))
  return ours
    .filter(o => !taken.has(o.object))
    .map(o =>
      finding('BAD_HEADER', `${file.path}:${oursLine}`, {
        reason: `\`ours\` names ${o.object}, which no statement of the file drops or deletes from`,
      }),
    )
}

/** Migrations that drop a table which a later one creates: the files are in the wrong order. */
async function dropsBeforeCreates(track: Track): Promise<Finding[]> {
  const drops = new Map<string, string>()
  const made = new Set<string>()
  const faults: Finding[] = []
  for (const m of track.migrations) {
    const statements = await statementsOrNone(m.file.text)
    for (const statement of statements) {
      for (const table of droppedTables(statement)) if (!made.has(table)) drops.set(table, m.file.path)
      if (statement.kind === 'CreateStmt') {
        const table = relationName(statement.node.relation)
        made.add(table)
        const dropped = drops.get(table)
        if (dropped && dropped !== m.file.path)
          faults.push(finding('DROP_BEFORE_CREATE', dropped, { table, creates: m.file.path }))
      }
    }
  }
  return faults
}

async function lintFile(file: SqlFile, { kind, foreign, whenEmpty }: Kind): Promise<Finding[]> {
  const faults: Finding[] = []
  const text = withoutByteOrderMark(file.text)
  const emptiness = (reason: string | null) =>
    finding(whenEmpty, file.path, { reason }, foreign && whenEmpty === 'EMPTY_FILE' ? 'info' : 'error')
  // reported already; the parser would take it for the end of the text
  if (foreign && text.includes('\0')) return []
  if (text.trim() === '') return foreign || whenEmpty === 'EMPTY_ROLLBACK' ? [emptiness(null)] : []
  if (text.length > mostCharacters)
    return [finding('FILE_TOO_LARGE', file.path, { characters: text.length, most: mostCharacters })]
  const at = (offset: number) => `${file.path}:${lineOf(text, offset).line}`
  let statements: Statement[]
  try {
    statements = await parseStatements(text)
    for (const token of mayBreakTokens(text) ? await scanTokens(text) : []) {
      if (!foreign && token.name === 'SCONST' && token.text.startsWith('$') && token.text.includes('\r')) {
        faults.push(finding('CR_IN_BODY', at(token.start), { file: file.path }))
      }
      if (token.name === 'IDENT' && Buffer.byteLength(token.text.replaceAll('"', '')) > longestName) {
        faults.push(
          finding('NAME_TOO_LONG', at(token.start), { name: token.text }, foreign ? 'warn' : 'error'),
        )
      }
    }
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    const { line, column, excerpt } = lineOf(text, error.offset)
    const where = `${file.path}:${line}`
    const data = copiedRows(text, error.offset)
    if (data !== null)
      return [finding('PSQL_META_COMMAND', at(data), { excerpt: lineOf(text, data).excerpt.trim() })]
    return excerpt.trimStart().startsWith('\\')
      ? [finding('PSQL_META_COMMAND', where, { excerpt })]
      : [finding('SYNTAX', where, { column, excerpt, reason: error.message })]
  }
  if (statements.length === 0) faults.push(emptiness('only comments'))
  for (const s of statements) faults.push(...lintStatement(s, kind, foreign, at(s.offset)))
  const last = statements.at(-1)
  if (kind === 'probe' && last && last.kind !== 'SelectStmt')
    faults.push(
      finding('BAD_HEADER', at(last.offset), { reason: 'a probe ends with a SELECT of what is wrong' }),
    )
  return faults
}

/** The position of the COPY FROM stdin whose data comes before a position; null if there is none. */
function copiedRows(text: string, before: number): number | null {
  const last = [...text.slice(0, before).matchAll(/^[ \t]*copy\b[^;]*\bfrom\s+stdin\b/gim)].at(-1)
  return last && !/^\\\.\s*$/m.test(text.slice(last.index, before)) ? last.index : null
}

/**
 * False if no token can be a name that is too long or contain a carriage return. Most files need no scan. A
 * character has at most four bytes.
 */
const mayBreakTokens = (text: string): boolean =>
  text.includes('\r') ||
  /[\w$]{64}|"[^"]{64}/.test(text) ||
  (nonAscii.test(text) && /[^\s"]{16}|"[^"]{16}/.test(text))

const nonAscii = /[^\0-\x7f]/

/** Transaction commands that do not end the transaction. */
const savepoints = new Set(['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE', 'TRANS_STMT_ROLLBACK_TO'])

function lintStatement(s: Statement, kind: Kind['kind'], foreign: boolean, at: string): Finding[] {
  const sql = shortSql(s.text)
  if (s.kind === 'TransactionStmt' && foreign)
    return savepoints.has(s.node.kind) ? [] : [finding('OWN_TRANSACTIONS', at, { sql })]
  if (s.kind === 'TransactionStmt') return [finding('TRANSACTION_CONTROL', at, { sql })]
  if (s.kind === 'CopyStmt' && s.node.is_from && !s.node.filename) {
    return [finding('PSQL_META_COMMAND', at, { excerpt: sql })]
  }
  const alone = runsAlone(s)
  if ((kind === 'one' || kind === 'probe') && alone) return [finding('NEEDS_NO_TRANSACTION', at, { sql })]
  if (kind === 'none' && !proofOf(s)) return [finding('UNPROVABLE_STATEMENT', at, { sql, drops: false })]
  if (kind === 'check' && s.kind !== 'SelectStmt')
    return [finding('BAD_HEADER', at, { reason: 'a check is one SELECT' })]
  return []
}

/** The beginning of a statement on one line, for messages. */
export const shortSql = (sql: string): string => {
  const line = sql.trim().replace(/\s+/g, ' ')
  return line.length > 100 ? `${line.slice(0, 100)} ...` : line
}
