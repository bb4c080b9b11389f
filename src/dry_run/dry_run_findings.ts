import { vitals } from '../backfill/health_monitor.sql.js'
import { judgeLeaving } from '../backfill/take_out.js'
import { advise } from '../backfill/throttle.js'
import { relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { judgeRights, judgeServer } from '../database/server.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { lint, toLint } from '../files/lint.js'
import { squawk } from '../files/squawk.js'
import { judgeSettings } from '../files/track_info.js'
import { isOneWay } from '../model/foreign.js'
import { type Plan, pendingIn } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { otherTracks } from '../plan/choose_track.js'
import { guard } from '../plan/consent.js'
import { elementShapes } from '../plan/element_shapes.js'
import { heldFindings } from '../plan/make_plan.js'
import { aheadOf } from '../plan/names_taken.js'
import { describeBlocker } from '../run/lock_retry.js'
import { holdersOf } from '../run/lock_retry.sql.js'
import { driftFinding } from '../run/schema_snapshot.js'
import { foreseeStops, foretell } from '../verify/foretell.js'
import { isDecision } from '../verify/outlook_hazards.js'
import { isOutlook } from '../verify/run_check.js'
import { invalidIndexes } from './diagnostics.sql.js'
import type { ForeseenRun, ReadRun } from './foreseen_run.js'

/** What is found before a plan is judged, in ledger, server and files. An error ends the dry run. */
export async function findingsOfFiles({ track, target, read, said }: ReadRun): Promise<Finding[]> {
  const { plan, hasLedger, reopened } = read
  const linted = toLint(track, pendingIn(plan))
  return [
    ...(hasLedger ? [] : [finding('LEDGER_ABSENT', target.info.database)]),
    ...judgeServer(target, true),
    ...plan.findings,
    ...reopened,
    ...(await lint(linted, await squawk(linted))),
    ...oneWay(track, plan),
    ...said.faults,
  ]
}

/** What is found of a run that is foreseen: what it lacks, what wants consent, what is in its way. */
export async function findingsOfRun(run: ForeseenRun, touched: string[]): Promise<Finding[]> {
  const { ctx, connection, track, options, target, read, judged } = run
  const { plan, history, hasLedger } = read
  const isToRun = plan.steps.length > 0
  const shapes = plan.steps.some(s => s.migration.backfill)
    ? await elementShapes(ctx, connection, track)
    : null
  const ahead = aheadOf(plan, history, {
    major: target.major,
    obstacles: run.obstacles,
    consent: options.consent,
  })
  const outlooks = isToRun ? track.checks.filter(c => isOutlook(c) && !isDecision(ctx, c)) : []
  return [
    ...(shapes?.findings ?? []),
    ...(isToRun ? judgeRights(target, hasLedger) : []),
    ...judgeSettings(track.name, run.said.info, ctx.settings),
    ...run.obstacles,
    ...(await foreseeStops(ctx, connection, track, ahead)),
    ...(await otherTracks(connection, ctx, track, run.obstacles)),
    ...guard(judged, options.consent),
    ...(await judgeLeaving(connection, judged, options.consent)),
    ...(await inTheWay(connection, touched)),
    ...(await strain(connection, touched)),
    ...run.findings,
    ...(await published(connection, track, plan)),
    ...(await foretell(ctx, connection, outlooks, new Set(history.applied.keys()))),
    ...driftFinding(run.drift),
    ...heldFindings(judged, target.info.database, options.consent.from),
    ...(isToRun ? [] : [finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length })]),
  ]
}

/** Of another tool's files, those of the plan that nothing takes back. */
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

/** Transactions that hold a lock on a touched table right now: "if you ran it now". */
async function inTheWay(connection: Connection, tables: string[]): Promise<Finding[]> {
  const holders = await holdersOf(connection.sql, tables)
  return holders.map(h =>
    finding('BLOCKER_NOW', h.table, { mode: h.mode, who: describeBlocker(h), prepared: h.prepared }),
  )
}

/**
 * What the server itself says against a run now: signals that would slow a backfill, indexes
 * that a broken build has left.
 */
async function strain(connection: Connection, tables: string[]): Promise<Finding[]> {
  if (tables.length === 0) return []
  const { reasons } = advise(await vitals(connection.sql, tables[0]!, []), false, { now: null, limit: null })
  return [
    ...(reasons.length > 0 ? [finding('SERVER_STRAINED', 'server', { reasons })] : []),
    ...(await invalidIndexes(connection.sql, tables)).map(i => finding('INVALID_INDEX', i)),
  ]
}

/** Publications that would send each row that a backfill writes. */
async function published(connection: Connection, track: Track, plan: Plan): Promise<Finding[]> {
  const pending = plan.steps.map(s => s.migration.name)
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
