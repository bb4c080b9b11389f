import { backfillResults } from '../backfill/backfill_results.js'
import { failedFindings } from '../backfill/failed_rows.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import type { Track } from '../model/project.js'
import type { KeptProof } from '../model/proof.js'
import { emptyReport, type Finding, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions } from '../plan/make_plan.js'
import { compareProof, type ProofSources, provenNow, tablesNow } from './proof.js'
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
  const { history } = await readHistory(connection, track, barePlanOptions)
  const applied = new Set(history.applied.keys())
  const report = emptyReport('prove', target.info)
  let accounts: KeptProof['accounts'] = []
  if (applied.size > 0) {
    report.backfill = await backfillResults(connection.sql, track.name, history)
    report.findings.push(...(await failedFindings(connection.sql, track.name, null)))
    const counted = await accountsOf(ctx, connection, track, applied)
    const visibility = await compareVisibility(ctx, connection, track)
    accounts = counted.accounts
    report.tables.push(...counted.tables, ...visibility.tables)
    report.findings.push(...counted.findings, ...visibility.findings)
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
  if (report.findings.some(isDoubt) && all.verdict === 'clean') all.verdict = 'attention'
  all.verdict = verdictOf(all)
  if ((options.keep || options.against) && !ctx.signal.aborted)
    await addProof(connection, all, options, { tool: ctx.tool, track, target, history, accounts })
  return all
}

/** Whether a finding of the page itself leaves a person something to look at. */
const isDoubt = ({ code }: Finding): boolean =>
  ['NOT_ACCOUNTED', 'ROWS_FAILED', 'SEES_MORE', 'SEES_LESS'].includes(code)

/** Adds the proof that somebody keeps, and what differs from an earlier one. */
async function addProof(
  connection: Connection,
  report: Report,
  { keep, against }: ProveOptions,
  of: ProofSources,
): Promise<void> {
  const proof = await provenNow(connection, report, of)
  if (keep) report.proof = { ...proof, tables: await tablesNow(connection, of.track, proof.at) }
  if (!against) return
  const { tables, findings } = await compareProof(connection, of.track, against, proof)
  report.tables.push(...tables)
  report.findings.push(...findings)
  if (report.verdict === 'clean' && findings.some(f => f.code === 'PROOF_DIFFERS'))
    report.verdict = 'attention'
}

/** What came in, and what became of it: a table for people, and the numbers that a proof keeps. */
async function accountsOf(
  ctx: Context,
  connection: Connection,
  track: Track,
  applied: ReadonlySet<string>,
): Promise<{ accounts: KeptProof['accounts']; tables: Table[]; findings: Finding[] }> {
  const accounts: KeptProof['accounts'] = []
  const findings: Finding[] = []
  const rows: Table['rows'] = []
  for (const check of track.checks.filter(c => c.kind === 'account')) {
    const { result, tables, findings: found } = await runCheck(ctx, connection, check, applied)
    findings.push(...found)
    if (result.outcome === 'failed')
      findings.push(finding('CHECK_FAILED', check.name, { reason: result.reason ?? result.outcome }))
    const listed: Pick<Table, 'columns' | 'rows'> = tables[0] ?? { columns: [], rows: [] }
    for (const row of listed.rows) {
      const value = (name: string) => row[listed.columns.indexOf(name)] ?? 0
      const object = String(value('object'))
      const account = accountColumns.map(value)
      const counts = account.map(Number)
      const [cameIn = 0, migrated = 0, quarantined = 0, failed = 0, missing = 0] = counts
      rows.push([check.title, object, ...account])
      accounts.push({ object, cameIn, migrated, quarantined, failed, missing })
      findings.push(...unaccounted(object, counts))
    }
  }
  if (rows.length === 0)
    return { accounts, tables: [], findings: [...findings, finding('NOTHING_CAME_IN', track.name)] }
  const columns = ['of', 'object', 'came in', 'migrated', 'set aside', 'failed', 'missing']
  return { accounts, tables: [{ title: 'What came in', columns, rows }], findings }
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
