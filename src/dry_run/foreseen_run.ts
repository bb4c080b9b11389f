import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { preflight, type Target } from '../database/server.js'
import type { readTrackInfo } from '../files/track_info.js'
import { remaindersOf } from '../files/transactions.js'
import { judgePlan } from '../migrate/judge_plan.js'
import type { readPlan } from '../migrate/read_plan.js'
import type { Consent, Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import type { Finding, Table } from '../model/report.js'
import type { PlanOptions } from '../plan/make_plan.js'
import { type Drift, drifted, noDrift } from '../run/schema_snapshot.js'

/** What a person asked `plan` for. */
export interface DryRunOptions extends PlanOptions {
  consent: Consent
  /** The plan is to be pinned: what `--out` writes comes with the report. */
  pinned?: boolean
  /** Who will see which rows is to be shown, and of whom that is not known. */
  visibility?: boolean
}

/** What is there before a plan is judged. */
export interface ReadRun {
  ctx: Context
  connection: Connection
  track: Track
  options: DryRunOptions
  target: Target
  /** The plan from ledger and files, and the history. */
  read: Awaited<ReturnType<typeof readPlan>>
  /** What the track says of its tables. */
  said: Awaited<ReturnType<typeof readTrackInfo>>
}

/** The run that a dry run speaks of, as far as its plan, its files and the database foresee it. */
export interface ForeseenRun extends ReadRun {
  /** The plan with everything that wants a decision. */
  judged: Plan
  /** What judging it has found: triggers that fire, rows that cannot be taken out. */
  findings: Finding[]
  /** Which roles read what, before and afterwards. */
  readers: Table[]
  /** What the database lacks for the plan. */
  obstacles: Finding[]
  drift: Drift
}

/** Judges the plan of a run as `migrate` would. */
export async function foresee(run: ReadRun): Promise<ForeseenRun> {
  const { ctx, connection, track, options, target, read } = run
  const obstacles = await preflight(connection, await remaindersOf(read.plan.steps))
  const drift = read.hasLedger ? await drifted(connection, target.major) : noDrift
  const judgement = await judgePlan(ctx, connection, track, {
    plan: read.plan,
    changed: drift.changed,
    obstacles,
    preview: options.visibility,
  })
  return {
    ...run,
    judged: judgement.plan,
    findings: judgement.findings,
    readers: judgement.tables,
    obstacles,
    drift,
  }
}
