import { failedFindings } from '../backfill/failed_rows.js'
import { backfillResults } from '../backfill/run_backfill.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import type { Track } from '../model/project.js'
import type { KeptProof } from '../model/proof.js'
import { emptyReport, type Finding, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import { compareProof, provenNow, tablesNow } from './proof.js'
import { runCheck } from './run_check.js'
import { accessOf, type VerifyOptions, verify } from './verify.js'
import { compareVisibility } from './visibility.js'

/** Options of `prove`. */
export interface ProveOptions extends VerifyOptions {
  /** Whether the report includes the proof, for `--out`. */
  keep: boolean
  /** An earlier proof to compare with, else null. */
  against: KeptProof | null
}

/**
 * The page to sign off after a run: what came in is migrated, set aside or failed; the content that
 * the backfills left is there; every check passes; and sampled persons see what they saw before.
 * Writes nothing that lasts.
 */
export async function prove(ctx: Context, track: Track, options: ProveOptions): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  const { history } = await readHistory(connection, track, { to: null, phase: null, backfills: true })
  const applied = new Set(history.applied.keys())
  const report = emptyReport('prove', target.info)
  const counted: KeptProof['accounts'] = []
  if (applied.size > 0) {
    report.backfill = await backfillResults(connection.sql, track.name, history)
    const accounts: Table = {
      title: 'What came in',
      columns: ['of', 'object', 'came in', 'migrated', 'set aside', 'failed', 'missing'],
      rows: [],
    }
    report.findings.push(...(await failedFindings(connection.sql, track.name, null)))
    for (const check of track.checks.filter(c => c.kind === 'account')) {
      const { result, tables, findings } = await runCheck(ctx, connection, check, applied)
      report.findings.push(...findings)
      if (result.outcome === 'failed')
        report.findings.push(finding('CHECK_FAILED', check.name, { reason: result.reason ?? result.outcome }))
      const { columns = [], rows = [] } = tables[0] ?? {}
      for (const row of rows) {
        const value = (name: string) => row[columns.indexOf(name)] ?? 0
        const account = accountColumns.map(value)
        accounts.rows.push([check.title, String(value('object')), ...account])
        const [cameIn = 0, migrated = 0, quarantined = 0, failed = 0, missing = 0] = account.map(Number)
        counted.push({ object: String(value('object')), cameIn, migrated, quarantined, failed, missing })
        report.findings.push(...unaccounted(String(value('object')), account.map(Number)))
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
    // before the policies are there, there is nothing to compare persons with
    sample: accessOf(track, applied) ? options.sample : 0,
  })
  const all: Report = {
    ...report,
    checks: verified.checks,
    tables: [...report.tables, ...verified.tables],
    findings: [...report.findings, ...verified.findings],
    verdict: verified.verdict,
  }
  const doubts = report.findings.some(f =>
    ['NOT_ACCOUNTED', 'ROWS_FAILED', 'SEES_MORE', 'SEES_LESS'].includes(f.code),
  )
  if (doubts && all.verdict === 'clean') all.verdict = 'attention'
  all.verdict = verdictOf(all)
  if ((options.keep || options.against) && !ctx.signal.aborted) {
    const proof = await provenNow(connection, all, {
      tool: ctx.tool,
      track,
      target,
      history,
      accounts: counted,
    })
    if (options.keep) all.proof = { ...proof, tables: await tablesNow(connection, track, proof.at) }
    if (options.against) {
      const { tables, findings } = await compareProof(connection, track, options.against, proof)
      all.tables.push(...tables)
      all.findings.push(...findings)
      if (all.verdict === 'clean' && findings.some(f => f.code === 'PROOF_DIFFERS')) all.verdict = 'attention'
    }
  }
  return all
}

/** The counts of an account. A file without `failed` has none. */
const accountColumns = ['came_in', 'migrated', 'quarantined', 'failed', 'missing']

/** NOT_ACCOUNTED if rows are missing or counted twice, so that the sum differs from what came in. */
function unaccounted(object: string, [cameIn = 0, ...parts]: number[]): Finding[] {
  const missing = parts.at(-1)!
  const off = cameIn - parts.reduce((sum, n) => sum + n, 0)
  const rows = missing === 0 ? Math.abs(off) : missing
  return rows === 0 ? [] : [finding('NOT_ACCOUNTED', object, { rows })]
}
