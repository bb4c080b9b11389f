import { vitals } from '../backfill/health_monitor.sql.js'
import { judgeLeaving } from '../backfill/take_out.js'
import { advise } from '../backfill/throttle.js'
import { relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect, inside } from '../database/context.js'
import { takenBack, transaction } from '../database/scopes.js'
import { inspect, judgeRights, judgeServer, preflight } from '../database/server.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { lint, toLint } from '../files/lint.js'
import { squawk } from '../files/squawk.js'
import { judgeSettings, readTrackInfo } from '../files/track_info.js'
import { remaindersOf } from '../files/transactions.js'
import { judgePlan } from '../migrate/judge_plan.js'
import { isDriftOfTrack } from '../migrate/migrate.js'
import { readPlan } from '../migrate/read_plan.js'
import { isOneWay } from '../model/foreign.js'
import type { Consent, Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import {
  emptyReport,
  type Finding,
  finding,
  type Report,
  type StepResult,
  type Table,
  tableOfCells,
  verdictOf,
  waitsTitle,
} from '../model/report.js'
import { namesIn } from '../model/table_name.js'
import { otherTracks } from '../plan/choose_track.js'
import { guard } from '../plan/consent.js'
import { elementShapes } from '../plan/element_shapes.js'
import { lookAhead } from '../plan/look_ahead.js'
import { heldFindings, type PlanOptions } from '../plan/make_plan.js'
import { migrateCommand, undoCommand } from '../plan/next_command.js'
import { pinOf } from '../plan/pinned_plan.js'
import { schemaPicture } from '../plan/schema_picture.js'
import { planRollback, type RollbackOptions, rollbackConsent } from '../rollback/plan_rollback.js'
import { finishedOf } from '../run/ledger_history.js'
import { describeBlocker } from '../run/lock_retry.js'
import { holdersOf } from '../run/lock_retry.sql.js'
import { drifted, driftFinding, noDrift } from '../run/schema_snapshot.js'
import { stepResult } from '../run/step_result.js'
import { foretell, foretellTables } from '../verify/foretell.js'
import { isDecision } from '../verify/outlook_hazards.js'
import { isOutlook } from '../verify/run_check.js'
import { connected, invalidIndexes } from './diagnostics.sql.js'
import { estimateBackfills, sampleBackfills } from './estimate.js'

/**
 * Runs work in one READ ONLY REPEATABLE READ transaction, which is rolled back. The server refuses any write,
 * and all numbers are of one moment.
 */
async function inReadOnly<T>(ctx: Context, work: (connection: Connection) => Promise<T>): Promise<T> {
  await using connection = await connect(ctx, 'reader')
  const scope = transaction(connection.sql, 'isolation level repeatable read read only')
  return await takenBack(scope, tx => work(inside(connection, tx)))
}

/** Options of `plan`. */
export interface DryRunOptions extends PlanOptions {
  consent: Consent
  /** True to add the pin that `--out` writes. */
  pinned?: boolean
  /** True to show who will see which rows, and for whom that is unknown. */
  visibility?: boolean
}

/** The dry run of `migrate`: steps with SQL, phases, hazards and tables, and who would be in the way now. */
export const dryRun = async (ctx: Context, track: Track, options: DryRunOptions): Promise<Report> =>
  (await dryRunAndPlan(ctx, track, options)).report

/** Of another tool's files: those of the plan without a rollback. */
function oneWay(track: Track, plan: Plan): Finding[] {
  if (!track.layout) return []
  const names = plan.steps
    .map(s => s.migration)
    .filter(isOneWay)
    .map(m => m.name)
  return names.length === 0
    ? []
    : [finding('ONE_WAY', track.name, { migrations: names.slice(0, 10), count: names.length })]
}

/** The dry run, and the plan that it speaks of. */
export function dryRunAndPlan(
  ctx: Context,
  track: Track,
  options: DryRunOptions,
): Promise<{ report: Report; plan: Plan }> {
  return inReadOnly(ctx, async connection => {
    const target = await inspect(ctx, connection)
    const report = emptyReport('plan', target.info)
    const { plan, history, hasLedger, reopened } = await readPlan(connection, track, options)
    const { info, faults: wrong } = await readTrackInfo(track)
    if (!hasLedger) report.findings.push(finding('LEDGER_ABSENT', target.info.database))
    report.findings.push(...judgeServer(target, true), ...plan.findings, ...reopened)
    const pending = [...plan.steps, ...plan.held].map(s => s.migration)
    const linted = toLint(track, pending)
    report.findings.push(...(await lint(linted, await squawk(linted))), ...oneWay(track, plan), ...wrong)
    if (report.findings.some(f => f.level === 'error'))
      return { report: { ...report, verdict: 'failed' as const }, plan }
    const migrations = plan.steps.map(s => s.migration)
    const obstacles = await preflight(connection, await remaindersOf(plan.steps))
    const drift = hasLedger ? await drifted(connection, target.major) : noDrift
    const {
      plan: described,
      findings: triggers,
      tables: readers,
    } = await judgePlan(ctx, connection, track, {
      plan,
      changed: drift.changed,
      obstacles,
      preview: options.visibility,
    })
    for (const s of described.steps) {
      const takesOut = described.leaving?.get(s.migration.name)
      report.steps.push({ ...stepResult(s), locks: s.locks, ...(takesOut === undefined ? {} : { takesOut }) })
    }
    if (report.steps.length > 0) report.tables.push(waitsTable(report.steps))
    const tables = touched(report)
    report.tables.push(await tablesTable(connection, tables), ...readers)
    const backfills = await estimateBackfills(
      connection,
      track,
      migrations.map(m => m.name),
      hasLedger,
    )
    if (backfills.table) report.tables.push(backfills.table)
    report.steps = withEstimates(report.steps, backfills.estimates)
    const applied = new Set(history.applied.keys())
    if (plan.steps.length > 0)
      report.tables.push(...(await foretellTables(ctx, connection, track.checks, applied)))
    const sessions = await connected(connection.sql)
    if (sessions.length > 0 && plan.steps.length > 0)
      report.tables.push(tableOfCells('Connected now: their open transactions would be waited for', sessions))
    const ahead = await lookAhead(ctx, connection, track, {
      applied: plan.applied,
      pending,
      resumed: finishedOf(history),
      major: target.major,
      obstacles,
    })
    const shapes = plan.steps.some(s => s.migration.backfill)
      ? await elementShapes(ctx, connection, track)
      : null
    report.findings.push(
      ...(shapes?.findings ?? []),
      ...(plan.steps.length > 0 ? judgeRights(target, hasLedger) : []),
      ...judgeSettings(track.name, info, ctx.settings),
      ...obstacles,
      ...ahead,
      ...(await otherTracks(connection, ctx, track, obstacles)),
      ...guard(described, options.consent),
      ...(await judgeLeaving(connection, described, options.consent)),
      ...(await inTheWay(connection, tables)),
      ...(await strain(connection, tables)),
      ...triggers,
      ...(await published(
        connection,
        track,
        migrations.map(m => m.name),
      )),
      ...(await foretell(
        ctx,
        connection,
        plan.steps.length > 0 ? track.checks.filter(c => isOutlook(c) && !isDecision(ctx, c)) : [],
        applied,
      )),
      ...driftFinding(drift),
      ...heldFindings(described, target.info.database, options.consent.from),
    )
    if (plan.steps.length === 0)
      report.findings.push(finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }))
    // as `migrate` that has nothing to do: what others changed of the track is to be looked at
    if (plan.steps.length === 0 && (await isDriftOfTrack(track, drift, options.consent)))
      report.verdict = 'attention'
    const picture = await schemaPicture(connection.sql, described)
    if (picture) report.schema = picture
    if (plan.steps.length > 0)
      report.next = migrateCommand(track.name, options, report.findings, options.consent)
    if (options.pinned) report.pin = await pinOf(connection, described, history, options, target)
    // a plan refuses nothing itself: what `migrate` would refuse is attention
    if (report.findings.some(f => f.level === 'refused')) report.verdict = 'attention'
    report.findings = report.findings.map(f => (f.level === 'refused' ? { ...f, level: 'warn' } : f))
    return { report: { ...report, verdict: verdictOf(report) }, plan }
  })
}

/** Who would wait for what: by step and table, the first lock of each kind that makes an application wait. */
function waitsTable(steps: StepResult[]): Table {
  const rows: Table['rows'] = []
  for (const s of steps) {
    const waits = s.locks.filter(l => l.blocks !== 'nothing' || l.table === null)
    for (const l of waits) {
      const same = waits.filter(o => o.table === l.table && o.mode === l.mode)
      if (same[0] !== l) continue
      const statement = same.length === 1 ? l.statement : `${l.statement} and ${same.length - 1} more`
      const who = l.table ? l.blocks : '?'
      rows.push([s.migration, statement, l.table ?? 'only a rehearsal shows it', l.mode, who])
    }
  }
  return {
    title: waitsTitle,
    columns: ['step', 'statement', 'table', 'lock', 'waits while it is held'],
    rows,
  }
}

const withEstimates = (steps: StepResult[], of: Map<string, NonNullable<StepResult['estimate']>>) =>
  steps.map(s => (of.has(s.migration) ? { ...s, estimate: of.get(s.migration)! } : s))

/** The dry run, with estimates from batches that are run and rolled back. */
export async function dryRunWithSample(ctx: Context, track: Track, options: DryRunOptions): Promise<Report> {
  const report = await dryRun(ctx, track, options)
  const { table, estimates, findings } = await sampleBackfills(
    ctx,
    track,
    report.steps.filter(s => s.phase === 'backfill').map(s => s.migration),
  )
  if (table) report.tables.push(table)
  report.steps = withEstimates(report.steps, estimates)
  report.findings.push(...findings)
  return report
}

/** The dry run of a rollback: the loss report and the steps. */
export function dryRunRollback(ctx: Context, track: Track, options: RollbackOptions): Promise<Report> {
  return inReadOnly(ctx, async connection => {
    const target = await inspect(ctx, connection)
    const { plan, report } = await planRollback(connection, target, track, options)
    report.findings.push(...rollbackConsent(plan, options, target.info.database))
    if (plan.steps.length > 0)
      report.next = undoCommand(track.name, options, report.findings, options.consent)
    report.findings = report.findings.map(f => (f.level === 'refused' ? { ...f, level: 'warn' } : f))
    return { ...report, command: 'plan', verdict: verdictOf(report) }
  })
}

const touched = (report: Report): string[] => [
  ...new Set(
    report.steps.flatMap(s => s.hazards.map(h => h.subject)).filter(name => namesIn(name)?.length === 2),
  ),
]

async function tablesTable(connection: Connection, names: string[]): Promise<Table> {
  const facts = await relationFacts(connection.sql, names)
  return {
    title: 'Tables touched',
    columns: ['table', 'rows (estimate)', 'bytes', 'row security', 'owner'],
    rows: facts.map(f => [
      f.name,
      f.rows < 0 ? null : f.rows,
      f.bytes,
      f.forced ? 'forced' : f.rowSecurity,
      f.owner,
    ]),
  }
}

/** Transactions that hold a lock on one of the tables now. */
async function inTheWay(connection: Connection, tables: string[]): Promise<Finding[]> {
  const holders = await holdersOf(connection.sql, tables)
  return holders.map(h => finding('BLOCKER_NOW', h.table, { mode: h.mode, who: describeBlocker(h) }))
}

/**
 * What the server's state says against a run now: signals that would slow a backfill, and invalid indexes.
 */
async function strain(connection: Connection, tables: string[]): Promise<Finding[]> {
  if (tables.length === 0) return []
  const { reasons } = advise(await vitals(connection.sql, tables[0]!, []), false, { now: null, limit: null })
  return [
    ...(reasons.length > 0 ? [finding('SERVER_STRAINED', 'server', { reasons })] : []),
    ...(await invalidIndexes(connection.sql, tables)).map(i => finding('INVALID_INDEX', i)),
  ]
}

/** Publications that would send every row that a backfill writes. */
async function published(connection: Connection, track: Track, pending: string[]): Promise<Finding[]> {
  const tables = new Set<string>()
  for (const m of track.migrations) {
    if (m.backfill && pending.includes(m.name))
      tables.add((await readBackfillStatement(m.file.text, m.file.path, m.backfill)).writes)
  }
  return (await relationFacts(connection.sql, [...tables])).flatMap(f => {
    const [publication, ...more] = f.publications
    return publication === undefined
      ? []
      : [finding('PUBLISHED_TABLE', f.name, { publications: [publication, ...more] })]
  })
}
