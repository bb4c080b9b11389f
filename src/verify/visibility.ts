import { columnFacts, relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { isRefused, isSqlState } from '../database/faults.js'
import { takenBack, transaction } from '../database/scopes.js'
import { ident, literal } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import { messageValue } from '../model/message_value.js'
import type { Persona, Track, TrackInfo, VisibleRows } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { namesIn, tableText } from '../model/table_name.js'
import type { Run } from '../run/run.js'
import { become, unreachable } from './probes.sql.js'
import { asRealUser } from './real_users.js'
import { sampleRealUsers } from './real_users.sql.js'
import {
  mayRead,
  readVisibility,
  rowsWhere,
  type StoredVisibility,
  storedVisibility,
  storeVisibility,
  type Visibility,
} from './visibility.sql.js'

/** Persons whose sight is recorded before the first step. */
const mostRealUsers = 10
/** The role that the API gives to people. */
const role = 'authenticated'
/** Longest look of one person at one table, in milliseconds; longer ones stay unknown. */
const visibilityTimeoutMs = 2000

/**
 * What one person sees of a table now, in a transaction that is rolled back; null where
 * that took too long or failed.
 */
async function visibleTo(
  connection: Connection,
  persona: Persona,
  of: VisibleRows,
  where: string,
): Promise<Visibility | null> {
  try {
    return await takenBack(transaction(connection.sql), async tx => {
      await setLocal(tx, 500, visibilityTimeoutMs)
      await become(tx, persona)
      return readVisibility(tx, of.table, of.id, where)
    })
  } catch (error) {
    if (!isRefused(error)) throw error
    // who may not read the table at all sees nothing of it
    return isSqlState(error, '42501') ? { rows: 0, hash: '0', ids: [] } : null
  }
}

/**
 * Before the first step of a track: which rows sampled persons see, for `prove` to compare with
 * afterwards. Where a table has no row security everybody who may read it sees all of it, which is
 * known without reading it. Never stops a run.
 */
export async function recordVisibility(run: Run, track: Track): Promise<void> {
  const { info } = await readTrackInfo(track)
  if (!info?.sight) return
  await using connection = await connect(run.ctx, 'probe')
  if ((await unreachable(connection.sql, [role])).length > 0) return
  const [schema, table, column] = namesIn(info.sight.persons) as [string, string, string]
  if (!(await columnFacts(connection.sql, tableText({ schema, name: table }), column))) return
  const sampled = await sampleRealUsers(connection.sql, info.sight.persons, mostRealUsers)
  for (const { before } of info.sight.rows) {
    const [facts] = await relationFacts(connection.sql, [before.table])
    if (!facts) continue
    const filtered = facts.rowSecurity || !(await mayRead(connection.sql, role, before.table))
    for (const person of sampled) {
      const visibility = filtered
        ? await visibleTo(connection, asRealUser(info.persona.claim, person, { role }), before, 'true')
        : { rows: null, hash: null, ids: null }
      const seer = { run: run.id, track: track.name, person, relation: before.table }
      if (visibility) await storeVisibility(run.writer.sql, seer, visibility)
    }
  }
}

/** What the recorded persons see now beside what they saw: nobody may see more, nobody should see less. */
export async function compareVisibility(
  ctx: Context,
  reader: Connection,
  track: Track,
): Promise<{ tables: Table[]; findings: Finding[] }> {
  const { info } = await readTrackInfo(track)
  const stored = await storedVisibility(reader.sql, track.name)
  if (!info?.sight || stored.length === 0)
    return { tables: [], findings: info?.sight ? [finding('NO_SIGHTS', track.name)] : [] }
  await using connection = await connect(ctx, 'probe')
  const rows: Table['rows'] = []
  const findings: Finding[] = []
  const counts = new Map<string, number>()
  const lost = new Map<string, number>()
  const rowsIn = async (of: VisibleRows, where: string): Promise<number> => {
    if (!counts.has(of.table)) counts.set(of.table, await rowsWhere(reader.sql, of.table, where))
    return counts.get(of.table)!
  }
  for (const then of stored) {
    const pair = info.sight.rows.find(r => r.before.table === then.relation)
    if (!pair) continue
    const [facts] = await relationFacts(reader.sql, [pair.after.table])
    if (!facts) continue
    const person = asRealUser(info.persona.claim, then.person, { role })
    const born = bornBefore(info, pair.after.table, then.at)
    const now = await visibleTo(connection, person, pair.after, born)
    // rows that say a time to come were seen then too
    const all = born === 'true' ? now : await visibleTo(connection, person, pair.after, 'true')
    const { more, less } = visibilityDifference(then, now, all, then.rows ?? (await rowsIn(pair.after, born)))
    rows.push([then.person, pair.after.table, then.rows ?? 'all', now?.rows ?? null, more, less])
    const subject = `${pair.after.table} as ${then.person}`
    if (more) findings.push(finding('SEES_MORE', subject, { rows: more }))
    if (less && then.rows !== null) findings.push(finding('SEES_LESS', subject, { rows: less }))
    // who saw everybody's rows should see less; that nobody sees anything is a loss
    if (then.rows === null && all)
      lost.set(
        pair.after.table,
        all.rows > 0 ? 0 : Math.min(less ?? 0, lost.get(pair.after.table) ?? Infinity),
      )
  }
  for (const [table, rows] of lost)
    if (rows > 0) findings.push(finding('SEES_LESS', `${table} as everybody`, { rows }))
  if (stored.some(s => s.rows === null)) findings.push(finding('SAW_EVERYTHING', track.name))
  return {
    tables: [
      {
        title: 'What persons saw before and see now',
        columns: ['person', 'table', 'saw', 'sees', 'more', 'less'],
        rows,
      },
    ],
    findings,
  }
}

/** A condition for rows that were there at a time: whoever wrote those that came since sees more by right. */
export function bornBefore(info: TrackInfo, table: string, at: string): string {
  const column =
    info.messages?.table === table
      ? messageValue(info, 'created', null)
      : info.sessions.table === table
        ? info.sessions.started && ident(info.sessions.started)
        : null
  return column ? `(${column} is null or ${column} <= ${literal(at)})` : 'true'
}

/**
 * How many rows were won and lost from sight; null where that can't be known. `now` is what they see of the
 * rows that were there then, `all` what they see, `there` how many rows there are of those.
 */
function visibilityDifference(
  then: StoredVisibility,
  now: Visibility | null,
  all: Visibility | null,
  there: number,
): { more: number | null; less: number | null } {
  if (!now || !all) return { more: null, less: null }
  // who saw everything can't see more
  if (then.rows === null || then.ids === null) return { more: 0, less: Math.max(0, there - now.rows) }
  if (then.hash === now.hash && then.rows === now.rows) return { more: 0, less: 0 }
  if (then.ids.length < then.rows || all.ids.length < all.rows)
    return { more: Math.max(0, now.rows - then.rows), less: Math.max(0, then.rows - all.rows) }
  const before = new Set(then.ids)
  const after = new Set(all.ids)
  return {
    more: now.ids.filter(id => !before.has(id)).length,
    less: then.ids.filter(id => !after.has(id)).length,
  }
}
