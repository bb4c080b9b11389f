import { toResult } from '../backfill/run_backfill.js'
import { readBackfills } from '../backfill/run_backfill.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import type { Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import { runCheck } from './run_check.js'
import { accessOf, type VerifyOptions, verify } from './verify.js'
import { compareVisibility } from './visibility.js'

/**
 * The page to sign off after a run: what came in is migrated or in the quarantine; the content that
 * the backfills left is there; every check passes; and sampled persons see what they saw before.
 * Writes nothing that lasts.
 */
export async function prove(ctx: Context, track: Track, options: VerifyOptions): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  const { history } = await readHistory(connection, track, { to: null, phase: null, backfills: true })
  const applied = new Set(history.applied.keys())
  const report = emptyReport('prove', target.info)
  if (applied.size > 0) {
    report.backfill = (await readBackfills(connection.sql, track.name, null)).map(toResult)
    const accounts: Table = {
      title: 'What came in',
      columns: ['of', 'object', 'came in', 'migrated', 'in the quarantine', 'missing'],
      rows: [],
    }
    for (const check of track.checks.filter(c => c.kind === 'account')) {
      const { result, tables, findings } = await runCheck(ctx, connection, check, applied)
      report.findings.push(...findings)
      if (result.outcome === 'failed')
        report.findings.push(finding('CHECK_FAILED', check.name, { reason: result.reason ?? result.outcome }))
      for (const row of tables[0]?.rows ?? []) {
        accounts.rows.push([check.title, ...row])
        report.findings.push(...missing(row))
      }
    }
    if (accounts.rows.length > 0) report.tables.push(accounts)
    else report.findings.push(finding('NOTHING_CAME_IN', track.name))
    const visibility = await compareVisibility(ctx, connection, track)
    report.tables.push(...visibility.tables)
    report.findings.push(...visibility.findings)
  }
  const verified = await verify(ctx, track, {
    ...options,
    deep: true,
    // before the policies stand there is nothing to compare persons with
    sample: accessOf(track, applied) ? options.sample : 0,
  })
  const all: Report = {
    ...report,
    checks: verified.checks,
    tables: [...report.tables, ...verified.tables],
    findings: [...report.findings, ...verified.findings],
    verdict: verified.verdict,
  }
  const doubts = report.findings.some(f => ['NOT_ACCOUNTED', 'SEES_MORE', 'SEES_LESS'].includes(f.code))
  if (doubts && all.verdict === 'clean') all.verdict = 'attention'
  all.verdict = verdictOf(all)
  return all
}

/** The last value of an account's row counts what is neither migrated nor set aside. */
function missing(row: Table['rows'][number]): Finding[] {
  const lost = Number(row.at(-1))
  return lost === 0 ? [] : [finding('NOT_ACCOUNTED', String(row[0]), { rows: lost })]
}
