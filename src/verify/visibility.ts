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
  readVisibility,
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
 * afterwards. Where a table has no row security everybody sees all of it, which is told without
 * reading it. Never stops a run.
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
    for (const person of sampled) {
      const visibility = facts.rowSecurity
        ? await visibleTo(connection, asRealUser(info.persona.claim, person, role), before, 'true')
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
  for (const then of stored) {
    const pair = info.sight.rows.find(r => r.before.table === then.relation)
    if (!pair) continue
    const [facts] = await relationFacts(reader.sql, [pair.after.table])
    if (!facts) continue
    const now = await visibleTo(
      connection,
      asRealUser(info.persona.claim, then.person, role),
      pair.after,
      bornBefore(info, pair.after.table, then.at),
    )
    const { more, less } = visibilityDifference(then, now)
    rows.push([then.person, pair.after.table, then.rows ?? 'all', now?.rows ?? null, more, less])
    const subject = `${pair.after.table} as ${then.person}`
    if (more) findings.push(finding('SEES_MORE', subject, { rows: more }))
    if (typeof less === 'number' && less > 0) findings.push(finding('SEES_LESS', subject, { rows: less }))
  }
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

/** Rows that came since are not compared: whoever writes them sees more by right. */
function bornBefore(info: TrackInfo, table: string, at: string): string {
  const column =
    info.messages?.table === table
      ? messageValue(info, 'created', null)
      : info.sessions.table === table
        ? info.sessions.started && ident(info.sessions.started)
        : null
  return column ? `(${column} is null or ${column} <= ${literal(at)})` : 'true'
}

/** How many rows were won and lost from sight; null where that can't be known. */
function visibilityDifference(
  then: StoredVisibility,
  now: Visibility | null,
): { more: number | null; less: number | null } {
  if (!now) return { more: null, less: null }
  // who saw everything can't see more; what they see less, the policies wanted
  if (then.rows === null || then.ids === null) return { more: 0, less: null }
  if (then.hash === now.hash && then.rows === now.rows) return { more: 0, less: 0 }
  if (then.ids.length < then.rows || now.ids.length < now.rows)
    return { more: Math.max(0, now.rows - then.rows), less: Math.max(0, then.rows - now.rows) }
  const before = new Set(then.ids)
  const after = new Set(now.ids)
  return {
    more: now.ids.filter(id => !before.has(id)).length,
    less: then.ids.filter(id => !after.has(id)).length,
  }
}
