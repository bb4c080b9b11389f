import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { isDataFault, serverFault } from '../database/faults.js'
import { withFullNames } from '../database/full_names.sql.js'
import { readAside } from '../database/scopes.js'
import { inspect } from '../database/server.js'
import { requireTrackInfo } from '../files/track_info.js'
import { Failure } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Track, TrackInfo } from '../model/project.js'
import { emptyReport, finding, type Report, verdictOf } from '../model/report.js'
import type { SessionDocument, SessionDocumentTable } from '../model/session_document.js'
import { wantsHazards } from '../plan/consent.js'
import { judgeForeignCode } from '../plan/foreign_code.js'
import { mergedColumns } from '../rollback/merged_table.sql.js'
import { inRun } from '../run/in_run.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { putSession, stagesOf } from './put_session.js'
import { fillStage, type Staged, tryReading } from './put_session.sql.js'
import { sessionTables } from './session_rows.js'
import type { SessionTable } from './session_rows.sql.js'
import { requireSessions } from './sessions.js'

/** Options of `sessions import`. */
export interface ImportOptions {
  document: SessionDocument
  /** Name of the file, for messages. */
  from: string
  consent: Consent
  leaseWaitMs: number
}

/**
 * Writes one session from an exported document to the database, in one transaction. Refuses another track,
 * tables with other columns, and a session that exists with other values.
 */
export async function importSession(ctx: Context, track: Track, options: ImportOptions): Promise<Report> {
  const info = await requireTrackInfo(track)
  const { document, from } = options
  if (document.track !== track.name)
    throw new Failure('SESSION_FROM_ELSEWHERE', from, {
      differs: [`it is of track ${document.track}, and this is ${track.name}`],
    })
  const { report, tables } = await prepareImport(ctx, track, info, options)
  if (report.verdict === 'refused') return report
  const run = await openRun(ctx, 'sessions', options.leaseWaitMs)
  return await inRun(run, report, async () => {
    const id = document.id
    const put = await putSession(run, track, { info, id, tables }, async (tx, stages) => {
      for (const s of stages) {
        const rows = rowsFor(s, document)
        if (rows.length > 0) await fillStage(tx, s, rows)
      }
    }).catch(async error => {
      throw (await unreadableValue(run, tables, options, error)) ?? error
    })
    report.findings.push(
      put.rows === 0
        ? finding('SESSION_THERE', id, { table: info.sessions.table })
        : finding('SESSION_PUT', id, { rows: put.rows, from, derived: put.derived }),
    )
  })
}

/** Checks the database and the document before anything is locked. */
async function prepareImport(
  ctx: Context,
  track: Track,
  info: TrackInfo,
  { document, from, consent }: ImportOptions,
): Promise<{ report: Report; tables: SessionTable[] }> {
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('sessions', (await inspect(ctx, connection)).info)
  await requireSessions(connection.sql, info, consent)
  const tables = await sessionTables(connection.sql, info)
  await refuseOthers(connection, document, { from, tables, info })
  const foreign = await judgeForeignCode(
    connection.sql,
    tables.map(t => t.table),
  )
  report.findings.push(...foreign.findings, ...wantsHazards(track.name, consent, foreign.hazards))
  report.verdict = verdictOf(report)
  return { report, tables }
}

/** Throws SESSION_FROM_ELSEWHERE with every table and column that differs from the document. */
async function refuseOthers(
  connection: Connection,
  document: SessionDocument,
  { from, tables, info }: { from: string; tables: SessionTable[]; info: TrackInfo },
): Promise<void> {
  const differs: string[] = []
  const names = document.tables.map(t => t.table)
  for (const [n, table] of names.entries()) {
    if (!tables.some(t => t.table === table)) differs.push(`${table} has no rows of sessions here`)
    else if (names.indexOf(table) !== n) differs.push(`${table} is there twice`)
    else differs.push(...(await columnDifferences(connection, document.tables[n]!)))
  }
  const sessions = document.tables.find(t => t.table === info.sessions.table)
  const at = sessions?.columns.findIndex(c => c.name === info.sessions.id) ?? -1
  if (sessions?.rows.length !== 1 || sessions.rows[0]![at] !== document.id)
    differs.push(`${info.sessions.table} must have one row, with the ${info.sessions.id} ${document.id}`)
  const [first, ...more] = differs
  if (first !== undefined) throw new Failure('SESSION_FROM_ELSEWHERE', from, { differs: [first, ...more] })
}

async function columnDifferences(
  connection: Connection,
  { table, columns }: SessionDocumentTable,
): Promise<string[]> {
  const present = await readAside(connection.sql, tx => withFullNames(tx, () => mergedColumns(tx, table)))
  return [
    ...columns.flatMap(c => {
      const now = present.find(p => p.name === c.name)
      if (!now) return [`${table} has no column ${c.name}`]
      return now.type === c.type ? [] : [`${table}.${c.name} is ${now.type}, in the file ${c.type}`]
    }),
    ...present
      .filter(p => !columns.some(c => c.name === p.name))
      .map(p => `the file has no column ${p.name} of ${table}`),
  ]
}

/** The document's rows for a stage, in the order of its columns, without generated columns. */
function rowsFor({ table, columns }: Staged, document: SessionDocument): (string | null)[][] {
  const there = document.tables.find(t => t.table === table)
  if (!there) return []
  const places = columns.map(c => there.columns.findIndex(x => x.name === c.name))
  return there.rows.map(row => places.map(at => row[at]!))
}

/**
 * Finds a value that the server cannot convert to its column's type, by halving the rows: BAD_SESSION_FILE
 * with the path into the document. Null if all can be converted.
 */
async function unreadableValue(
  run: Run,
  tables: SessionTable[],
  { document, from }: ImportOptions,
  error: unknown,
): Promise<Failure | null> {
  if (!isDataFault(error) || run.writer.lost) return null
  const { sql } = run.writer
  const why = async (s: Staged, rows: (string | null)[][]): Promise<string | null> => {
    try {
      await tryReading(sql, s, rows)
      return null
    } catch (fault) {
      if (!isDataFault(fault)) throw fault
      return serverFault(fault)!.message
    }
  }
  for (const s of await stagesOf(sql, tables)) {
    const rows = rowsFor(s, document)
    if (rows.length === 0 || (await why(s, rows)) === null) continue
    let [low, high] = [0, rows.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((await why(s, rows.slice(low, middle))) === null) low = middle
      else high = middle
    }
    const nth = document.tables.findIndex(t => t.table === s.table)
    for (const [i, column] of s.columns.entries()) {
      const reason = await why({ ...s, columns: [column] }, [[rows[low]![i]!]])
      if (reason !== null)
        return new Failure('BAD_SESSION_FILE', from, {
          reason: `tables[${nth}].rows[${low}].${column.name}: ${reason}`,
        })
    }
  }
  return null
}
