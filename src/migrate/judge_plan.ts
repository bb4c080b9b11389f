import { referencedRows, withLeavingRows } from '../backfill/take_out.js'
import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import type { Finding, Table } from '../model/report.js'
import { addDecisions } from '../plan/decisions.js'
import { describe } from '../plan/describe_steps.js'
import { withOutlookHazards } from '../verify/outlook_hazards.js'
import { withVisibility } from '../verify/visibility_hazards.js'

/** A plan to judge, with what is already known. */
interface JudgedPlan {
  plan: Plan
  /** Objects that others have changed since the newest finished step. */
  changed: string[]
  /** What the database lacks for the plan. */
  obstacles: Finding[]
  /** Whether to report who will see which rows, and for whom that is unknown. */
  preview?: boolean | undefined
}

/**
 * Adds to a plan everything that needs a decision: the hazards of its statements and of the database, and the
 * number of rows that it removes. Findings name the triggers that fire and the rows that cannot be removed.
 * Tables show which roles read what before and afterwards.
 */
export async function judgePlan(
  ctx: Context,
  connection: Connection,
  track: Track,
  { plan, changed, obstacles, preview = false }: JudgedPlan,
): Promise<{ plan: Plan; findings: Finding[]; tables: Table[] }> {
  const described = await describe(plan, connection.sql)
  const { plan: decided, findings } = await addDecisions(ctx, connection.sql, track, described, changed)
  const kept = await referencedRows(connection, track, decided)
  // outlooks only run if the objects that the track requires exist
  const fits = !obstacles.some(f => f.level === 'refused')
  const foreseen = fits ? await withOutlookHazards(ctx, connection, track, decided) : decided
  const counted = await withLeavingRows(connection, track, foreseen)
  const seen = await withVisibility(ctx, connection, track, counted, preview)
  return {
    plan: seen.plan,
    findings: [...findings, ...kept, ...seen.findings],
    tables: seen.tables,
  }
}
