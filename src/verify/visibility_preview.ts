import { plural } from '../model/plural.js'
import type { Table } from '../model/report.js'
import type { SightHazard } from '../plan/readers.js'
import { isRoleOfPeople } from '../plan/widens_access.js'
import type { NamedSeer } from './seers.js'
import type { SeenRows } from './visibility_twins.sql.js'

/** What each seer sees of a table, in order, or why it is unknown. */
export type Sight = SeenRows[] | { unknown: string }

/** What is visible in some tables after a migration; `after` is null for now. */
export interface SightMoment {
  after: string | null
  sights: ReadonlyMap<string, Sight>
}

/** The prediction of who sees what. */
export interface Prediction {
  seers: NamedSeer[]
  /** Tables, each with its number of rows; null if they could not be counted. */
  tables: { name: string; rows: number | null }[]
  /** Now, and after each migration that changes visibility, in order. */
  moments: SightMoment[]
}

/** The change of what a seer sees, in rows. Null if only the fact of a change is known. */
interface SightChange {
  gains: number | null
  loses: number | null
}

/** Pure: how many more and fewer rows are seen, of a table with so many rows. */
function sightChange(before: SeenRows, after: SeenRows, rows: number | null): SightChange {
  if (before.hash === after.hash && before.rows === after.rows) return { gains: 0, loses: 0 }
  // if nothing was seen before, or everything is seen now, no row can be lost
  if (before.rows === 0 || after.rows === rows)
    return { gains: Math.max(0, after.rows - before.rows), loses: 0 }
  if (after.rows === 0 || before.rows === rows)
    return { gains: 0, loses: Math.max(0, before.rows - after.rows) }
  if (before.ids === null || after.ids === null) return { gains: null, loses: null }
  return { gains: rowsBeside(after.ids, before.ids), loses: rowsBeside(before.ids, after.ids) }
}

/** How many rows are in the first list and not in the second. */
function rowsBeside(ids: string, others: string): number {
  const known = new Set(others.split(' '))
  return ids
    .split(' ')
    .reduce((sum, id) => sum + (known.has(id) ? 0 : Number(id.slice(id.indexOf(':') + 1))), 0)
}

const isSeen = (sight: Sight | undefined): sight is SeenRows[] => Array.isArray(sight)

/** Pure: one table of the report for each table whose visibility is examined. */
export const previewTables = ({ seers, tables, moments }: Prediction): Table[] =>
  tables.map(({ name, rows }) => ({
    title: `Who sees which rows of ${name}${rows === null ? '' : `, which has ${rows}`}`,
    columns: ['who', ...moments.map(m => (m.after === null ? 'now' : `after ${m.after}`)), 'change'],
    rows: seers.map((seer, i) => {
      const seen = moments.map(m => {
        const sight = m.sights.get(name)
        return isSeen(sight) ? sight[i]! : null
      })
      return [seer.name, ...seen.map(seenCell), sightChangeText(seen[0]!, seen.at(-1)!, rows)]
    }),
  }))

const seenCell = (seen: SeenRows | null): string | number =>
  seen === null ? 'not known' : seen.fault === null ? seen.rows : `refused (${seen.fault})`

function sightChangeText(before: SeenRows | null, after: SeenRows | null, rows: number | null): string {
  if (before === null || after === null) return 'not known'
  const { gains, loses } = sightChange(before, after, rows)
  if (gains === null || loses === null) return 'other rows'
  if (before.rows > 0 && after.rows === 0) return 'loses all'
  const parts = [gains > 0 ? `gains ${gains}` : '', loses > 0 ? `loses ${loses}` : '']
  return parts.filter(Boolean).join(', ') || 'same'
}

/** What a seer sees before and after a migration. */
interface SeenChange {
  seer: NamedSeer
  before: SeenRows
  after: SeenRows
  /** Rows that the seer did not see before, as far as is known. */
  gained: number
}

/**
 * Pure: the hazards of each migration, by its name: a program's role that would see no row any more, users
 * none of whom would see a row, and seers that would see new rows.
 */
export function visibilityHazards({ seers, tables, moments }: Prediction): Map<string, SightHazard[]> {
  const hazards = new Map<string, SightHazard[]>()
  const last = new Map<string, SeenRows[]>()
  for (const { after: migration, sights } of moments)
    for (const { name, rows } of tables) {
      const now = sights.get(name)
      if (!isSeen(now)) continue
      const then = last.get(name)
      last.set(name, now)
      if (!then || migration === null) continue
      const changes = seers.map((seer, i): SeenChange => {
        const [before, after] = [then[i]!, now[i]!]
        const gained = sightChange(before, after, rows).gains ?? Math.max(1, after.rows - before.rows)
        return { seer, before, after, gained }
      })
      const found = [
        ...ofRoles(
          name,
          changes.filter(c => !c.seer.isPerson),
        ),
        ...ofPersons(
          name,
          changes.filter(c => c.seer.isPerson),
        ),
      ]
      if (found.length > 0) hazards.set(migration, [...(hazards.get(migration) ?? []), ...found])
    }
  return hazards
}

const ofRoles = (table: string, changes: SeenChange[]): SightHazard[] =>
  changes.flatMap(({ seer: { role }, before, after, gained }): SightHazard[] => {
    if (before.rows > 0 && after.rows === 0 && !isRoleOfPeople(role)) {
      const why = after.fault === null ? '' : `: ${after.fault}`
      const detail = `role ${role} reads ${plural(before.rows, 'row')} of ${table} now and none afterwards${why}`
      return [{ role, code: 'HIDES_ROWS', subject: table, detail }]
    }
    if (gained === 0) return []
    const detail = `role ${role} reads ${plural(gained, 'row')} of ${table} afterwards that it does not read now`
    return [{ role, code: 'SHOWS_ROWS', subject: table, detail }]
  })

function ofPersons(table: string, persons: SeenChange[]): SightHazard[] {
  const found: SightHazard[] = []
  const seeing = persons.filter(p => p.before.rows > 0)
  if (seeing.length > 0 && seeing.every(p => p.after.rows === 0)) {
    const detail = `none of ${plural(seeing.length, 'sampled person')} who read rows of ${table} now reads any afterwards`
    found.push({ role: null, code: 'HIDES_ROWS', subject: table, detail })
  }
  const winners = persons.filter(p => p.gained > 0)
  if (winners.length > 0) {
    const most = winners.reduce((a, b) => (b.gained > a.gained ? b : a))
    const detail = `${winners.length} of ${plural(persons.length, 'sampled person')} read rows of ${table} afterwards that they do not read now; ${most.seer.name} reads ${most.gained} of them`
    found.push({ role: null, code: 'SHOWS_ROWS', subject: table, detail })
  }
  return found
}
