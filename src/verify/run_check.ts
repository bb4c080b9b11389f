import { failedRows } from '../backfill/failed_rows.sql.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import type { Context } from '../database/context.js'
import { faultLine, isFiltered, isRefused, serverFault } from '../database/faults.js'
import { readAside, type Scope, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { expectedOf } from '../files/expected.js'
import { bodiesOf } from '../files/function_bodies.js'
import { withoutByteOrderMark } from '../files/statements.js'
import { tablesNamed, tablesOf } from '../files/track_objects.js'
import {
  type Expectation,
  expectedNow,
  type NotOfUse,
  whyNothingExpected,
  whyNotRun,
} from '../model/expected.js'
import { Failure } from '../model/failure.js'
import { acts, type Check, findingKey, type Track } from '../model/project.js'
import type { CheckResult, Finding, Probed, Table } from '../model/report.js'
import { accessMatrix } from './access_matrix.js'
import { whyNothingLookedAt } from './nothing_looked_at.js'
import { CantProbe, runProbe } from './probes.js'
import { beforeCheckLength, checkRows } from './run_check.sql.js'

/** Most rows of a check that are shown. */
const mostShownRows = 20
/** Time limit of a check, in milliseconds. */
const checkTimeoutMs = 120_000

/** The result of one check. */
export interface Checked {
  result: CheckResult
  tables: Table[]
  findings: Finding[]
  /** By index of the row: the objects of the catalog that it is about, by their names in `catalogOf`. */
  about: ReadonlyMap<number, string[]>
}

/** True for checks that run before the migration. */
export const isOutlook = (check: Check): boolean => check.kind === 'outlook'

/** What the checks of all tracks read about a track, from settings of the transaction. */
export interface SharedFacts {
  /** Tables that the track creates, and those of its sessions and messages. */
  tables: string[]
  /** The same tables, and every table of the application that its files name. */
  named: string[]
  /** Its expected.json, with entries that do not apply yet. */
  expected: Expectation[]
}

/** Reads the facts from the track's files. Throws BAD_EXPECTED. */
export async function sharedFactsOf(track: Track): Promise<SharedFacts> {
  return { expected: await expectedOf(track), tables: await tablesOf(track), named: await tablesNamed(track) }
}

/** Why a check does not apply now or would examine nothing, else null. */
export const whySkipped = (
  check: Check,
  expected: Expectation[],
  applied: ReadonlySet<string>,
): NotOfUse | null =>
  whyNotRun(check, applied) ?? (check.expects && whyNothingExpected(expected, check.expects, applied))

/** What checks that act as a persona, and shared checks, need to know. */
export interface CheckSurroundings extends SharedFacts {
  track: Track
  /** True to read every row: matrices read large tables completely, and checks do not rely on indexes. */
  deep: boolean
  /** The scope in which a check acts as a persona and is rolled back. Null if such checks may not run. */
  scope: Scope | null
  /** True if it does not matter whether there was anything to examine. */
  foundOnly?: boolean
}

/** Runs one check. A listing gives its rows as a table and is never wrong. */
export async function runCheck(
  ctx: Context,
  connection: Connection,
  check: Check,
  applied: ReadonlySet<string>,
  around: CheckSurroundings | null = null,
): Promise<Checked> {
  const base = resultBase(check)
  const notOfUse = whySkipped(check, around?.expected ?? [], applied)
  if (notOfUse) return bare({ ...base, outcome: 'skipped', ...notOfUse })
  if (ctx.signal.aborted) return bare({ ...base, outcome: 'skipped', reason: 'interrupted before it ran' })
  const start = ctx.clock.now()
  const spent = () => Math.round(ctx.clock.now() - start)
  try {
    if (!acts(check)) {
      const settings = await settingsOf(check, applied, around)
      return readResult(check, await readCheckRows(connection, check, settings), spent())
    }
    if (!around?.scope)
      return bare({ ...base, outcome: 'skipped', reason: 'it writes, if only to roll back' })
    const { track, scope, deep } = around
    const probed = await takenBack(scope, tx => act(tx, track, check, deep))
    return checkedResult(base, probed, spent())
  } catch (error) {
    if (!isRefused(error) && !(error instanceof CantProbe)) throw error
    const fault = serverFault(error)
    const reason = !fault
      ? (error as Error).message
      : isFiltered(error)
        ? `${fault.message} (this role cannot see every row: a check would count too few)`
        : faultOf(check, error)
    return bare({ ...base, outcome: 'failed', reason, durationMs: spent() })
  }
}

/** What a result says of a check before it has run. */
export const resultBase = (
  check: Pick<Check, 'track' | 'name' | 'title' | 'level' | 'fix'>,
): Omit<CheckResult, 'outcome'> => ({
  track: check.track,
  check: check.name,
  title: check.title,
  level: check.level,
  applies: 'now',
  found: [],
  more: false,
  reason: null,
  fix: check.fix,
  durationMs: 0,
})

/** A result with nothing beside it. */
const bare = (result: CheckResult): Checked => ({ result, tables: [], findings: [], about: new Map() })

/** What a check that only reads is given to know. */
const settingsOf = async (
  check: Check,
  applied: ReadonlySet<string>,
  around: CheckSurroundings | null,
): Promise<CheckSettings> => ({
  tables: around?.tables ?? [],
  named: around?.named ?? [],
  expected: expectedNow(around?.expected ?? [], applied),
  bodies: around && check.expects === 'functions' ? await bodiesOf(around.track, applied) : {},
  deep: around?.deep ?? false,
  gate: false,
  foundOnly: around?.foundOnly ?? false,
})

/** What the rows of a check that only reads come to. */
function readResult(check: Check, { rows, columns, nothingLookedAt }: ReadRows, durationMs: number): Checked {
  const base = { ...resultBase(check), durationMs }
  if (isListing(check)) {
    const cells = rows.map(r => columns.map(c => cellValue(r[c])))
    const listed = { title: check.title, columns, rows: cells }
    return { ...bare({ ...base, outcome: 'pass' }), tables: [listed] }
  }
  if (!columns.includes('object') || !columns.includes('detail')) {
    const reason = `it returns ${columns.join(', ') || 'nothing'}, and a check returns object and detail`
    return bare({ ...base, outcome: 'failed', reason })
  }
  const found = rows.map(r => ({
    object: String(r.object ?? ''),
    detail: String(r.detail ?? ''),
    about: Array.isArray(r.about) ? r.about.map(String) : [],
  }))
  const looked = { ...base, reason: nothingLookedAt }
  return checkedResult(looked, { found, tables: [], findings: [], skipped: null }, durationMs)
}

/** What the server has against a check, and where in its file. */
function faultOf({ file }: Check, error: unknown): string {
  const { code, message } = serverFault(error)!
  const line = faultLine(error, withoutByteOrderMark(file.text), beforeCheckLength)
  const place = line === null ? '' : `, at ${file.path}:${line}`
  const lack = code === '42501' ? ' (this role lacks a right: grant it as the owner)' : ''
  return `${code}: ${message}${place}${lack}`
}

/** The result of a check for the report. */
export function checkedResult(
  base: Omit<CheckResult, 'outcome'>,
  probed: Probed,
  durationMs: number,
): Checked {
  const { found, tables, findings, skipped } = probed
  const outcome = skipped !== null ? 'skipped' : found.length > 0 ? 'found' : 'pass'
  return {
    result: {
      ...base,
      outcome,
      found: found.slice(0, mostShownRows).map(({ object, detail }) => ({
        object,
        detail,
        key: findingKey({ track: base.track, name: base.check }, object),
        accepted: null,
        preExisting: false,
      })),
      more: found.length > mostShownRows,
      reason: skipped ?? base.reason,
      durationMs,
    },
    tables,
    findings,
    about: new Map(found.slice(0, mostShownRows).flatMap((f, i) => (f.about?.length ? [[i, f.about]] : []))),
  }
}

const cellValue = (value: unknown): string | number | boolean | null =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value)
    ? (value as string)
    : value instanceof Date
      ? value.toISOString()
      : String(value)

/** What a check reads from settings of its transaction. */
interface CheckSettings extends SharedFacts {
  /** The bodies of the track's functions according to the applied migrations. */
  bodies: Record<string, string[]>
  deep: boolean
  /** True for a gate of a migration, which itself handles what other steps leave to it. */
  gate: boolean
  foundOnly: boolean
}

/** The rows of a check; `nothingLookedAt` is why there was nothing that could be wrong, else null. */
interface ReadRows {
  rows: Record<string, unknown>[]
  columns: string[]
  nothingLookedAt: string | null
}

/** The rows of a check, in a transaction that the server holds read-only and that always rolls back. */
function readCheckRows(connection: Connection, check: Check, known: CheckSettings): Promise<ReadRows> {
  return readAside(connection.sql, async tx => {
    await setLocal(tx, 1000, checkTimeoutMs, {
      'rethread.tables': JSON.stringify(known.tables),
      'rethread.named': JSON.stringify(known.named),
      'rethread.expected': JSON.stringify(known.expected),
      'rethread.bodies': JSON.stringify(known.bodies),
      'rethread.deep': known.deep ? 'yes' : 'no',
      'rethread.gate': known.gate ? 'yes' : 'no',
      ...(check.file.text.includes(`'${failedSetting}'`)
        ? { [failedSetting]: JSON.stringify(await failedRows(tx, check.track)) }
        : {}),
    })
    const text = withoutByteOrderMark(check.file.text)
    const { rows, columns } = await checkRows(tx, text, isListing(check) ? 200 : mostShownRows + 1)
    const looked = rows.length > 0 || known.foundOnly || check.kind !== 'check'
    return {
      rows,
      columns,
      nothingLookedAt: looked ? null : await whyNothingLookedAt(tx, check, known.tables),
    }
  })
}

/** The setting with the failed rows of the track. A ledger of an older version has no list of them. */
const failedSetting = 'rethread.failed'

/** Checks whose rows are shown as a table. */
export const isListing = (check: Check): boolean => check.kind === 'listing' || check.kind === 'account'

/**
 * The gates of a migration that found rows, each with their number. Throws CHECK_FAILED if the server cannot
 * run one.
 */
export async function gateRows(
  connection: Connection,
  track: Track,
  migration: string,
  meant: (check: Check) => boolean = () => true,
): Promise<{ check: string; rows: number }[]> {
  const closed: { check: string; rows: number }[] = []
  for (const check of track.checks.filter(c => c.gate === migration && meant(c))) {
    const settings = {
      tables: [],
      named: [],
      expected: [],
      bodies: {},
      deep: false,
      gate: true,
      foundOnly: true,
    }
    const { rows } = await readCheckRows(connection, check, settings).catch(error => {
      if (!isRefused(error)) throw error
      throw new Failure('CHECK_FAILED', check.name, { reason: faultOf(check, error) }, error)
    })
    if (rows.length > 0) closed.push({ check: check.name, rows: rows.length })
  }
  return closed
}

/**
 * Runs an access file or a probe in a transaction that the caller rolls back. With `deep`, updates without a
 * WHERE read large tables completely; otherwise a sample is used.
 */
export const act = (tx: Db, track: Track, check: Check, deep: boolean): Promise<Probed> =>
  check.kind === 'access' ? accessMatrix(tx, check, deep) : runProbe(tx, track, check)
