import { relationFacts, seesAllRows } from '../database/catalog.sql.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { isCanceled, isSqlState } from '../database/faults.js'
import { transaction } from '../database/scopes.js'
import { inspect } from '../database/server.js'
import type { Db } from '../database/types.js'
import { requireTrackInfo } from '../files/track_info.js'
import { Failure, UsageError } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Track, TrackInfo } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, tableOfCells } from '../model/report.js'
import { refuseForeignTypes } from '../plan/foreign_code.js'
import {
  type Condition,
  conditionOf,
  type SessionFilters,
  type Since,
  scannedBy,
  unusedValues,
} from './session_filters.sql.js'
import { readDocument } from './session_rows.js'
import { countSessions, listSessions, readMessages, readSession, unknownParents } from './sessions.sql.js'

/** Options of `sessions list` and `sessions count`. */
export interface SessionsOptions {
  /** Values by name of the track's filter. */
  filter: Record<string, string[]>
  /** A time, or an interval before now such as `7d`; null for all. */
  since: string | null
  /** A text in the title or a message; null for all. */
  search: string | null
  /** Also sessions that are marked as deleted. */
  withDeleted: boolean
  /** Time limit of a search, in seconds. */
  within: number
}

/** Default time limit of a search, in seconds. */
export const usualSearchSeconds = 30

/** SQLSTATEs of a text that is no valid time or interval. */
const notATime = ['22007', '22008', '22009', '22015']

/** Below this number of rows a table is read so fast that no message about it is needed. */
const worthSaying = 10_000

/** Lock timeout, in milliseconds. */
const sessionsLockMs = 5000

const units: Record<string, string> = { m: 'minutes', h: 'hours', d: 'days', w: 'weeks' }

/** Reads a moment from a text. Throws USAGE if it is none. */
function readSince(text: string): Since {
  const [, n, unit] = /^(\d{1,6})([mhdw])$/.exec(text) ?? []
  if (n !== undefined) return { text: `${n} ${units[unit!]}`, ago: true }
  if (/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$/.test(text))
    return { text, ago: false }
  throw wrongSince(text)
}

const wrongSince = (text: string): UsageError =>
  new UsageError(`--since ${text}`, 'it looks like 7d, 12h, 2026-01-31 or 2026-01-31T18:00Z')

/** The filters with the track's defaults. Throws USAGE for a name or value that does not exist. */
function readFilters(track: Track, info: TrackInfo, options: SessionsOptions): SessionFilters {
  const filters = info.filters ?? {}
  const where: Record<string, string[]> = {}
  for (const [name, { default: usual }] of Object.entries(filters)) if (usual) where[name] = usual
  for (const [name, values] of Object.entries(options.filter)) {
    const filter = filters[name]
    if (!filter)
      throw new UsageError(`--filter ${name}`, `the sessions of ${track.name} have no such filter`, {
        known: Object.keys(filters),
      })
    const strange = values.find(v => filter.values && !filter.values.includes(v))
    if (strange !== undefined)
      throw new UsageError(`--filter ${name}=${strange}`, `there is no such ${name}`, {
        known: filter.values!,
      })
    where[name] = values
  }
  const { search, withDeleted } = options
  if (search !== null && (search.trim() === '' || search.includes('\0')))
    throw new UsageError('--search', 'it takes the text to look for')
  const since = options.since === null ? null : readSince(options.since)
  return { where, since, search, withDeleted }
}

/** Lists sessions, most recent first. It does not show messages. */
export async function sessionsList(
  ctx: Context,
  track: Track,
  options: SessionsOptions & { limit: number; allFields: boolean },
): Promise<Report> {
  return withSessions(ctx, track, options, async (sql, info, condition) => {
    const sessions = await listSessions(sql, info, condition, {
      limit: options.limit,
      all: options.allFields,
    })
    return { table: tableOfCells('Sessions', sessions), any: sessions.length > 0 }
  })
}

/** Counts sessions. */
export async function sessionsCount(ctx: Context, track: Track, options: SessionsOptions): Promise<Report> {
  return withSessions(ctx, track, options, async (sql, info, condition) => {
    const sessions = await countSessions(sql, info, condition)
    return { table: tableOfCells('Sessions', [{ sessions }]), any: sessions > 0 }
  })
}

/** Reads the sessions that the connection's role may see, and reports what may be hidden. */
async function withSessions(
  ctx: Context,
  track: Track,
  options: SessionsOptions,
  read: (
    sql: Db,
    info: TrackInfo,
    condition: Condition,
  ) => Promise<{ table: Report['tables'][number]; any: boolean }>,
): Promise<Report> {
  const info = await requireTrackInfo(track)
  const wanted = readFilters(track, info, options)
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('sessions', (await inspect(ctx, connection)).info)
  await requireSessions(connection.sql, info)
  await transaction(
    connection.sql,
    'isolation level repeatable read read only',
  )(async sql => {
    await asRole(sql, info, report)
    const condition = await conditionOf(sql, info, wanted)
    if (options.search !== null) {
      report.findings.push(...(await scanFindings(ctx, sql, info, condition)))
      await setLocal(sql, sessionsLockMs, options.within * 1000)
    }
    const { table, any } = await read(sql, info, condition)
    report.tables.push(table)
    if (!any) report.findings.push(...(await unknownValues(sql, info, options)))
  }).catch(error => {
    if (isCanceled(error) && options.search !== null && !ctx.signal.aborted)
      throw new Failure('SEARCH_TOO_SLOW', options.search, {
        seconds: options.within,
        table: info.messages?.table ?? info.sessions.table,
        column: info.sessions.history ? null : (info.messages?.content ?? null),
      })
    if (isSqlState(error, ...notATime) && options.since !== null) throw wrongSince(options.since)
    throw error
  })
  return report
}

/** Lets row level security filter what this transaction reads, and reports where it may have. */
async function asRole(sql: Db, { sessions, messages }: TrackInfo, report: Report): Promise<void> {
  await setParameter(sql, 'row_security', 'on')
  for (const table of [sessions.table, ...(messages ? [messages.table] : [])])
    if (!(await seesAllRows(sql, table)))
      report.findings.push(finding('SESSIONS_HIDDEN', table, { role: report.target!.role }))
}

/** SEARCH_SCANS if a search reads all messages. It is reported before the search, which may take long. */
async function scanFindings(
  ctx: Context,
  sql: Db,
  info: TrackInfo,
  condition: Condition,
): Promise<Finding[]> {
  const scan = await scannedBy(sql, info, condition)
  if (!scan) return []
  if (scan.rows === null || scan.rows >= worthSaying) {
    const rows = scan.rows === null ? 'all' : `about ${scan.rows}`
    ctx.emit({ type: 'narrate', text: `no index helps this search: it reads ${rows} rows of ${scan.table}` })
  }
  const column = info.sessions.history ? null : (info.messages?.content ?? null)
  return [finding('SEARCH_SCANS', scan.table, { rows: scan.rows, column })]
}

/**
 * Throws USAGE for a value that references a row of another table, such as a user, which does not exist.
 * Reports other values that no session has.
 */
async function unknownValues(sql: Db, info: TrackInfo, options: SessionsOptions): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [name, values] of Object.entries(options.filter)) {
    const { column } = info.filters![name]!
    const [unknown] = await unknownParents(sql, info.sessions.table, column, values)
    if (unknown)
      throw new UsageError(
        `--filter ${name}=${unknown.value}`,
        `there is no such ${name}: no row of ${unknown.table} has it as its ${unknown.column}`,
      )
    for (const value of await unusedValues(sql, info.sessions.table, column, values))
      findings.push(finding('NO_SESSION_HAS', `${name}=${value}`, { table: info.sessions.table }))
  }
  return findings.length > 0 ? findings : [nothingFound(info, options)]
}

/** The finding that no session matches, with what a list leaves out by default. */
function nothingFound({ sessions: s, filters = {} }: TrackInfo, options: SessionsOptions): Finding {
  const hidden = Object.entries(filters).flatMap(([name, f]) =>
    f.default && !options.filter[name] ? [`sessions whose ${name} is not ${f.default.join(' or ')}`] : [],
  )
  if (s.deleted && !options.withDeleted) hidden.push('sessions marked as deleted')
  return finding('NO_SESSION_FOUND', s.table, { hidden })
}

/**
 * One session with its messages. Their content is in the report, because it was requested. `whole` adds the
 * document for an import.
 */
export async function sessionsShow(
  ctx: Context,
  track: Track,
  id: string,
  { limit, whole }: { limit: number | null; whole: boolean },
): Promise<Report> {
  const info = await requireTrackInfo(track)
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('sessions', (await inspect(ctx, connection)).info)
  await requireSessions(connection.sql, info)
  await transaction(
    connection.sql,
    'isolation level repeatable read read only',
  )(async sql => {
    // a document must be complete, so row level security is not applied to it
    if (!whole) await asRole(sql, info, report)
    await addSession(sql, info, id, { limit, report })
    if (whole) report.session = await readDocument(sql, track, info, id)
  })
  return report
}

/** Adds a session and its messages to a report. Throws NO_SUCH_SESSION. */
export async function addSession(
  sql: Db,
  info: TrackInfo,
  id: string,
  { limit, report }: { limit: number | null; report: Report },
): Promise<void> {
  const found = await readSession(sql, info, id)
  if (!found) throw new Failure('NO_SUCH_SESSION', id, { table: info.sessions.table })
  report.tables.push({
    title: 'Session',
    columns: ['column', 'value'],
    rows: Object.entries(found).map(([k, v]) => [
      k,
      typeof v === 'object' && v !== null ? JSON.stringify(v) : v,
    ]),
  })
  const messages = await readMessages(sql, info, id, limit)
  const more = messages.some(m => m.more !== null)
  report.tables.push({
    title: 'Messages',
    columns: ['at', 'role', 'content', ...(more ? ['more'] : [])],
    rows: messages.map(m => [m.at, m.role, m.content, ...(more ? [m.more] : [])]),
  })
}

/**
 * Throws NO_SESSIONS_TABLE if the track's table does not exist, because the track is not applied, and
 * FOREIGN_OBJECT if reading sessions would run code of others that is not allowed.
 */
export async function requireSessions(
  sql: Db,
  { sessions, messages }: TrackInfo,
  consent: Consent | null = null,
): Promise<void> {
  const { table } = sessions
  if ((await relationFacts(sql, [table])).length === 0) throw new Failure('NO_SESSIONS_TABLE', table)
  if (consent?.allow.has('RUNS_FOREIGN_CODE')) return
  const joined = (sessions.with ?? []).map(w => w.table)
  await refuseForeignTypes(sql, [table, ...(messages ? [messages.table] : []), ...joined])
}
