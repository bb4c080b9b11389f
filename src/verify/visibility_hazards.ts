import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { type Hazard, type Plan, pendingIn } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { withHazards } from '../plan/decisions.js'
import { readersAfter, type SightHazard } from '../plan/readers.js'
import { foreseeVisibility, mostPersons } from './foresee_visibility.js'

/**
 * A plan with the hazards HIDES_ROWS and SHOWS_ROWS: of roles that no policy is for any more, and of whoever
 * is foreseen to see none of the rows that they see now, or others. The tables say which roles read what;
 * with `preview` also who sees how many rows after which step, and the findings of whom that is not known.
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
    // that no policy is for a role says more than that it sees no row
    const isKnown = ({ code, subject, role }: SightHazard) =>
      role !== null && known.some(k => k.code === code && k.subject === subject && k.role === role)
    const more = (foreseen.hazards.get(migration) ?? []).filter(h => !isKnown(h))
    return [...known, ...more].map(({ role: _, ...hazard }) => hazard)
  }
  const add = <S extends { migration: { name: string }; hazards: Hazard[] }>(s: S): S => {
    const hazards = hazardsOf(s.migration.name)
    return hazards.length > 0 ? withHazards(s, hazards) : s
  }
  // what is not known from a step on is not known after the next ones
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
