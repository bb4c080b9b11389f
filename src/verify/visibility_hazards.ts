import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { type Hazard, type Plan, pendingIn } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { withHazards } from '../plan/decisions.js'
import { readersAfter, type SightHazard } from '../plan/readers.js'
import { foreseeVisibility, mostPersons } from './foresee_visibility.js'

/**
 * Adds the hazards HIDES_ROWS and SHOWS_ROWS: for roles that no policy applies to any more, and for roles or
 * users that would see none of today's rows, or other rows. The tables show which roles read what. With
 * `preview` they also show how many rows each sees after each step, and findings name what is unknown.
 */
export async function withVisibility(
  ctx: Context,
  connection: Connection,
  track: Track,
  plan: Plan,
  preview: boolean,
): Promise<{ plan: Plan; tables: Table[]; findings: Finding[] }> {
  const pending = pendingIn(plan)
  const readers = await readersAfter(connection.sql, pending)
  const foreseen = await foreseeVisibility(ctx, connection, track, pending, {
    persons: mostPersons,
    always: preview,
  })
  const hazardsOf = (migration: string): Hazard[] => {
    const known = readers.hazards.get(migration) ?? []
    // that no policy is for a role says more than that it sees no rows
    const isKnown = ({ code, subject, role }: SightHazard) =>
      role !== null && known.some(k => k.code === code && k.subject === subject && k.role === role)
    const more = (foreseen.hazards.get(migration) ?? []).filter(h => !isKnown(h))
    return [...known, ...more].map(({ role: _, ...hazard }) => hazard)
  }
  const add = <S extends { migration: { name: string }; hazards: Hazard[] }>(s: S): S => {
    const hazards = hazardsOf(s.migration.name)
    return hazards.length > 0 ? withHazards(s, hazards) : s
  }
  // what is unknown after one step is also unknown after the next ones: report it once
  const unknown = foreseen.unknown.filter(
    (u, i, all) => i === all.findIndex(o => o.subject === u.subject && o.reason === u.reason),
  )
  return {
    plan: { ...plan, steps: plan.steps.map(add), held: plan.held.map(add) },
    tables: [...readers.tables, ...(preview ? foreseen.tables : [])],
    findings: !preview
      ? []
      : foreseen.tables.length + foreseen.unknown.length === 0
        ? [finding('SAME_VISIBILITY', track.name)]
        : unknown.map(u =>
            finding('VISIBILITY_UNKNOWN', u.subject, { migration: u.migration, reason: u.reason }),
          ),
  }
}
