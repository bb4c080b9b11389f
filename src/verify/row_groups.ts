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

/** Lock timeout, and time limit of one user's query, in milliseconds. */
const lookWaitMs = 500
const onePersonMs = 2000
/** Time limit for reading a whole table, in milliseconds, and the addition for each million rows. */
const wholeMs = 2000
const wholeMsForAMillion = 2000
/** Up to this planner cost a table is small, and everybody reads it separately. */
const smallCost = 2000
/** A query counts as using an index if its cost is at most this part of the cost of the whole table. */
const partByIndex = 1 / 20
/** Most groups of rows for which each user's visibility is checked. */
const mostGroups = 20_000

/** Time limit of a statement that reads a table with so many rows once, in milliseconds. */
export const wholeReadMs = (rows: number): number =>
  wholeMs + Math.ceil((Math.max(0, rows) / 1e6) * wholeMsForAMillion)

/** A user or role whose visible rows are examined. */
export interface Looker {
  /** Makes the transaction run as this user. It is rolled back afterwards. */
  enter: (tx: Db) => Promise<void>
  /** A predicate: only these rows of the table count. */
  filter: string
}

/** A question about the visible rows of one table. */
export interface SightQuestion {
  of: VisibleRows
  lookers: Looker[]
  /** A predicate for the rows that are counted and hashed. Other visible rows are counted separately. */
  where: string
  /** The columns that the filters read; null if they may read anything. */
  columns: string[] | null
  /** A column of users, and the users whose own rows must be in a sample. */
  persons: { column: string; ids: string[] }
  /** Ids of further rows for a sample. */
  also: string[]
  /** The ids of the sample of an earlier look, which is used again; else null. */
  sample: string[] | null
  /** True if users are compared with each other: then all are examined with the same rows. */
  alike: boolean
  /** Up to this planner cost a table is small. It has a default. */
  small?: number
}

/** What each looker sees, in order, null if it took too long; and the sample, if one was used. */
export interface Sighting {
  seen: (Visibility | null)[]
  sample: string[] | null
  /** Estimated rows of the table. */
  rows: number
}

/**
 * Finds out what each looker sees of a table, without reading it once for each. A looker whose query uses an
 * index runs it. For the others, the table is read once and divided into groups of rows that are equal in all
 * columns that its policies read. Each looker then selects one row of every group, under the real policies.
 * If there are too many groups, or a policy reads more than columns, a sample of rows is used. The
 * transaction must have one snapshot, so that concurrent changes do not matter.
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
  // the way by groups reads the table twice: for the groups, and for the ids of those who see few rows
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

/** Runs work in a savepoint that is rolled back, with a lock timeout and a statement timeout. */
const limited = <T>(tx: Db, ms: number, work: (inside: Db) => Promise<T>): Promise<T> =>
  takenBack(savepoint(tx), async inside => {
    await setLocal(inside, lookWaitMs, ms)
    return work(inside)
  })

/**
 * Runs work as a looker and rolls it back. Returns `nothing` if the looker may not read the table, null if it
 * took too long.
 */
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

/** Runs work without row security. Null if it took too long, or if row security cannot be switched off. */
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
  // the looker may read the ids, but not the columns of the condition
  return seen === 'nothing' ? null : seen
}

/** Returns false if the policies read more than columns, or if there are too many groups. */
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
