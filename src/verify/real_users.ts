import type { Context } from '../database/context.js'
import { isDataFault, serverFault } from '../database/faults.js'
import { savepoint } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import { UsageError } from '../model/failure.js'
import type { Check, Persona, Track } from '../model/project.js'
import type { Probed, Table } from '../model/report.js'
import { emptyProbe, neverLasting, prepareProbe } from './probes.js'
import { become, becomeUs, setPerson } from './probes.sql.js'
import { asPersonId, sampleRealUsers } from './real_users.sql.js'
import { readVisibility } from './visibility.sql.js'

/** A real person as the API presents them: the token's claim that says who they are, and a role. */
export const asRealUser = (
  claim: string,
  person: string,
  like: Pick<Persona, 'role' | 'settings'>,
): Persona => ({
  ...like,
  claims: { [claim]: person, role: like.role },
})

/**
 * What some real persons see, against the rule of the track with full sight: more is a leak, less is a loss.
 */
export async function sampleMatrix(ctx: Context, track: Track, check: Check, n: number): Promise<Probed> {
  const probed = emptyProbe()
  const { info } = await readTrackInfo(track)
  if (!info) return { ...probed, skipped: 'the track has no track.json that says who its persons are' }
  const rows: Table['rows'] = []
  await neverLasting(ctx, async tx => {
    const persons = await sampleRealUsers(tx, info.persona.of, n)
    const ready = await prepareProbe(tx, check)
    if ('skipped' in ready) {
      probed.skipped = ready.skipped.reason
      return
    }
    const like = Object.values(ready.access.personas)[0]!
    for (const person of persons) {
      for (const t of ready.access.tables) {
        if (t.sees === null) continue
        const id = Object.keys(t.row)[0]!
        await setPerson(tx, person)
        const should = await readVisibility(tx, t.table, id, t.sees)
        await become(tx, asRealUser(info.persona.claim, person, like))
        const does = await readVisibility(tx, t.table, id)
        await becomeUs(tx)
        const same = should.hash === does.hash && should.rows === does.rows
        rows.push([person, t.table, should.rows, does.rows, same])
        if (!same)
          probed.found.push({
            object: `${t.table} as ${person}`,
            detail: `sees ${does.rows} rows and should see ${should.rows}${does.rows === should.rows ? ', others' : ''}`,
          })
      }
    }
    if (persons.length === 0) probed.skipped = `${info.persona.of} names nobody`
  })
  probed.tables.push({
    title: 'What real persons see',
    columns: ['person', 'table', 'should see', 'sees', 'the same rows'],
    rows,
  })
  return probed
}

/** What one real person sees, table by table, for `--as-user`. */
export async function rowsSeenBy(ctx: Context, track: Track, check: Check, person: string): Promise<Table> {
  const { info } = await readTrackInfo(track)
  const rows: Table['rows'] = []
  await neverLasting(ctx, async tx => {
    if (info) await requirePerson(tx, info.persona.of, person)
    const ready = await prepareProbe(tx, check)
    if ('skipped' in ready) throw new UsageError(`--as-user ${person}`, ready.skipped.reason)
    const like = Object.values(ready.access.personas)[0]!
    for (const t of ready.access.tables) {
      await become(tx, asRealUser(info?.persona.claim ?? 'sub', person, like))
      const visibility = await readVisibility(tx, t.table, Object.keys(t.row)[0]!)
      await becomeUs(tx)
      rows.push([t.table, visibility.rows, visibility.ids.slice(0, 5).join(', ') || null])
    }
  })
  return { title: `What ${person} sees`, columns: ['table', 'rows', 'first ids'], rows }
}

/**
 * Throws UsageError, which names what was typed, where it can be nobody's id. Of a person whom the column
 * does not have yet it may be asked: they see what is open to all.
 */
async function requirePerson(tx: Db, column: string, person: string): Promise<void> {
  try {
    await savepoint(tx)(inside => asPersonId(inside, column, person))
  } catch (error) {
    if (!isDataFault(error)) throw error
    throw new UsageError(`--as-user ${person}`, `it is no id of ${column}: ${serverFault(error)!.message}`)
  }
}
