import { relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { missingObjects } from '../database/requirements.sql.js'
import { agreeing, plural } from '../model/plural.js'
import type { Migration, Track } from '../model/project.js'
import { matches, nameOfObject, qualities, same } from './adopt_differences.js'
import { objectsMadeBy, rowsLeft } from './baseline.js'
import { keyOfObject, type Objects, trackStates } from './track_states.js'

/** The evidence of the catalog and the rows about one migration. */
export interface CatalogEvidence {
  /** What supports the claim. */
  shown: string[]
  /** What contradicts the claim, or is no evidence either way. */
  unproven: string[]
}

/**
 * Looks for everything that a migration creates, changes, drops and fills: all of it if it is claimed to be
 * applied, nothing of it if not. `applied` are the other applied migrations.
 */
export async function catalogEvidence(
  ctx: Context,
  connection: Connection,
  track: Track,
  m: Migration,
  { as, applied }: { as: 'applied' | 'not applied'; applied: ReadonlySet<string> },
): Promise<CatalogEvidence> {
  const found: CatalogEvidence = { shown: [], unproven: [] }
  const note = (holds: boolean, is: string, isNot: string) => {
    // for a migration that is claimed not to be applied, the opposite counts
    const shows = holds === (as === 'applied')
    ;(shows ? found.shown : found.unproven).push(holds ? is : isNot)
  }
  if (m.backfill) await lookAtRows(connection, m, note)
  else {
    const { base, states, actual, notPlayed } = await trackStates(ctx, track)
    const at = track.migrations.indexOf(m)
    const last = Math.max(at, ...track.migrations.flatMap((x, i) => (applied.has(x.name) ? [i] : [])))
    lookAtObjects(
      {
        before: at === 0 ? base : states[at - 1]!.objects,
        after: states[at]!.objects,
        // a later file may have changed or dropped it
        latest: states[last]!.objects,
        unproven: states[last]!.unproven,
        actual,
      },
      as,
      note,
    )
    for (const { statement } of notPlayed.filter(s => s.migration === m))
      for (const object of objectsMadeBy(statement)) {
        const isMissing = (await missingObjects(connection.sql, [object])).length > 0
        note(!isMissing, `${object} is there`, `${object} is not there`)
      }
  }
  if (found.shown.length + found.unproven.length === 0)
    found.unproven.push('the catalog can show nothing of what its statements do')
  // a report only names the first ones, so put tables first
  found.unproven.sort((a, b) => Number(b.startsWith('table ')) - Number(a.startsWith('table ')))
  return found
}

type Note = (holds: boolean, is: string, isNot: string) => void

/** Whether a backfill has pending rows. */
async function lookAtRows(connection: Connection, m: Migration, note: Note): Promise<void> {
  const { table } = m.backfill!
  const left = await rowsLeft(connection, m)
  const isThere = (await relationFacts(connection.sql, [table])).length > 0
  const pending = isThere
    ? left === null
      ? `an unknown number of rows of ${table} are pending`
      : `${plural(left, 'row')} of ${table} ${agreeing(left, 'are')} pending`
    : `${table} is not there`
  note(isThere && left === 0, `no row of ${table} is pending`, pending)
}

interface SeenObjects {
  before: Objects
  after: Objects
  latest: Objects
  unproven: ReadonlySet<string>
  actual: Objects
}

function lookAtObjects(seen: SeenObjects, as: 'applied' | 'not applied', note: Note): void {
  const { before, after, latest, unproven, actual } = seen
  for (const [key, made] of after) {
    const prior = before.get(key)
    if (same(prior, made)) continue
    const name = nameOfObject(made)
    const has = actual.get(key)
    if (as === 'not applied') {
      // a property is no evidence if its table does not exist
      if (has === undefined && qualities.has(made.kind)) continue
      const undone = prior === undefined ? has === undefined : has !== undefined && matches(prior, has, true)
      note(!undone, `${name} is there`, `${name} is ${prior === undefined ? 'not there' : 'as before it'}`)
      continue
    }
    const want = latest.get(key)
    if (want === undefined) continue
    const holds = has !== undefined && matches(want, has, unproven.has(key))
    note(
      holds,
      `${name} is as the file makes it`,
      `${name} is ${has === undefined ? 'not there' : 'another one'}`,
    )
  }
  for (const [key, gone] of before) {
    if (after.has(key) || latest.has(keyOfObject(gone))) continue
    const name = nameOfObject(gone)
    note(!actual.has(key), `${name} is gone`, `${name} is still there`)
  }
}
