import { relationFacts } from '../database/catalog.sql.js'
import { setLocal } from '../database/connection.sql.js'
import type { Context } from '../database/context.js'
import { isDataFault, serverFault } from '../database/faults.js'
import { savepoint } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import { UsageError } from '../model/failure.js'
import type { Check, Persona, Track, VisibleRows } from '../model/project.js'
import { finding, type Probed, type Table } from '../model/report.js'
import { columnsOfPredicate } from './columns_of_predicate.js'
import { emptyProbe, neverLasting, prepareProbe } from './probes.js'
import { become, becomeUs, setPerson } from './probes.sql.js'
import { asPersonId, sampleRealUsers } from './real_users.sql.js'
import { type Looker, lookTogether, wholeReadMs } from './row_groups.js'
import { readVisibility } from './row_groups.sql.js'

/** A real user as the API presents one: the claim of the token that identifies the user, and a role. */
export const asRealUser = (
  claim: string,
  person: string,
  like: Pick<Persona, 'role' | 'settings'>,
): Persona => ({
  ...like,
  claims: { [claim]: person, role: like.role },
})

/**
 * Compares what a sample of real users sees with the track's rule, evaluated without row security. More rows
 * are a leak, fewer are a loss.
 */
export async function sampleMatrix(ctx: Context, track: Track, check: Check, n: number): Promise<Probed> {
  const probed = emptyProbe()
  const { info } = await readTrackInfo(track)
  if (!info) return { ...probed, skipped: 'the track has no track.json that says who its persons are' }
  const rows: Table['rows'] = []
  const unknown: string[] = []
  const { claim, of: column } = info.persona
  await neverLasting(ctx, async tx => {
    const persons = await sampleRealUsers(tx, column, n)
    const ready = await prepareProbe(tx, check)
    if ('skipped' in ready) {
      probed.skipped = ready.skipped.reason
      return
    }
    const like = Object.values(ready.access.personas)[0]!
    for (const { table, row, sees } of ready.access.tables) {
      if (sees === null) continue
      const of = { table, id: Object.keys(row)[0]! }
      const looked = await lookAsPersons(tx, {
        of,
        sees,
        column,
        persons,
        as: p => asRealUser(claim, p, like),
      })
      if (looked.sample)
        probed.findings.push(
          finding('SIGHTS_SAMPLED', table, { rows: looked.sample.length, of: looked.rows }),
        )
      for (const [i, person] of persons.entries()) {
        const [should, does] = looked.seen.slice(2 * i, 2 * i + 2)
        const same = should && does ? should.hash === does.hash && should.rows === does.rows : null
        rows.push([person, table, should?.rows ?? null, does?.rows ?? null, same])
        const object = `${table} as ${person}`
        if (!should || !does) unknown.push(object)
        else if (!same)
          probed.found.push({
            object,
            detail: `sees ${does.rows} rows and should see ${should.rows}${does.rows === should.rows ? ', others' : ''}`,
          })
      }
    }
    if (persons.length === 0) probed.skipped = `${column} names nobody`
  })
  if (unknown.length > 0) {
    const reason = `what is seen was not found out in time: ${unknown.join(', ')}`
    probed.findings.push(finding('PROBE_SKIPPED', check.name, { reason, roles: [], role: null }))
    if (probed.found.length === 0) probed.skipped = reason
  }
  probed.tables.push({
    title: 'What real users see',
    columns: ['person', 'table', 'should see', 'sees', 'the same rows'],
    rows,
  })
  return probed
}

/** Whose sight of a table is looked at. */
interface PersonsOfTable {
  of: VisibleRows
  /** The condition for the rows that somebody should see. */
  sees: string
  /** The column that names the persons. */
  column: string
  persons: string[]
  as: (person: string) => Persona
}

/** For each person, in turn: what they should see of a table, and what they see. */
const lookAsPersons = async (tx: Db, { of, sees, column, persons, as }: PersonsOfTable) =>
  lookTogether(tx, {
    of,
    lookers: persons.flatMap((person): Looker[] => [
      { enter: inside => setPerson(inside, person), filter: sees },
      { enter: inside => become(inside, as(person)), filter: 'true' },
    ]),
    where: 'true',
    columns: await columnsOfPredicate(tx, of.table, sees),
    persons: { column, ids: persons },
    also: [],
    sample: null,
    alike: true,
  })

/** What one real person sees, table by table, for `--as-user`. */
export async function rowsSeenBy(ctx: Context, track: Track, check: Check, person: string): Promise<Table> {
  const { info } = await readTrackInfo(track)
  const rows: Table['rows'] = []
  await neverLasting(ctx, async tx => {
    if (info) await requirePerson(tx, info.persona.of, person)
    const ready = await prepareProbe(tx, check)
    if ('skipped' in ready) throw new UsageError(`--as-user ${person}`, ready.skipped.reason)
    const like = Object.values(ready.access.personas)[0]!
    for (const { table, row } of ready.access.tables) {
      const [facts] = await relationFacts(tx, [table])
      await setLocal(tx, 500, Math.max(5000, wholeReadMs(facts?.rows ?? 0)))
      await become(tx, asRealUser(info?.persona.claim ?? 'sub', person, like))
      const of = { table, id: Object.keys(row)[0]! }
      const visibility = await readVisibility(tx, of, 'true', 'true')
      await becomeUs(tx)
      rows.push([table, visibility.rows, visibility.ids.slice(0, 5).join(', ') || null])
    }
  })
  return { title: `What ${person} sees`, columns: ['table', 'rows', 'first ids'], rows }
}

/**
 * Throws UsageError if the typed text is no valid id. An id that does not exist is allowed: such a user sees
 * what is open to everybody.
 */
async function requirePerson(tx: Db, column: string, person: string): Promise<void> {
  try {
    await savepoint(tx)(inside => asPersonId(inside, column, person))
  } catch (error) {
    if (!isDataFault(error)) throw error
    throw new UsageError(`--as-user ${person}`, `it is no id of ${column}: ${serverFault(error)!.message}`)
  }
}
