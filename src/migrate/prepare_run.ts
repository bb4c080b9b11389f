import { judgeLeaving } from '../backfill/take_out.js'
import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { judgeRights, preflight, type Target } from '../database/server.js'
import { lint, toLint } from '../files/lint.js'
import { judgeSettings, readTrackInfo } from '../files/track_info.js'
import { remaindersOf } from '../files/transactions.js'
import { Failures } from '../model/failure.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import type { Report } from '../model/report.js'
import { otherTracks } from '../plan/choose_track.js'
import { guard } from '../plan/consent.js'
import { type HistoryAndPlan, readHistory } from '../plan/history.js'
import { aheadOf } from '../plan/names_taken.js'
import { judgePin, pinOf } from '../plan/pinned_plan.js'
import { type Drift, driftFinding } from '../run/schema_snapshot.js'
import type { ObjectRow } from '../run/schema_snapshot.sql.js'
import { stepResult } from '../run/step_result.js'
import { foreseeStops } from '../verify/foretell.js'
import { judgePlan } from './judge_plan.js'
import type { MigrateOptions } from './migrate_options.js'

/** A plan that may be executed, and the state that it was judged by. */
export interface PreparedRun {
  plan: Plan
  /** The schema before the first step; null if another run has been active since. */
  schema: ObjectRow[] | null
  /** Time of the newest ledger row at that moment. */
  newest: string | null
}

/** What was read before the plan is judged. */
export interface Seen extends HistoryAndPlan {
  target: Target
  /** The schema. Null only if there is neither a ledger nor a step. */
  schema: ObjectRow[] | null
  /** Objects that differ from the state after the newest finished step. */
  drift: Drift
}

/**
 * Judges a plan that has steps, without writing. Returns null if a guard refused, and 'outrun' if another run
 * has applied some of it since the ledger was read.
 */
export async function prepareRun(
  ctx: Context,
  connection: Connection,
  track: Track,
  { plan, history, hasLedger, newest, target, schema, drift }: Seen,
  options: MigrateOptions,
  report: Report,
): Promise<PreparedRun | null | 'outrun'> {
  const { info, faults: wrong } = await readTrackInfo(track)
  const pending = plan.steps.map(s => s.migration)
  const linted = await lint(toLint(track, pending))
  const faults = [...wrong, ...linted.filter(f => f.level === 'error')]
  if (faults.length > 0) throw new Failures(faults)
  const obstacles = await preflight(connection, await remaindersOf(plan.steps))
  const { plan: described, findings: firing } = await judgePlan(ctx, connection, track, {
    plan,
    changed: drift.changed,
    obstacles,
  })
  if (options.pin)
    report.findings.push(
      ...judgePin(options.pin, await pinOf(connection, described, history, options, target)),
    )
  const asked = aheadOf(plan, history, { major: target.major, obstacles, consent: options.consent })
  const ahead = await foreseeStops(ctx, connection, track, asked)
  if ([...obstacles, ...ahead].some(f => f.code === 'ALREADY_EXISTS' || f.code === 'NAME_TAKEN')) {
    // another run may have created it since the ledger was read; its ledger row was committed with it
    const now = await readHistory(connection, track, options)
    if (now.history.applied.size !== history.applied.size) return 'outrun'
  }
  report.steps = described.steps.map(s => stepResult(s, 'not-run', 'refused before the first step'))
  report.findings.push(
    ...driftFinding(drift),
    ...firing,
    ...judgeRights(target, hasLedger),
    ...judgeSettings(track.name, info, ctx.settings),
    ...obstacles,
    ...ahead,
    ...(await otherTracks(connection, ctx, track, obstacles)),
    ...guard(described, options.consent),
    ...(await judgeLeaving(connection, described, options.consent)),
  )
  return report.findings.some(f => f.level === 'refused') ? null : { plan: described, schema, newest }
}
