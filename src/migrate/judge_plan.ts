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

/** A plan to judge, and what was found before. */
interface JudgedPlan {
  plan: Plan
  /** Objects that others have changed since the newest finished step. */
  changed: string[]
  /** What the database lacks for the plan. */
  obstacles: Finding[]
  /** Whether to say who will see which rows, and of whom that is not known. */
  preview?: boolean | undefined
}

/**
 * A plan with everything that wants a decision: the hazards of its statements and of the database, and the
 * rows that it takes out. The findings say which triggers fire, and which rows can't be taken out; the
 * tables, which roles read what before and afterwards.
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
  // outlooks ask what the track expects to be there
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
