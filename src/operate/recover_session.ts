import { type ArchiveRow, foreignKeys, listArchives } from '../archive/archive.sql.js'
import { relationExists } from '../database/catalog.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { transaction } from '../database/scopes.js'
import { inspect } from '../database/server.js'
import type { Db } from '../database/types.js'
import { requireTrackInfo } from '../files/track_info.js'
import { Failure } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Track, TrackInfo } from '../model/project.js'
import { emptyReport, finding, type Report, verdictOf } from '../model/report.js'
import { wantsHazards } from '../plan/consent.js'
import { judgeForeignCode } from '../plan/foreign_code.js'
import { mergedColumns } from '../rollback/merged_table.sql.js'
import { inRun } from '../run/in_run.js'
import { withLockRetries } from '../run/lock_retry.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { ofSessions } from './prune.sql.js'
import { type Put, putSession } from './put_session.js'
import { fillFromArchive, hasSession, type Staged, unmarkDeleted } from './put_session.sql.js'
import { readDocument, sessionTables, tablesOfSession } from './session_rows.js'
import { addSession, requireSessions } from './sessions.js'
import { readSession } from './sessions.sql.js'

/** Options of `sessions recover`. */
export interface RecoverOptions {
  id: string
  consent: Consent
  leaseWaitMs: number
}

/** Where a session is: in its table, marked as deleted or not, or in the archives of one run. */
type FoundSession = { at: 'table'; marked: boolean } | { at: 'archive'; archives: ArchiveRow[] }

/**
 * Restores one session: removes its mark of deletion, or restores it from the newest archive that has it,
 * with the rows that were deleted with it. A session that exists is only shown. The report has it as an
 * application would load it, with all columns and messages.
 */
export async function recoverSession(ctx: Context, track: Track, options: RecoverOptions): Promise<Report> {
  const info = await requireTrackInfo(track)
  const { report, found } = await findSession(ctx, track, info, options)
  if (report.verdict === 'refused') return report
  if (found.at === 'archive' || found.marked) {
    const { verdict } = report
    const run = await openRun(ctx, 'sessions', options.leaseWaitMs)
    await inRun(run, report, async () => {
      const put =
        found.at === 'archive'
          ? {
              ...(await putArchived(run, track, info, options.id, found.archives)),
              from: `r${found.archives[0]!.run}`,
            }
          : { ...(await unmark(run, info, options.id)), from: info.sessions.deleted! }
      report.findings.push(finding('SESSION_PUT', options.id, put))
    })
    if (report.verdict !== verdict) return report
  } else report.findings.push(finding('SESSION_THERE', options.id, { table: info.sessions.table }))
  await using connection = await connect(ctx, 'reader')
  await transaction(
    connection.sql,
    'isolation level repeatable read read only',
  )(async sql => {
    await addSession(sql, info, options.id, { limit: null, report })
    report.session = await readDocument(sql, track, info, options.id)
  })
  return report
}

/** Looks for the session. Throws NO_SUCH_SESSION if it is nowhere. */
async function findSession(
  ctx: Context,
  track: Track,
  info: TrackInfo,
  { id, consent }: RecoverOptions,
): Promise<{ report: Report; found: FoundSession }> {
  await using connection = await connect(ctx, 'reader')
  const { sql } = connection
  const { table, deleted } = info.sessions
  const report = emptyReport('sessions', (await inspect(ctx, connection)).info)
  await requireSessions(sql, info, consent)
  const foreign = await judgeForeignCode(
    sql,
    (await tablesOfSession(sql, info)).map(t => t.table),
  )
  report.findings.push(...foreign.findings, ...wantsHazards(track.name, consent, foreign.hazards))
  report.verdict = verdictOf(report)
  const there = await readSession(sql, info, id)
  if (there)
    return {
      report,
      found: { at: 'table', marked: deleted !== undefined && (there[deleted] ?? null) !== null },
    }
  const all = (await listArchives(sql)).filter(a => a.track === track.name && a.column === null)
  for (const a of all.filter(x => x.relation === table)) {
    if (!(await relationExists(sql, a.storedAs))) continue
    if (!(await hasSession(sql, a.storedAs, info.sessions.id, id))) continue
    return { report, found: { at: 'archive', archives: all.filter(x => x.run === a.run) } }
  }
  throw new Failure('NO_SUCH_SESSION', id, { table })
}

async function unmark(run: Run, info: TrackInfo, id: string): Promise<Put> {
  const { table, deleted } = info.sessions
  await withLockRetries(run, table, timeout =>
    run.writer.sql.begin(async tx => {
      await setLocal(tx, timeout, 30_000)
      await unmarkDeleted(tx, { table, deleted: deleted!, where: ofSessions(info, 't') }, id)
    }),
  )
  return { rows: 1, derived: [] }
}

/** Restores a session from the archives of one run: its row, then the rows that reference restored rows. */
async function putArchived(
  run: Run,
  track: Track,
  info: TrackInfo,
  id: string,
  archives: ArchiveRow[],
): Promise<Put> {
  const tables = await sessionTables(run.writer.sql, info)
  const archived = tables.filter(t => archives.some(a => a.relation === t.table))
  for (const t of archived) await refuseChangedColumns(run.writer.sql, t.table, archives)
  return putSession(run, track, { info, id, tables: archived }, async (tx, stages) => {
    for (const s of stages) await fillArchived(tx, info, id, { s, stages, archives })
  })
}

/** Throws SESSION_FROM_ELSEWHERE if a table has other columns than its archive. `restore` can handle that. */
async function refuseChangedColumns(sql: Db, table: string, archives: ArchiveRow[]): Promise<void> {
  for (const a of archives.filter(x => x.relation === table)) {
    const stored = await mergedColumns(sql, a.storedAs)
    const differs = (await mergedColumns(sql, table))
      .filter(c => !c.generated && stored.find(x => x.name === c.name)?.type !== c.type)
      .map(
        c =>
          `${table}.${c.name} is not in the archive as ${c.type}: rethread restore r${a.run} brings the archive back`,
      )
    const [first, ...more] = differs
    if (first !== undefined)
      throw new Failure('SESSION_FROM_ELSEWHERE', `r${a.run}`, { differs: [first, ...more] })
  }
}

async function fillArchived(
  tx: Db,
  info: TrackInfo,
  id: string,
  { s, stages, archives }: { s: Staged; stages: Staged[]; archives: ArchiveRow[] },
): Promise<void> {
  const { sessions, messages } = info
  const stored = archives.filter(a => a.relation === s.table).map(a => a.storedAs)
  const root = stages.find(o => o.table === sessions.table)!
  for (const from of stored) {
    if (s === root) {
      await fillFromArchive(tx, s, from, { idColumn: sessions.id, id })
      continue
    }
    const ofMessages =
      s.table === messages?.table
        ? [{ columns: [messages.session], stage: root.stage, stageColumns: [messages.to ?? sessions.id] }]
        : []
    const keys = (await foreignKeys(tx, s.table)).flatMap(k => {
      const parent = stages.find(o => o !== s && o.table === k.parent)
      return parent ? [{ columns: k.columns, stage: parent.stage, stageColumns: k.parentColumns }] : []
    })
    const [of] = [...ofMessages, ...keys]
    if (of) await fillFromArchive(tx, s, from, of)
  }
}
