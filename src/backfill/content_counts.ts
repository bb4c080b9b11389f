import { heapsOf } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import type { Db } from '../database/types.js'
import type { BackfillStatement } from '../files/backfill_statement.js'
import { readTrackInfo } from '../files/track_info.js'
import type { Migration, Track } from '../model/project.js'
import { betweenRests, makeBatchSize } from './batch_size.js'
import {
  type ContentCountRow,
  type ContentCountSpec,
  clearContentCounts,
  contentColumns,
  countPages,
  type PageCount,
  storeContentCounts,
} from './content_counts.sql.js'
import { restAfterBatch, restsFor } from './health_monitor.js'
import type { Job } from './job.js'
import { rangePages } from './run_backfill.sql.js'
import { inLanes } from './walk_pages.js'

/** Most units whose counts are kept in memory before they are stored. */
const mostKept = 20_000
/** How many times the batch target a count may take. It locks no rows. */
const whenOnlyReading = 1.5
/** Estimated time to store one count, in milliseconds. */
const countMs = 0.004
/** Most counts that one statement stores. */
const storedAtOnce = 1_000

/**
 * Counts and hashes the content that the backfill has not written, by unit and by range of pages. A later
 * count can be compared with it, to find out whether anything was lost. Only for a backfill that updates a
 * table with units. Rows that the application writes meanwhile may or may not be included. Sums are kept in
 * memory: every few pages have messages of every unit, and updating a stored row for each would cost more
 * than the count.
 */
export async function countContent(job: Job): Promise<void> {
  const { run, statement, migration } = job
  const { table, unit } = migration.backfill!
  if (!statement.updatesTable || unit === null || job.keys || job.progress.rows === 0) return
  const { sql } = run.writer
  const track = run.ctx.tracks().find(t => t.name === migration.track)!
  const spec = await contentCountSpec(sql, track, { migration, statement, backfill: job.id })
  await clearContentCounts(sql, job.id)
  const sums = makeSums(rows => storeContentCounts(sql, job.id, rows))
  const heaps = (await heapsOf(sql, table)).filter(h => h.pages > 0)
  let page = 0
  const lane = async (connection: Connection) => {
    // allow up to twice its work for rests: it locks nothing, and storing the counts of few rows costs as
    // much as of many
    const target = run.ctx.batchTargetMs * whenOnlyReading * (1 + Math.min(2, restsFor(job)))
    const batchSize = makeBatchSize(target, 64, rangePages)
    while (heaps[0] && !run.ctx.signal.aborted) {
      const { relation, pages } = heaps[0]
      const [from, to] = [page, Math.min(pages, page + batchSize.pages())]
      page = to
      if (to === pages) {
        heaps.shift()
        page = 0
      }
      const start = run.ctx.clock.now()
      const factor = restsFor(job)
      const everyPages = batchSize.restEvery(factor)
      const rests = everyPages === null ? null : { everyPages, everyCounts: betweenRests(factor, countMs) }
      const range = `${relation} ${from}-${to}`
      const sleptMs = await countPages(connection.sql, spec, { relation, pages: [from, to], rests }, counts =>
        sums.add(range, counts),
      )
      if (sums.size() > mostKept) await sums.flush()
      const ms = run.ctx.clock.now() - start
      batchSize.note(ms, to - from, 0, sleptMs)
      await restAfterBatch(job, ms, () => false, sleptMs)
    }
  }
  await inLanes(job, lane)
  await sums.flush()
  // delete the counts of an incomplete run
  if (run.ctx.signal.aborted) await clearContentCounts(sql, job.id)
}

/** A number of rows and the two halves of their hash: small integers, which need no allocation. */
interface Sum {
  rows: number
  high: number
  low: number
}

/** Adds up counts by unit and by range, and stores them on request. */
function makeSums(store: (rows: ContentCountRow[]) => Promise<void>) {
  const kept = { unit: new Map<string, Sum>(), past: new Map<string, Sum>(), range: new Map<string, Sum>() }
  const sumOf = (kind: ContentCountRow['kind'], name: string): Sum => {
    let sum = kept[kind].get(name)
    if (!sum) {
      sum = { rows: 0, high: 0, low: 0 }
      kept[kind].set(name, sum)
    }
    return sum
  }
  const note = (sum: Sum, rows: number, high: number, low: number) => {
    sum.rows += rows
    sum.high ^= high
    sum.low ^= low
  }
  const take = (most: number): ContentCountRow[] => {
    const taken: ContentCountRow[] = []
    for (const kind of ['unit', 'past', 'range'] as const) {
      for (const [name, { rows, high, low }] of kept[kind]) {
        if (taken.length === most) return taken
        taken.push({ kind, name, rows, hash: String((BigInt(high) << 32n) | BigInt(low >>> 0)) })
        kept[kind].delete(name)
      }
    }
    return taken
  }
  const size = () => kept.unit.size + kept.past.size + kept.range.size
  // counts that another lane adds meanwhile are stored next time
  const flush = async () => {
    for (let left = size(); left > 0; left -= storedAtOnce) await store(take(Math.min(left, storedAtOnce)))
  }
  return {
    add: (range: string, counted: PageCount[]) => {
      const whole = sumOf('range', range)
      for (const [unit, past, rows, high, low] of counted) {
        note(whole, rows, high, low)
        note(sumOf('unit', unit), rows, high, low)
        if (past) note(sumOf('past', unit), rows, high, low)
      }
    },
    size,
    flush,
  }
}

/** What to count for a backfill with units. */
export async function contentCountSpec(
  sql: Db,
  track: Track,
  {
    migration,
    statement,
    backfill,
  }: { migration: Migration; statement: BackfillStatement; backfill: number },
): Promise<ContentCountSpec> {
  const { table, unit } = migration.backfill!
  const columns = await contentColumns(sql, table, statement.sets)
  const { info } = await readTrackInfo(track)
  const dated = info?.messages?.table === table ? info.messages.created : null
  return {
    backfill,
    unit: unit!,
    alike: columns.some(c => c.name === unit && c.alike),
    columns: columns.map(c => c.name),
    dated: columns.some(c => c.name === dated && c.moment) ? dated : null,
    asText: columns.some(c => !c.hashable),
  }
}
