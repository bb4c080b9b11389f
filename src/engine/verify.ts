import { serverFault } from '../db/fault.js'
import type { Session } from '../db/session.js'
import {
  type CheckResult,
  emptyReport,
  finding,
  type Report,
  type Table,
  verdictOf,
} from '../model/report.js'
import type { Check, Track } from '../model/workspace.js'
import { setLocal } from '../sql/session.js'
import type { Db } from '../sql/types.js'
import { checkRows } from '../sql/verify.js'
import { withoutByteOrderMark } from '../workspace/statements.js'
import { type Context, connect } from './context.js'
import { look } from './look.js'
import { inspect, judgeServer } from './target.js'

/** Rows of a finding that are shown. */
const shown = 20
/** Longest check, in milliseconds. */
const checkTimeoutMs = 120_000

/** What a person asked for. */
export interface VerifyWish {
  /** Names of checks; empty for all. */
  only: string[]
  failOn: 'warn' | 'error'
}

/** Runs a track's checks, each in a read-only transaction of its own that is rolled back, with full sight (ability B1). */
export async function verify(ctx: Context, track: Track, wish: VerifyWish): Promise<Report> {
  await using session = await connect(ctx, 'reader')
  const target = await inspect(ctx, session)
  const report = emptyReport('verify', target.info)
  report.findings.push(...judgeServer(target, false))
  const { history } = await look(session, track, { to: null, phase: null, backfills: true })
  const unknown = wish.only.filter(name => !track.checks.some(c => c.name === name))
  for (const name of unknown)
    report.findings.push(
      finding('USAGE', `--only ${name}`, {
        reason: 'there is no such check',
        known: track.checks.map(c => c.name),
      }),
    )
  const chosen = track.checks.filter(c =>
    wish.only.length === 0 ? c.kind !== 'outlook' : wish.only.includes(c.name),
  )
  for (const check of chosen) {
    if (ctx.signal.aborted) break
    const { result, table } = await runCheck(ctx, session, check, new Set(history.applied.keys()))
    report.checks.push(result)
    if (table) report.tables.push(table)
  }
  judge(report, track, history.applied.size, wish)
  return report
}

function judge(report: Report, track: Track, applied: number, wish: VerifyWish): void {
  // decision 30: a track of which nothing is applied never verifies clean
  if (applied === 0) report.findings.push(finding('NOTHING_APPLIED', track.name))
  const ran = report.checks.filter(c => c.outcome !== 'skipped').length
  if (ran === 0 && applied > 0) report.findings.push(finding('NO_CHECKS_RUN', track.name))
  const loud = report.checks.filter(
    c => c.outcome === 'found' && (c.level === 'error' || (c.level === 'warn' && wish.failOn === 'warn')),
  )
  for (const c of report.checks.filter(c => c.outcome === 'failed')) {
    report.findings.push(finding('CHECK_FAILED', c.check, { reason: c.reason }))
  }
  if (loud.length > 0 || applied === 0 || ran === 0) report.verdict = 'attention'
  report.verdict = verdictOf(report)
}

/** Runs one check. A listing gives its rows as a table and is never wrong. */
export async function runCheck(
  ctx: Context,
  session: Session,
  check: Check,
  applied: ReadonlySet<string>,
): Promise<{ result: CheckResult; table: Table | null }> {
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
  if (check.after && !applied.has(check.after)) {
    return { result: { ...base, outcome: 'skipped', reason: `${check.after} is not applied` }, table: null }
  }
  if (check.until && applied.has(check.until)) {
    return { result: { ...base, outcome: 'skipped', reason: `of use until ${check.until}` }, table: null }
  }
  const start = ctx.clock.now()
  try {
    const rows = await readOnly(session, check)
    const durationMs = Math.round(ctx.clock.now() - start)
    if (check.kind === 'listing') {
      const columns = Object.keys(rows[0] ?? {})
      const cells = rows.map(r => columns.map(c => scalar(r[c])))
      return {
        result: { ...base, outcome: 'pass', durationMs },
        table: { title: check.title, columns, rows: cells },
      }
    }
    const found = rows
      .slice(0, shown)
      .map(r => ({ object: String(r.object ?? ''), detail: String(r.detail ?? '') }))
    return {
      result: {
        ...base,
        outcome: rows.length > 0 ? 'found' : 'pass',
        found,
        more: rows.length > shown,
        durationMs,
      },
      table: null,
    }
  } catch (error) {
    const fault = serverFault(error)
    if (!fault) throw error
    const reason =
      fault.code === '42501'
        ? `${fault.message} (this role can't see every row: a check would count too few)`
        : `${fault.code}: ${fault.message}`
    return {
      result: { ...base, outcome: 'failed', reason, durationMs: Math.round(ctx.clock.now() - start) },
      table: null,
    }
  }
}

const scalar = (value: unknown): string | number | boolean | null =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value)
    ? (value as string)
    : value instanceof Date
      ? value.toISOString()
      : String(value)

class RolledBack extends Error {}

interface Nested {
  savepoint(work: (tx: Db) => Promise<void>): Promise<void>
}

/** The rows of a check, in a transaction that the server holds read-only and that always rolls back. */
async function readOnly(session: Session, check: Check): Promise<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[] = []
  const work = async (tx: Db) => {
    await setLocal(tx, 1000, checkTimeoutMs)
    rows = await checkRows(
      tx,
      withoutByteOrderMark(check.file.text),
      check.kind === 'listing' ? 200 : shown + 1,
    )
    throw new RolledBack()
  }
  try {
    // inside a plan's transaction there is only a savepoint to go back to
    if ('savepoint' in session.sql) await (session.sql as unknown as Nested).savepoint(work)
    else await session.sql.begin('read only', work)
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error
  }
  return rows
}

/** The gates of a migration that say no, each with the number of rows seen. */
export async function gateRows(
  session: Session,
  track: Track,
  migration: string,
): Promise<{ check: string; rows: number }[]> {
  const closed: { check: string; rows: number }[] = []
  for (const check of track.checks.filter(c => c.gate === migration)) {
    const rows = await readOnly(session, check)
    if (rows.length > 0) closed.push({ check: check.name, rows: rows.length })
  }
  return closed
}

/** The checks of a track, without running them. */
export function listChecks(track: Track): Report {
  const rows = track.checks.map(c => [c.name, c.title, c.kind, c.level, c.after, c.gate])
  return {
    ...emptyReport('verify'),
    tables: [
      {
        title: `Checks of ${track.name}`,
        columns: ['check', 'title', 'kind', 'level', 'after', 'gate of'],
        rows,
      },
    ],
  }
}
