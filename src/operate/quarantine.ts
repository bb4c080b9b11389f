import { failedFindings } from '../backfill/failed_rows.js'
import { failedGroups } from '../backfill/failed_rows.sql.js'
import type { PendingSpec } from '../backfill/pending.sql.js'
import { readPendingSpec } from '../backfill/pending_spec.js'
import { wasTakenAway } from '../backfill/taken_away.js'
import { readUnit } from '../backfill/unit_value.js'
import { keyColumns } from '../backfill/walk_keys.sql.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { isDataFault, isRefused, isSqlState, serverFault } from '../database/faults.js'
import { inspect } from '../database/server.js'
import { aliasOf } from '../files/backfill_statement.js'
import { backfill } from '../migrate/backfill_only.js'
import { Failure, UsageError } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, finding, type Report, type Table, tableOfCells, verdictOf } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions } from '../plan/make_plan.js'
import { inOwnRun } from '../run/in_run.js'
import { schemaVersion } from '../run/schema_upgrades.sql.js'
import {
  type Account,
  accountOf,
  asideByReason,
  assignUnit,
  hasQuarantine,
  isAskable,
  keptRow,
  releaseRows,
  rowNow,
  waitingRows,
} from './quarantine.sql.js'

/** Most rows of each outcome that `quarantine list` names. */
const mostListed = 50

/** Options of `quarantine retry` and `quarantine assign`. */
export interface QuarantineOptions {
  /** Only rows with this reason; null for all. */
  reason: string | null
  consent: Consent
  leaseWaitMs: number
}

/** The quarantined rows by reason, and the failed rows. */
export async function quarantineList(ctx: Context, track: Track): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('quarantine', (await inspect(ctx, connection)).info)
  await schemaVersion(connection.sql)
  if (!(await hasQuarantine(connection.sql))) return nothingKept(report, track)
  for (const spec of await specsOf(connection, track)) {
    const rows = await asideByReason(connection.sql, spec)
    if (rows.length > 0) report.tables.push(tableOfCells(`Set aside by ${spec.migration}`, rows))
  }
  const failed = await failedGroups(connection.sql, track.name, null)
  if (failed.length > 0)
    report.tables.push(
      tableOfCells(
        'Failed',
        failed.map(({ keys, ...group }) => ({ ...group, keys: keys.join(', ') })),
      ),
    )
  const rows = await waitingRows(connection.sql, track.name, mostListed)
  if (rows.length === 0) return nothingKept(report, track)
  report.tables.push(tableOfCells(`The first rows, at most ${mostListed} of each kind`, rows))
  report.findings.push(...(await failedFindings(connection.sql, track.name, null)))
  if (failed.length > 0) report.verdict = 'attention'
  return report
}

const nothingKept = (report: Report, track: Track): Report => ({
  ...report,
  findings: [...report.findings, finding('QUARANTINE_EMPTY', track.name)],
})

/** One row: as it was when it was quarantined, as it is now, and the reason that the file gives now. */
export async function quarantineShow(ctx: Context, track: Track, id: string): Promise<Report> {
  const parts = /^(f?)(\d{1,15})$/.exec(id)
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('quarantine', (await inspect(ctx, connection)).info)
  await schemaVersion(connection.sql)
  const kept =
    parts && (await hasQuarantine(connection.sql))
      ? await keptRow(connection.sql, track.name, Number(parts[2]), parts[1] === 'f')
      : null
  if (!kept) throw new Failure('NO_SUCH_ROW', id, { reason: 'the quarantine has no row with this number' })
  const m = track.migrations.find(o => o.name === kept.migration && o.backfill?.table === kept.table)
  const { history } = await readHistory(connection, track, barePlanOptions)
  const spec = m ? await specOf(connection, track, m, history.applied) : null
  const now = spec ? await rowNow(connection.sql, spec, kept.key) : null
  const cells = {
    ...kept,
    'in its table now': now?.row ?? null,
    'to do now': now?.pending ?? null,
    'reason now': now?.reason ?? null,
  }
  report.tables.push({ title: `Row ${id}`, columns: ['of the row', 'value'], rows: Object.entries(cells) })
  if (kept.outcome === 'failed') report.verdict = 'attention'
  return report
}

/**
 * Processes rows again after the data was repaired or a setting was changed: releases quarantined rows that
 * are still in their table, and runs the backfills. Rows that still have a reason are quarantined again. The
 * report has the account of each table before and after.
 */
export async function quarantineRetry(
  ctx: Context,
  track: Track,
  options: QuarantineOptions,
): Promise<Report> {
  return tryAgain(ctx, track, options, async (connection, specs, report) => {
    for (const spec of specs) {
      const rows = await releaseRows(connection.sql, spec, options.reason)
      if (rows > 0) report.findings.push(finding('RELEASED', spec.table, { rows }))
    }
  })
}

/**
 * Assigns a workspace to quarantined rows and processes them again. Refused if there is no such workspace.
 */
export async function quarantineAssign(
  ctx: Context,
  track: Track,
  workspace: string,
  options: QuarantineOptions,
): Promise<Report> {
  return tryAgain(ctx, track, options, async (connection, specs, report, isToDo) => {
    let rows = 0
    for (const spec of specs) {
      const m = track.migrations.find(o => o.name === spec.migration)!
      const [unit] = await keyColumns(connection.sql, spec.table, m.backfill!.unit ? [m.backfill!.unit] : [])
      // if the unit is the key of the row itself, it cannot be assigned
      if (!unit || spec.key.some(k => k.name === unit.name)) continue
      const value = await readUnit(connection.sql, unit, workspace)
      const given = await connection.sql
        .begin(async tx => {
          const assigned = await assignUnit(tx, spec, { unit, value, reason: options.reason })
          if (assigned.left !== null)
            throw new Failure('NO_SUCH_ROW', `--workspace ${workspace}`, {
              reason: `rows of ${spec.table} would still not fit: ${assigned.left}; nothing was changed`,
            })
          await releaseRows(tx, spec, options.reason)
          return assigned.rows
        })
        .catch(error => {
          throw refusedUnit(error, workspace, spec.table)
        })
      if (given > 0) report.findings.push(finding('ASSIGNED', spec.table, { rows: given, unit: workspace }))
      rows += given
    }
    // an interrupted command has already assigned the workspace, and the rows are pending
    if (rows === 0 && !isToDo)
      throw new Failure('NO_SUCH_ROW', `--workspace ${workspace}`, {
        reason: 'no row that waits in its table can be given a workspace',
      })
  })
}

/** The error for a workspace that the server does not accept. */
function refusedUnit(error: unknown, workspace: string, table: string): unknown {
  const fault = serverFault(error)
  if (!fault || !isDataFault(error)) return error
  const words = [fault.message, fault.detail].filter(Boolean).join(': ')
  return isSqlState(error, '23503')
    ? new UsageError(`--workspace ${workspace}`, `there is no such workspace: ${words}`)
    : new Failure('NO_SUCH_ROW', `--workspace ${workspace}`, {
        reason: `rows of ${table} cannot be given it: ${words}; nothing was changed`,
      })
}

/** Changes the quarantine under the lease, then runs the backfills. Adds the accounts before and after. */
async function tryAgain(
  ctx: Context,
  track: Track,
  { consent, leaseWaitMs }: QuarantineOptions,
  change: (connection: Connection, specs: PendingSpec[], report: Report, isToDo: boolean) => Promise<void>,
): Promise<Report> {
  const report = emptyReport('quarantine')
  const accounts: Table = {
    title: 'Accounts',
    columns: ['table', 'when', 'came in', 'done', 'set aside', 'failed', 'taken out', 'to do'],
    rows: [],
  }
  const count = async (connection: Connection, when: string) => {
    for (const spec of await specsOf(connection, track)) {
      const account = await accountOf(connection.sql, spec)
      accounts.rows.push([`${spec.table} (${spec.migration})`, when, ...cellsOf(account)])
    }
  }
  await inOwnRun(ctx, { command: 'quarantine', leaseWaitMs }, async ({ target, writer }) => {
    report.target = target.info
    await count(writer, 'before')
    const isToDo = accounts.rows.some(row => Number(row.at(-1)) > 0)
    await change(writer, await specsOf(writer, track), report, isToDo)
  })
  const worked = await backfill(ctx, track, {
    unit: null,
    maxRows: null,
    workers: 1,
    nice: 0,
    throttleQuery: null,
    resume: false,
    consent,
    leaseWaitMs,
  })
  {
    await using connection = await connect(ctx, 'reader')
    await count(connection, 'after')
  }
  const all: Report = {
    ...worked,
    command: 'quarantine',
    tables: [accounts, ...worked.tables],
    findings: [...report.findings, ...worked.findings],
  }
  return { ...all, verdict: verdictOf(all) }
}

const cellsOf = ({ cameIn, done, aside, failed, takenOut, toDo }: Account): number[] => [
  cameIn,
  done,
  aside,
  failed,
  takenOut,
  toDo,
]

/** The applied or begun backfills of a track that quarantine rows. Those that remove rows come last. */
async function specsOf(connection: Connection, track: Track): Promise<PendingSpec[]> {
  const { history } = await readHistory(connection, track, barePlanOptions)
  const begun = track.migrations.filter(
    m => m.backfill && (history.applied.has(m.name) || history.unfinished.has(m.name)),
  )
  const specs = begun.map(m => specOf(connection, track, m, history.applied))
  return (await Promise.all(specs)).filter(s => s !== null)
}

/** Which rows of a backfill wait; null where a later step has taken away what that asks for. */
async function specOf(
  { sql }: Connection,
  track: Track,
  migration: Migration,
  applied: { has(name: string): boolean },
): Promise<PendingSpec | null> {
  try {
    const spec = await readPendingSpec(sql, track, migration)
    await isAskable(sql, spec)
    return spec
  } catch (error) {
    const fault = serverFault(error)
    if (!fault || !isRefused(error)) throw error
    const alias = await aliasOf(migration.file.text, migration.file.path, migration.backfill!)
    if (await wasTakenAway(sql, error, { track, migration, applied, alias })) return null
    const { code: sqlstate, message: reason, detail = null, hint = null } = fault
    const nowhere = { column: null, excerpt: null, context: null }
    throw new Failure('SQL_ERROR', migration.file.path, { sqlstate, reason, detail, hint, ...nowhere }, error)
  }
}
