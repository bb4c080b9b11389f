import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { faultText, isRefused } from '../database/faults.js'
import { keyText, primaryKey } from '../database/row_key.sql.js'
import { takenBack, transaction } from '../database/scopes.js'
import { type Db, ident } from '../database/types.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { mostPersons } from '../verify/foresee_visibility.js'
import { type NamedSeer, seersOf } from '../verify/seers.js'
import { previewTables, type Sight, type SightMoment } from '../verify/visibility_preview.js'
import { visibilityStops } from '../verify/visibility_subjects.js'
import {
  type SeenRows,
  type Subject,
  seenBy,
  subjectsOf,
  tableQuery,
} from '../verify/visibility_twins.sql.js'

/** Time limit for all seers' queries on one table, in milliseconds. Nobody waits for a copy. */
const copyLookMs = 120_000

/** Examines who sees which rows of a copy while the steps run there. */
export interface VisibilityWatch {
  /** The migrations that may change visibility. */
  migrations: string[]
  /** Examines the tables after a migration has run. */
  look(after: string | null): Promise<void>
  seen(): { tables: Table[]; findings: Finding[] }
}

/** Examines the tables before the first step, and returns what examines them after others. */
export async function watchVisibility(copy: Context, track: Track, plan: Plan): Promise<VisibilityWatch> {
  await using connection = await connect(copy, 'reader')
  const { sql } = connection
  const steps = plan.steps.map(s => s.migration)
  const { tables, migrations, also } = await visibilityStops(sql, steps)
  const held = await visibilityStops(
    sql,
    plan.held.map(h => h.migration),
  )
  const findings: Finding[] = []
  const unknown = (subject: string, migration: string | null, reason: string) =>
    findings.push(finding('VISIBILITY_UNKNOWN', subject, { migration, reason }))
  for (const name of held.migrations) unknown(held.tables.join(', '), name, 'this plan stops before it')
  const { seers, unasked } =
    tables.length > 0
      ? await seersOf(sql, track, { tables, also, persons: mostPersons })
      : { seers: [], unasked: [] }
  for (const { who, reason } of unasked) unknown(who, null, reason)
  const subjects = await subjectsOf(sql, tables)
  const keys = new Map<string, string | null>()
  for (const s of subjects) {
    const key = await primaryKey(sql, s.table)
    keys.set(s.table, key.length > 0 ? keyText(key.map(ident)) : null)
  }
  const moments: SightMoment[] = []
  const look = async (after: string | null): Promise<void> => {
    await using probe = await connect(copy, 'probe')
    const sights = new Map<string, Sight>()
    for (const s of subjects) {
      const sight = await lookAtCopy(probe.sql, s, seers, keys.get(s.table)!)
      if ('unknown' in sight) unknown(s.table, after, sight.unknown)
      sights.set(s.table, sight)
    }
    moments.push({ after, sights })
  }
  if (subjects.length > 0) await look(null)
  return {
    migrations,
    look,
    seen: () => {
      const reached = new Set(moments.map(m => m.after))
      for (const name of migrations)
        if (!reached.has(name)) unknown(tables.join(', '), name, 'the run over the copy ended before it')
      return {
        tables: previewTables({ seers, moments, tables: subjects.map(s => ({ name: s.table, rows: null })) }),
        findings:
          subjects.length + findings.length === 0 ? [finding('SAME_VISIBILITY', track.name)] : findings,
      }
    },
  }
}

async function lookAtCopy(
  sql: Parameters<typeof transaction>[0],
  { table, schema }: Subject,
  seers: NamedSeer[],
  key: string | null,
): Promise<Sight> {
  const ask = (tx: Db, some: NamedSeer[], by: string | null): Promise<SeenRows[]> =>
    seenBy(tx, some, { query: tableQuery(table, by), table, schema })
  try {
    return await takenBack(transaction(sql), async tx => {
      await setLocal(tx, 0, copyLookMs)
      const seen = await ask(tx, seers, key)
      // a role that may only read some columns may not read the key: count its rows without it
      const again = seers.filter((_, i) => seen[i]!.fault !== null)
      const counted = key === null || again.length === 0 ? [] : await ask(tx, again, null)
      return seen.map((s, i) => (s.fault === null ? s : (counted[again.indexOf(seers[i]!)] ?? s)))
    })
  } catch (error) {
    if (!isRefused(error)) throw error
    return { unknown: faultText(error) }
  }
}
