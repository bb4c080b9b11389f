import { failedRows } from '../backfill/failed_rows.sql.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import type { Context } from '../database/context.js'
import { isFiltered, isRefused, serverFault } from '../database/faults.js'
import { readAside, type Scope, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { expectedOf } from '../files/expected.js'
import { withoutByteOrderMark } from '../files/statements.js'
import { tablesOf } from '../files/track_objects.js'
import { type Expectation, expectedNow, whyNothingExpected } from '../model/expected.js'
import { Failure } from '../model/failure.js'
import { acts, type Check, findingKey, type Track, whyNotRun } from '../model/project.js'
import { type CheckResult, type Finding, finding, type Probed, type Table } from '../model/report.js'
import { accessMatrix } from './access_matrix.js'
import { CantProbe, runProbe } from './probes.js'
import { checkRows } from './run_check.sql.js'

/** Rows of a finding that are shown. */
const mostShownRows = 20
/** Longest check, in milliseconds. */
const checkTimeoutMs = 120_000

/** One check's part of a report. */
export interface Checked {
  result: CheckResult
  tables: Table[]
  findings: Finding[]
}

/** True for checks that speak before the migration. */
export const isOutlook = (check: Check): boolean => check.kind === 'outlook'

/** What checks say of the data as it stands, told as what lies ahead and not as a fault. */
export async function foretell(
  ctx: Context,
  connection: Connection,
  checks: Check[],
  applied: ReadonlySet<string> = new Set(),
): Promise<Finding[]> {
  const found: Finding[] = []
  for (const check of checks) {
    const { result } = await runCheck(ctx, connection, check, applied)
    const level = check.level === 'info' ? 'info' : 'warn'
    for (const row of result.found)
      found.push(finding('OUTLOOK', row.object, { detail: row.detail, check: check.name }, level))
  }
  return found
}

/**
 * The listings of a track that speak before a migration, as tables. One that the server could not answer says
 * so.
 */
export async function foretellTables(
  ctx: Context,
  connection: Connection,
  checks: Check[],
  applied: ReadonlySet<string>,
): Promise<Table[]> {
  const found: Table[] = []
  for (const check of checks.filter(c => c.kind === 'listing' && c.until !== null)) {
    const { result, tables } = await runCheck(ctx, connection, check, applied)
    found.push(...tables.filter(t => t.rows.length > 0))
    if (result.outcome === 'failed')
      found.push({ title: check.title, columns: ['not counted'], rows: [[result.reason]] })
  }
  return found
}

/** What the checks that all tracks share read of one of them, from settings of the transaction. */
export interface SharedFacts {
  /** Tables that the track makes or calls its sessions and messages. */
  tables: string[]
  /** Its expected.json, entries that do not hold yet included. */
  expected: Expectation[]
}

/** Reads them from the track's files. Throws BAD_EXPECTED. */
export async function sharedFactsOf(track: Track): Promise<SharedFacts> {
  return { expected: await expectedOf(track), tables: await tablesOf(track) }
}

/** Why a check would look at nothing at what is applied, else null. */
export const whySkipped = (
  check: Check,
  expected: Expectation[],
  applied: ReadonlySet<string>,
): string | null =>
  whyNotRun(check, applied) ?? (check.expects && whyNothingExpected(expected, check.expects, applied))

/** What a check that acts, or that is shared by all tracks, has to know. */
export interface CheckSurroundings extends SharedFacts {
  track: Track
  /** Whether every row is read: matrices walk through large tables, and checks don't take an index's word. */
  deep: boolean
  /** What a check that acts is taken back to; null where none may act. */
  scope: Scope | null
}

/** Runs one check. A listing gives its rows as a table and is never wrong. */
export async function runCheck(
  ctx: Context,
  connection: Connection,
  check: Check,
  applied: ReadonlySet<string>,
  around: CheckSurroundings | null = null,
): Promise<Checked> {
  const base = {
    track: check.track,
    check: check.name,
    title: check.title,
    level: check.level,
    found: [],
    more: false,
    reason: null,
    durationMs: 0,
  }
  const only = (result: CheckResult): Checked => ({ result, tables: [], findings: [] })
  const expected = around?.expected ?? []
  const reason = whySkipped(check, expected, applied)
  if (reason) return only({ ...base, outcome: 'skipped', reason })
  if (ctx.signal.aborted) return only({ ...base, outcome: 'skipped', reason: 'interrupted before it ran' })
  const start = ctx.clock.now()
  const spent = () => Math.round(ctx.clock.now() - start)
  try {
    if (acts(check)) {
      if (!around?.scope)
        return only({ ...base, outcome: 'skipped', reason: 'it writes, if only to roll back' })
      const { track, scope, deep } = around
      const probed = await takenBack(scope, tx => act(tx, track, check, deep))
      return checkedResult(base, check, probed, spent())
    }
    const rows = await readCheckRows(connection, check, {
      tables: around?.tables ?? [],
      expected: expectedNow(expected, applied),
      deep: around?.deep ?? false,
    })
    if (isListing(check)) {
      const columns = Object.keys(rows[0] ?? {})
      const cells = rows.map(r => columns.map(c => cellValue(r[c])))
      const result: CheckResult = { ...base, outcome: 'pass', durationMs: spent() }
      return { result, tables: [{ title: check.title, columns, rows: cells }], findings: [] }
    }
    const found = rows.map(r => ({ object: String(r.object ?? ''), detail: String(r.detail ?? '') }))
    return checkedResult(base, check, { found, tables: [], findings: [], skipped: null }, spent())
  } catch (error) {
    if (!isRefused(error) && !(error instanceof CantProbe)) throw error
    const fault = serverFault(error)
    const reason = !fault
      ? (error as Error).message
      : isFiltered(error)
        ? `${fault.message} (this role can't see every row: a check would count too few)`
        : `${fault.code}: ${fault.message}${fault.code === '42501' ? ' (this role lacks a right: grant it as the owner)' : ''}`
    return only({ ...base, outcome: 'failed', reason, durationMs: spent() })
  }
}

/** What was found, as the report has it. */
export function checkedResult(
  base: Omit<CheckResult, 'outcome'>,
  check: Pick<Check, 'track' | 'name'>,
  probed: Probed,
  durationMs: number,
): Checked {
  const { found, tables, findings, skipped } = probed
  const outcome = skipped !== null ? 'skipped' : found.length > 0 ? 'found' : 'pass'
  return {
    result: {
      ...base,
      outcome,
      found: found
        .slice(0, mostShownRows)
        .map(f => ({ ...f, key: findingKey(check, f.object), accepted: null })),
      more: found.length > mostShownRows,
      reason: skipped,
      durationMs,
    },
    tables,
    findings,
  }
}

const cellValue = (value: unknown): string | number | boolean | null =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value)
    ? (value as string)
    : value instanceof Date
      ? value.toISOString()
      : String(value)

/** The rows of a check, in a transaction that the server holds read-only and that always rolls back. */
function readCheckRows(
  connection: Connection,
  check: Check,
  known: SharedFacts & { deep: boolean } = { tables: [], expected: [], deep: false },
): Promise<Record<string, unknown>[]> {
  return readAside(connection.sql, async tx => {
    await setLocal(tx, 1000, checkTimeoutMs, {
      'rethread.tables': JSON.stringify(known.tables),
      'rethread.expected': JSON.stringify(known.expected),
      'rethread.deep': known.deep ? 'yes' : 'no',
      ...(check.file.text.includes(`'${failedSetting}'`)
        ? { [failedSetting]: JSON.stringify(await failedRows(tx, check.track)) }
        : {}),
    })
    return checkRows(tx, withoutByteOrderMark(check.file.text), isListing(check) ? 200 : mostShownRows + 1)
  })
}

/** The rows of the track that failed, for checks that name it: an older ledger has no list of them. */
const failedSetting = 'rethread.failed'

/** Checks whose rows are told as they are. */
export const isListing = (check: Check): boolean => check.kind === 'listing' || check.kind === 'account'

/**
 * The gates of a migration that say no, each with the number of rows seen. Throws CHECK_FAILED for one that
 * the server could not answer.
 */
export async function gateRows(
  connection: Connection,
  track: Track,
  migration: string,
): Promise<{ check: string; rows: number }[]> {
  const closed: { check: string; rows: number }[] = []
  for (const check of track.checks.filter(c => c.gate === migration)) {
    const rows = await readCheckRows(connection, check).catch(error => {
      if (!isRefused(error)) throw error
      const { code, message } = serverFault(error)!
      throw new Failure('CHECK_FAILED', check.name, { reason: `${code}: ${message}` }, error)
    })
    if (rows.length > 0) closed.push({ check: check.name, rows: rows.length })
  }
  return closed
}

/**
 * Runs an access file or a probe inside a transaction that somebody else rolls back. `deep` walks through
 * large tables for updates without a WHERE, where some of the rows are tried otherwise.
 */
export const act = (tx: Db, track: Track, check: Check, deep: boolean): Promise<Probed> =>
  check.kind === 'access' ? accessMatrix(tx, check, deep) : runProbe(tx, track, check)
