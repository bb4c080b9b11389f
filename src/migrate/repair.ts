import { closeBackfill } from '../backfill/run_backfill.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { historyChange } from '../histories/read_history.js'
import { UsageError } from '../model/failure.js'
import { bareStep, type Consent } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { wants } from '../plan/consent.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions, findMigration } from '../plan/make_plan.js'
import { inRun } from '../run/in_run.js'
import { record } from '../run/ledger_rows.js'
import { openRun } from '../run/open_run.js'
import { storeFingerprint } from '../run/schema_snapshot.js'
import { stepResult } from '../run/step_result.js'
import { type CatalogEvidence, catalogEvidence } from './catalog_evidence.js'

/** Options of `repair`. */
export interface RepairOptions {
  migration: string
  /** The new state in the ledger. */
  as: 'applied' | 'not applied'
  consent: Consent
}

/** Most pieces of evidence that a finding names. */
const mostEvidence = 20

/**
 * Records in the ledger that a migration is applied, or is not, after manual work. It first compares with the
 * catalog. What the catalog does not show needs RECORDS_UNPROVEN. The row has the evidence, and the run has
 * the reason. It only writes the ledger, and another tool's history if that is written. It never waits for a
 * run: it refuses beside one. Throws USAGE without a reason.
 */
export async function repair(ctx: Context, track: Track, options: RepairOptions): Promise<Report> {
  const { as } = options
  const why = ctx.reason?.trim() ?? ''
  if (why === '') throw new UsageError('repair', "it needs --reason '...': why the ledger is wrong")
  const m = findMigration(track, options.migration)
  const report = emptyReport('repair')
  const evidence = await judgeRepair(ctx, track, m, options, report)
  report.verdict = verdictOf(report)
  if (evidence === null) return report
  report.steps = report.steps.map(s => ({ ...s, reason: 'it was not recorded' }))
  const run = await openRun(ctx, 'repair', 0)
  return inRun(run, report, async () => {
    // another run may have been at work since
    const now = await readHistory(run.writer, track, barePlanOptions)
    if (isAlready(now.history.applied.has(m.name), now.history.unfinished.has(m.name), as)) {
      report.findings.push(finding('REPAIR_NEEDLESS', m.name, { as }))
      return
    }
    if (m.backfill && as === 'not applied') await closeBackfill(run.writer.sql, m.track, m.name)
    const alongside = await historyChange(run.writer.sql, track, m, as === 'applied' ? 'up' : 'down')
    await record(run, m, as === 'applied' ? 'baseline' : 'down', 'done', {
      evidence: { by: 'repair', reason: why, ...evidence, allowed: evidence.unproven.length > 0 },
      alongside,
    })
    await storeFingerprint(run)
    report.steps = report.steps.map(s => ({ ...s, outcome: 'done', reason: `recorded as ${as}` }))
    report.findings.push(
      finding('REPAIRED', m.name, {
        as,
        shown: evidence.shown.length,
        unproven: evidence.unproven.slice(0, mostEvidence),
        why,
      }),
    )
    // what the catalog does not show was not verified, so the verdict is not clean
    if (evidence.unproven.length > 0) report.verdict = 'attention'
  })
}

/** Whether the ledger says so already, and nothing was begun since. */
const isAlready = (applied: boolean, begun: boolean, as: RepairOptions['as']): boolean =>
  !begun && applied === (as === 'applied')

/** Reads the ledger and the catalog. Returns null if there is nothing to write; the report says why. */
async function judgeRepair(
  ctx: Context,
  track: Track,
  m: Migration,
  { as, consent }: RepairOptions,
  report: Report,
): Promise<CatalogEvidence | null> {
  await using connection = await connect(ctx, 'reader')
  report.target = (await inspect(ctx, connection)).info
  const { history } = await readHistory(connection, track, barePlanOptions)
  if (isAlready(history.applied.has(m.name), history.unfinished.has(m.name), as)) {
    report.findings.push(finding('REPAIR_NEEDLESS', m.name, { as }))
    return null
  }
  if (track.unkept) {
    report.findings.push(track.unkept)
    return null
  }
  const applied = new Set([...history.applied.keys()].filter(name => name !== m.name))
  const evidence = await catalogEvidence(ctx, connection, track, m, { as, applied })
  const direction = as === 'applied' ? 'up' : 'down'
  report.steps = [stepResult(bareStep(m, direction), 'not-run', 'refused')]
  report.tables.push(repairTable(m, as, evidence))
  if (evidence.unproven.length === 0) return evidence
  const because = evidence.unproven.slice(0, mostEvidence).map(text => `RECORDS_UNPROVEN: ${m.name}: ${text}`)
  report.findings.push(...wants(m.name, consent, { hazards: ['RECORDS_UNPROVEN'], database: null, because }))
  return report.findings.length > 0 ? null : evidence
}

const repairTable = (m: Migration, as: string, { shown, unproven }: CatalogEvidence): Table => ({
  title: `What shows that ${m.name} is ${as}`,
  columns: ['evidence', 'shows it'],
  rows: [...shown.map(text => [text, 'yes']), ...unproven.map(text => [text, 'no'])],
})
