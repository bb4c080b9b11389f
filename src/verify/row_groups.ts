import { createHash } from 'node:crypto'
import { relationFacts } from '../database/catalog.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused, isSqlState } from '../database/faults.js'
import { savepoint, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import type { VisibleRows } from '../model/project.js'
import {
  idsIn,
  mostIds,
  planFinding,
  planReading,
  type RowGroup,
  readGroups,
  readVisibility,
  sampleOf,
  type Visibility,
  visibleAmong,
} from './row_groups.sql.js'
import { columnsAsked } from './visibility_twins.sql.js'

/** Longest wait for a lock, and longest look of one person, in milliseconds. */
const lookWaitMs = 500
const onePersonMs = 2000
/** Longest read of a whole table for everybody, in milliseconds, and how much longer for a million rows. */
const wholeMs = 2000
const wholeMsForAMillion = 2000
/** Cost, as the planner counts it, up to which a table is small: everybody reads it for themselves. */
const smallCost = 2000
/** A look counts as one by index where it costs at most this part of reading the table. */
const partByIndex = 1 / 20
/** Most groups of rows that each person is asked about. */
const mostGroups = 20_000

/** Longest statement that reads all of so many rows once, in milliseconds. */
export const wholeReadMs = (rows: number): number =>
  wholeMs + Math.ceil((Math.max(0, rows) / 1e6) * wholeMsForAMillion)

/** Somebody whose sight of a table is asked for. */
export interface Looker {
  /** Makes the transaction theirs; it is taken back afterwards. */
  enter: (tx: Db) => Promise<void>
  /** Rows of the table that count. */
  filter: string
}

/** What is asked about one table. */
export interface SightQuestion {
  of: VisibleRows
  lookers: Looker[]
  /** Rows that are counted and hashed; what else is seen is counted apart. */
  where: string
  /** The columns that the filters ask for; null where they may ask for anything. */
  columns: string[] | null
  /** A column of persons, and persons whose own rows belong into a sample. */
  persons: { column: string; ids: string[] }
  /** Rows that belong into a sample. */
  also: string[]
  /** The rows that are looked at, where an earlier look has chosen them; else null. */
  sample: string[] | null
  /** Whether what one sees is compared with what another sees: then all look at the same rows. */
  alike: boolean
  /** Cost up to which a table is small; the usual one where it is left out. */
  small?: number
}

/** What was seen, in the order of the lookers, null where it took too long; and the sample, if any. */
export interface Sighting {
  seen: (Visibility | null)[]
  sample: string[] | null
  /** Rows that the table has, about. */
  rows: number
}

/**
 * What each looker sees of a table, without reading it for each. Who reads it by an index does. For the
 * others it is read once, in groups of rows that are alike in all columns that its policies ask for, and each
 * of them looks at one row of every group, under the policies themselves. Where groups would be too many, or
 * a policy asks for more than columns, they look at a sample of the rows. The transaction must hold one
 * snapshot, so that a row which somebody changes meanwhile stays what it was.
 */
export async function lookTogether(tx: Db, question: SightQuestion): Promise<Sighting> {
  const { of, lookers, where, small = smallCost } = question
  const [facts] = await relationFacts(tx, [of.table])
  const plain = facts?.kind === 'r' || facts?.kind === 'p'
  const whole = await withFullSight(tx, onePersonMs, inside => planReading(inside, of, plain))
  if (!whole)
    return { seen: lookers.map(() => null), sample: question.sample, rows: Math.max(0, facts?.rows ?? 0) }
  const wholeCost = whole['Total Cost']
  const rows = Math.max(facts?.rows ?? 0, whole['Plan Rows'])
  const result: Sighting = { seen: lookers.map(() => null), sample: question.sample, rows }
  if (question.sample) {
    await lookAtSample(tx, question, result, lookers.keys())
    return result
  }
  const costs: (number | null)[] = []
  for (const [i, looker] of lookers.entries()) {
    const plan = await asLooker(tx, looker, onePersonMs, inside => planFinding(inside, of, looker.filter))
    if (plan === 'nothing') result.seen[i] = nothingSeen
    costs.push(plan === 'nothing' ? 0 : (plan?.['Total Cost'] ?? null))
  }
  // together they read the table twice: once in groups, and once for the ids of who sees little
  const few = costs.reduce<number>((sum, c) => sum + (c ?? Infinity), 0) <= 2 * wholeCost
  const rest: number[] = []
  for (const [i, looker] of lookers.entries()) {
    const cost = costs[i] ?? Infinity
    const alone = few || wholeCost <= small || cost <= wholeCost * partByIndex
    if (alone && result.seen[i] === null && costs[i] !== null)
      result.seen[i] = await lookAlone(tx, of, looker, where, onePersonMs)
    if (result.seen[i] === null) rest.push(i)
  }
  if (rest.length === 0) return result
  if (plain && (await lookAtGroups(tx, question, result, rest))) return result
  if (!plain) return result
  result.sample = await withFullSight(tx, wholeReadMs(rows), inside =>
    sampleOf(inside, of, rows, question.persons),
  )
  if (!result.sample) return result
  result.sample = [...new Set([...result.sample, ...question.also])]
  await lookAtSample(tx, question, result, question.alike ? lookers.keys() : rest)
  return result
}

const nothingSeen: Visibility = { rows: 0, hash: '0', ids: [], others: { rows: 0, ids: [] }, of: null }

/** Work that is taken back, with limits for the wait for a lock and for each statement. */
const limited = <T>(tx: Db, ms: number, work: (inside: Db) => Promise<T>): Promise<T> =>
  takenBack(savepoint(tx), async inside => {
    await setLocal(inside, lookWaitMs, ms)
    return work(inside)
  })

/** Work as a looker, taken back; `nothing` where they may not read the table, null where it took too long. */
async function asLooker<T>(
  tx: Db,
  { enter }: Looker,
  ms: number,
  work: (inside: Db) => Promise<T>,
): Promise<T | 'nothing' | null> {
  try {
    return await limited(tx, ms, async inside => {
      await enter(inside)
      return work(inside)
    })
  } catch (error) {
    if (!isRefused(error)) throw error
    return isSqlState(error, '42501') ? 'nothing' : null
  }
}

/** Work with full sight; null where it took too long, or where there is no full sight. */
async function withFullSight<T>(tx: Db, ms: number, work: (inside: Db) => Promise<T>): Promise<T | null> {
  try {
    return await limited(tx, ms, work)
  } catch (error) {
    if (!isRefused(error)) throw error
    return null
  }
}

async function lookAlone(
  tx: Db,
  of: VisibleRows,
  looker: Looker,
  where: string,
  ms: number,
): Promise<Visibility | null> {
  const seen = await asLooker(tx, looker, ms, inside => readVisibility(inside, of, looker.filter, where))
  // they may read the ids, as has been asked, but not what the condition asks for
  return seen === 'nothing' ? null : seen
}

/** False where the policies ask for more than columns, or where there would be too many groups. */
async function lookAtGroups(
  tx: Db,
  { of, lookers, where, columns: filtered }: SightQuestion,
  result: Sighting,
  who: number[],
): Promise<boolean> {
  const asked = await columnsAsked(tx, of.table, false)
  if (asked.whole || asked.system || filtered === null) return false
  const columns = [...new Set([...asked.columns, ...filtered])].sort()
  const ms = wholeReadMs(result.rows)
  const groups = await withFullSight(tx, ms, inside => readGroups(inside, of, columns, where, mostGroups))
  if (!groups) return false
  const byOne = new Map(groups.map(g => [g.one, g]))
  const ones = [...byOne.keys()]
  const found = new Map<number, RowGroup[]>()
  for (const i of who) {
    const looker = lookers[i]!
    const seen = await asLooker(tx, looker, onePersonMs, inside =>
      visibleAmong(inside, of, ones, looker.filter),
    )
    if (seen === 'nothing') result.seen[i] = nothingSeen
    else if (seen !== null)
      found.set(
        i,
        [...new Set(seen)].map(one => byOne.get(one)!),
      )
  }
  const few = [...found.values()].filter(g => rowsOf(g) <= mostIds).flat()
  const wanted = [...new Map(few.map(g => [g.key, g])).values()]
  const read = (await withFullSight(tx, ms, inside => idsIn(inside, of, columns, wanted, where))) ?? []
  const idsOf = new Map<string, { id: string; meant: boolean }[]>()
  for (const { key, id, meant } of read) {
    const ids = idsOf.get(key)
    if (ids) ids.push({ id, meant })
    else idsOf.set(key, [{ id, meant }])
  }
  for (const [i, seen] of found) {
    const ids = rowsOf(seen) <= mostIds ? seen.flatMap(g => idsOf.get(g.key) ?? []) : []
    const pick = (meant: boolean) => ids.flatMap(x => (x.meant === meant ? [x.id] : []))
    result.seen[i] = {
      rows: seen.reduce((n, g) => n + g.rows, 0),
      hash: String(seen.reduce((sum, g) => sum + BigInt(g.hash), 0n)),
      ids: pick(true),
      others: { rows: seen.reduce((n, g) => n + g.others, 0), ids: pick(false) },
      of: null,
    }
  }
  return true
}

const rowsOf = (groups: RowGroup[]): number => groups.reduce((n, g) => n + g.rows + g.others, 0)

async function lookAtSample(
  tx: Db,
  { of, lookers, where }: SightQuestion,
  result: Sighting,
  who: Iterable<number>,
): Promise<void> {
  const sample = result.sample!
  const chosen = await withFullSight(tx, onePersonMs, inside => visibleAmong(inside, of, sample, where))
  if (!chosen) return
  const meant = new Set(chosen)
  for (const i of who) {
    const looker = lookers[i]!
    const seen = await asLooker(tx, looker, onePersonMs, inside =>
      visibleAmong(inside, of, sample, looker.filter),
    )
    const all = seen === 'nothing' ? [] : seen && [...new Set(seen)].sort()
    if (!all) {
      result.seen[i] = null
      continue
    }
    const ids = all.filter(id => meant.has(id))
    const others = all.filter(id => !meant.has(id))
    const hash = createHash('sha256').update(ids.join('\n')).digest('hex')
    result.seen[i] = {
      rows: ids.length,
      hash,
      ids,
      others: { rows: others.length, ids: others },
      of: sample.length,
    }
  }
}
