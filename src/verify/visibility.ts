import { columnFacts, relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { takenBack, transaction } from '../database/scopes.js'
import { type Db, ident, literal } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import { messageValue } from '../model/message_value.js'
import type { Track, TrackInfo, VisibleRows } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { namesIn, tableText } from '../model/table_name.js'
import type { Run } from '../run/run.js'
import { whyNotAct } from './lent_rights.js'
import { become, unreachable } from './probes.sql.js'
import { asRealUser } from './real_users.js'
import { sampleRealUsers } from './real_users.sql.js'
import { lookTogether, type SightQuestion } from './row_groups.js'
import type { Visibility } from './row_groups.sql.js'
import {
  idsKept,
  mayRead,
  rowsWhere,
  type StoredVisibility,
  storedSample,
  storedVisibility,
  storeSample,
  storeVisibility,
  transactionTime,
} from './visibility.sql.js'

/** Most users whose visible rows are recorded before the first step. */
const mostRealUsers = 10
/** The role that the API gives to signed-in users. */
const role = 'authenticated'

/**
 * Records before the first step of a track which rows a sample of users sees. `prove` compares it with what
 * they see afterwards. In a table without row security all readers see everything, so it is not read. It
 * never stops a run. The findings say if only a sample of the rows was examined.
 */
export async function recordVisibility(run: Run, track: Track): Promise<Finding[]> {
  const { info } = await readTrackInfo(track)
  if (!info?.sight) return []
  await using connection = await connect(run.ctx, 'probe')
  if ((await unreachable(connection.sql, [role])).length > 0) return []
  const { persons } = info.sight
  const [schema, table, column] = namesIn(persons) as [string, string, string]
  if (!(await columnFacts(connection.sql, tableText({ schema, name: table }), column))) return []
  const sampled = await sampleRealUsers(connection.sql, persons, mostRealUsers)
  const findings: Finding[] = []
  for (const { before } of info.sight.rows) {
    const [facts] = await relationFacts(connection.sql, [before.table])
    if (!facts) continue
    const reason = await whyNotAct(connection.sql, [before.table], 'reads')
    if (reason !== null) {
      findings.push(finding('PROBE_SKIPPED', before.table, { reason, roles: [], role: null }))
      continue
    }
    const filtered = facts.rowSecurity || !(await mayRead(connection.sql, role, before.table))
    const { at, seen, sample, rows } = await atOneMoment(connection, async tx => ({
      at: await transactionTime(tx),
      ...(filtered
        ? await lookTogether(tx, {
            ...questionOf(before, persons, info.persona.claim, sampled),
            where: 'true',
          })
        : { seen: sampled.map(() => seesEverything), sample: null, rows: 0 }),
    }))
    const of = { run: run.id, track: track.name, relation: before.table }
    if (sample) {
      await storeSample(run.writer.sql, of, sample)
      findings.push(finding('SIGHTS_SAMPLED', before.table, { rows: sample.length, of: rows }))
    }
    for (const [i, person] of sampled.entries()) {
      const visibility = seen[i]
      if (visibility) await storeVisibility(run.writer.sql, { ...of, ...visibility, person, at }, track.name)
    }
  }
  return findings
}

/** The record of a user who sees a whole table. */
const seesEverything = { rows: null, hash: null, ids: null, of: null }

/** Runs queries with one snapshot, in a transaction that is rolled back. */
const atOneMoment = <T>(connection: Connection, work: (tx: Db) => Promise<T>): Promise<T> =>
  takenBack(transaction(connection.sql, 'isolation level repeatable read'), work)

const questionOf = (
  of: VisibleRows,
  column: string,
  claim: string,
  ids: string[],
): Omit<SightQuestion, 'where'> => ({
  of,
  lookers: ids.map(person => ({
    enter: tx => become(tx, asRealUser(claim, person, { role })),
    filter: 'true',
  })),
  columns: [],
  persons: { column, ids },
  also: [],
  sample: null,
  alike: false,
})

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
  for (const thens of alikeSights(stored)) {
    const pair = info.sight.rows.find(r => r.before.table === thens[0].relation)
    const [facts] = pair ? await relationFacts(reader.sql, [pair.after.table]) : []
    if (!pair || !facts) continue
    const { table } = pair.after
    const reason = await whyNotAct(connection.sql, [table], 'reads')
    if (reason !== null) {
      findings.push(finding('PROBE_SKIPPED', table, { reason, roles: [], role: null }))
      continue
    }
    const looked = await lookAgain(connection, track, { info, after: pair.after, thens })
    if (looked.sample)
      findings.push(finding('SIGHTS_SAMPLED', table, { rows: looked.sample.length, of: looked.rows }))
    const there = thens.some(t => t.rows === null) ? await rowsWhere(reader.sql, table, looked.born) : 0
    const missed = [...new Set(thens.flatMap((then, i) => idsMissed(then, looked.seen[i] ?? null)))]
    const kept = await idsKept(reader.sql, [pair.before, pair.after], missed)
    const compared = compareSights(table, { thens, seen: looked.seen, there, kept })
    rows.push(...compared.rows)
    findings.push(...compared.findings)
  }
  if (stored.some(s => s.rows === null)) findings.push(finding('SAW_EVERYTHING', track.name))
  const columns = ['person', 'table', 'saw', 'sees', 'more', 'less', 'deleted']
  return { tables: [{ title: 'What people saw before and see now', columns, rows }], findings }
}

/** What is looked at again: the table that has now what the persons saw then. */
interface LookAgain {
  info: TrackInfo
  after: VisibleRows
  thens: AlikeSights
}

/** What the persons see now of the rows that were there then; `born` is the condition for those. */
async function lookAgain(connection: Connection, track: Track, { info, after, thens }: LookAgain) {
  const [{ relation, run, of, at }] = thens
  const born = of === null ? bornBefore(info, after.table, at) : 'true'
  const persons = thens.map(t => t.person)
  const looked = await atOneMoment(connection, async tx =>
    lookTogether(tx, {
      ...questionOf(after, info.sight!.persons, info.persona.claim, persons),
      where: born,
      also: [...new Set(thens.flatMap(t => t.ids ?? []))],
      sample: of === null ? null : await storedSample(tx, { run, track: track.name, relation }),
    }),
  )
  return { ...looked, born }
}

/** What the persons saw of a table and what they see now. */
interface ComparedSights {
  thens: AlikeSights
  seen: (Visibility | null)[]
  /** How many rows there are of then. */
  there: number
  /** Ids that somebody saw and does not see, and whose rows are still kept. */
  kept: ReadonlySet<string>
}

/** Pure: what each person saw of a table beside what they see. */
function compareSights(
  table: string,
  { thens, seen, there, kept }: ComparedSights,
): { rows: Table['rows']; findings: Finding[] } {
  const rows: Table['rows'] = []
  const findings: Finding[] = []
  const lost: number[] = []
  for (const [i, then] of thens.entries()) {
    const now = seen[i] ?? null
    const missed = idsMissed(then, now)
    const gone = missed.filter(id => !kept.has(id)).length
    const { more, less } = visibilityDifference(then, now, { there, gone, missed: missed.length })
    rows.push([then.person, table, then.rows ?? 'all', now?.rows ?? null, more, less, gone])
    const subject = `${table} as ${then.person}`
    if (more) findings.push(finding('SEES_MORE', subject, { rows: more }))
    if (less && then.rows !== null) findings.push(finding('SEES_LESS', subject, { rows: less }))
    // who saw everybody's rows should see less; that nobody sees anything is a loss
    if (then.rows === null && now) lost.push(now.rows + now.others.rows > 0 ? 0 : (less ?? 0))
  }
  const least = Math.min(...lost)
  if (lost.length > 0 && least > 0)
    findings.push(finding('SEES_LESS', `${table} as everybody`, { rows: least }))
  return { rows, findings }
}

/** Sights of one table, run and kind, which one look can be compared with. */
type AlikeSights = [StoredVisibility, ...StoredVisibility[]]

/** Pure: sights by what one look can be compared with, from the earliest on. */
function alikeSights(stored: StoredVisibility[]): AlikeSights[] {
  const groups = new Map<string, AlikeSights>()
  for (const sight of [...stored].sort((a, b) => (a.at < b.at ? -1 : 1))) {
    const key = JSON.stringify([sight.relation, sight.run, sight.of === null])
    const group = groups.get(key)
    if (group) group.push(sight)
    else groups.set(key, [sight])
  }
  return [...groups.values()]
}

/** A condition for rows that existed at a time. A user rightly sees rows that they have written since. */
export function bornBefore(info: TrackInfo, table: string, at: string): string {
  const column =
    info.messages?.table === table
      ? messageValue(info, 'created', null)
      : info.sessions.table === table
        ? info.sessions.started && ident(info.sessions.started)
        : null
  return column ? `(${column} is null or ${column} <= ${literal(at)})` : 'true'
}

/** Pure: of the ids that a user saw, those that they do not see now. Empty if not all of them are known. */
function idsMissed(then: StoredVisibility, now: Visibility | null): string[] {
  if (!now || then.ids === null) return []
  const after = new Set([...now.ids, ...now.others.ids])
  const knowsAll = after.size === now.rows + now.others.rows
  return then.of === null && !knowsAll ? [] : then.ids.filter(id => !after.has(id))
}

/**
 * Pure: how many more and fewer rows a user sees; null if unknown. `there` is how many of the former rows
 * still exist. Of the rows that the user saw and misses, those that are `gone` were deleted: nobody hides
 * them.
 */
function visibilityDifference(
  then: StoredVisibility,
  now: Visibility | null,
  { there, gone, missed }: { there: number; gone: number; missed: number },
): { more: number | null; less: number | null } {
  if (!now) return { more: null, less: null }
  // who saw everything cannot see more; of a sample it is unknown how many rows are missing
  if (then.rows === null || then.ids === null)
    return { more: 0, less: now.of === null ? Math.max(0, there - now.rows) : null }
  if (then.of === now.of && then.hash === now.hash && then.rows === now.rows) return { more: 0, less: 0 }
  const sees = now.rows + now.others.rows
  const knewAll = then.ids.length === then.rows
  const knowsAll = now.ids.length + now.others.ids.length === sees
  if (now.of === null && !(knewAll && knowsAll))
    return { more: Math.max(0, now.rows - then.rows), less: Math.max(0, then.rows - sees - gone) }
  const before = new Set(then.ids)
  const hidden = missed - gone
  return {
    more: knewAll ? now.ids.filter(id => !before.has(id)).length : null,
    less: knewAll || hidden > 0 ? hidden : null,
  }
}
