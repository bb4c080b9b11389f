import { columnFacts } from '../database/catalog.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { faultText, isRefused } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import type { Db, Root } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import type { Track } from '../model/project.js'
import { namesIn, tableText } from '../model/table_name.js'
import { readersOf } from '../plan/readers.sql.js'
import { unreachable } from './probes.sql.js'
import { asRealUser } from './real_users.js'
import { sampleRealUsers } from './real_users.sql.js'
import { boundRoles } from './seers.sql.js'
import type { Seer } from './visibility_twins.sql.js'

/** The role that the API gives to signed-in users. */
const roleOfPeople = 'authenticated'

/** Lock timeout, and time limit of the search for users, in milliseconds. */
const waitMs = 500
const sampleMs = 5000

/** A user or role whose visibility is examined, with the name for reports. */
export interface NamedSeer extends Seer {
  name: string
  isPerson: boolean
}

/** The users and roles to examine, and those that cannot be examined. */
export interface Seers {
  seers: NamedSeer[]
  /** Whose visibility cannot be found out, with the reason. */
  unasked: { who: string; reason: string }[]
}

/**
 * A sample of the track's users, and every role that may read or write these tables now or is in `also`.
 * Superusers are left out, because they see everything.
 */
export async function seersOf(
  sql: Db,
  track: Track,
  { tables, also, persons }: { tables: string[]; also: string[]; persons: number },
): Promise<Seers> {
  const unasked: Seers['unasked'] = []
  const { info } = await readTrackInfo(track)
  const columns = info ? [info.sight?.persons, info.persona.of].filter(c => c !== undefined) : []
  const people: NamedSeer[] = []
  const there = await firstColumn(sql, columns)
  const refused = await unreachable(sql, [roleOfPeople])
  if (!info || !there)
    unasked.push({
      who: 'persons',
      reason: info
        ? `${columns.join(' and ')} are not there to take them from`
        : 'the track has no track.json that says who its persons are',
    })
  else if (refused.length > 0)
    unasked.push({ who: 'persons', reason: `this role may not become ${roleOfPeople}` })
  else
    try {
      const sampled = await readAside(sql as Root, async tx => {
        await setLocal(tx, waitMs, sampleMs)
        return sampleRealUsers(tx, there, persons)
      })
      for (const person of sampled)
        people.push({
          ...asRealUser(info.persona.claim, person, { role: roleOfPeople }),
          name: person,
          isPerson: true,
        })
      if (sampled.length === 0) unasked.push({ who: 'persons', reason: `${there} names nobody` })
    } catch (error) {
      if (!isRefused(error)) throw error
      unasked.push({ who: 'persons', reason: `${there} could not be read: ${faultText(error)}` })
    }
  const readers = (await readersOf(sql, tables)).flatMap(t => t.readers.map(r => r.role))
  const roles = [...new Set([...readers, ...(await boundRoles(sql, also))])].sort()
  const closed = new Set((await unreachable(sql, roles)).map(r => r.name))
  for (const role of closed) unasked.push({ who: `role ${role}`, reason: `this role may not become ${role}` })
  return {
    seers: [
      ...people,
      ...roles
        .filter(r => !closed.has(r))
        .map(role => ({ role, claims: { role }, name: `role ${role}`, isPerson: false })),
    ],
    unasked,
  }
}

/** The first of some columns that exists. */
async function firstColumn(sql: Db, columns: string[]): Promise<string | null> {
  for (const column of columns) {
    const [schema, name, last] = namesIn(column) as [string, string, string]
    if (await columnFacts(sql, tableText({ schema, name }), last)) return column
  }
  return null
}
