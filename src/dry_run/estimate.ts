import { batchPredicate, tid } from '../backfill/batch_predicate.sql.js'
import { makeBatchSize } from '../backfill/batch_size.js'
import { passesFor } from '../backfill/range_cursor.js'
import { rangePages } from '../backfill/run_backfill.sql.js'
import { heapsOf, relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { isDataFault, isRefused, serverFault } from '../database/faults.js'
import { type BackfillStatement, readBackfillStatement } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding, type StepResult, type Table } from '../model/report.js'
import { firingTriggers } from '../plan/firing_triggers.js'
import { type BatchCost, expectedRows, sampleBatch, sampleRoom, storedRate } from './estimate.sql.js'

/** Assumed rows per second before a measurement; from `npm run bench` on two cores, rounded down. */
const usualRate = { update: 60_000, other: 150_000 }
/** Factor by which such a guess may be wrong, in either direction. */
const guessFactor = 3
/** Factor by which a rate of earlier runs may be wrong, because load and cache change. */
const storedFactor = 1.3
/** Smallest error of a sample, as a share, because load and cache change until the run. */
const leastError = 0.2

/** The expected cost of each backfill, by migration. */
type Estimates = Map<string, NonNullable<StepResult['estimate']>>

interface Walk {
  migration: Migration
  statement: BackfillStatement
  heaps: { relation: string; pages: number; rowsPerPage: number; passes: number }[]
  /** Estimated rows in the table. */
  rows: number
}

/** Pending backfills with existing tables, and how they would walk over them. */
async function walks(connection: Connection, track: Track, pending: string[]): Promise<Walk[]> {
  const found: Walk[] = []
  for (const migration of track.migrations) {
    const spec = migration.backfill
    if (!spec || !pending.includes(migration.name)) continue
    if ((await relationFacts(connection.sql, [spec.table])).length === 0) continue
    const statement = await readBackfillStatement(migration.file.text, migration.file.path, spec)
    const heaps = (await heapsOf(connection.sql, spec.table)).map(h => ({
      ...h,
      passes: passesFor(statement.updatesTable, h.rowsPerPage, h.pages),
    }))
    found.push({ migration, statement, heaps, rows: heaps.reduce((n, h) => n + h.pages * h.rowsPerPage, 0) })
  }
  return found
}

/**
 * For each pending backfill: how it would walk over its table, why in so many passes, how many rows, and how
 * long. Only reads.
 */
export async function estimateBackfills(
  connection: Connection,
  track: Track,
  pending: string[],
  hasLedger: boolean,
): Promise<{ table: Table | null; estimates: Estimates }> {
  const rows: Table['rows'] = []
  const estimates: Estimates = new Map()
  for (const { migration, statement, heaps, rows: known } of await walks(connection, track, pending)) {
    const wanted = await expectedRows(connection.sql, migration.backfill!, statement.alias).catch(error => {
      // an earlier step creates what it names
      if (!isRefused(error)) throw error
      return known
    })
    const stored = hasLedger ? await storedRate(connection.sql, track.name, migration.name) : null
    const rate = stored ?? (statement.updatesTable ? usualRate.update : usualRate.other)
    const factor = stored ? storedFactor : guessFactor
    const seconds = known / rate
    estimates.set(migration.name, {
      rows: Math.round(wanted),
      secondsLow: seconds / factor,
      secondsHigh: seconds * factor,
      basis: stored ? 'measured' : 'usual',
    })
    const basis = stored
      ? `${Math.round(stored).toLocaleString('en')} rows/s measured here`
      : 'a usual rate; `plan --sample` measures'
    for (const [i, heap] of heaps.entries()) {
      const why = !statement.updatesTable
        ? 'it writes another table'
        : heap.passes > 1
          ? `${Math.round(heap.rowsPerPage)} rows a page: light passes keep updates on their page (HOT)`
          : 'a small table'
      rows.push([
        migration.name,
        heap.relation,
        heap.pages,
        heap.passes,
        why,
        i === 0 ? Math.round(wanted) : null,
        i === 0 ? secondsText(seconds / factor, seconds * factor) : null,
        i === 0 ? basis : null,
      ])
    }
  }
  if (rows.length === 0) return { table: null, estimates }
  const table: Table = {
    title: 'Backfills',
    columns: ['migration', 'walks', 'pages', 'passes', 'because', 'rows (estimate)', 'time', 'from'],
    rows,
  }
  return { table, estimates }
}

/** Windows in a sample. The first ones are small and do not count. */
const samples = 8
const warmingUp = 4
/** Pages of the first sampled window. The others grow as in a real run. */
const samplePages = 64
/** Pages that are copied to measure an update that stays on its page. */
const copiedPages = 400

/** A sampled window: a first pass with a cold cache, and a second one. */
interface Visit {
  pages: number
  cold: Cost
  warm: Cost
}
type Cost = BatchCost & { ms: number }

/**
 * Runs some batches of each pending backfill, measures time and WAL, rolls each back, and extrapolates. It
 * leaves dead rows in the table. It needs the objects of the expand phase.
 */
export async function sampleBackfills(
  ctx: Context,
  track: Track,
  pending: string[],
): Promise<{ table: Table | null; estimates: Estimates; findings: Finding[] }> {
  const rows: Table['rows'] = []
  const estimates: Estimates = new Map()
  const findings: Finding[] = []
  await using connection = await connect(ctx, 'worker')
  for (const walk of await walks(connection, track, pending)) {
    const { migration, heaps } = walk
    const heap = [...heaps].sort((a, b) => b.pages - a.pages)[0]
    if (!heap || heap.pages === 0) continue
    const firing = await firingTriggers(connection.sql, track, migration)
    if (firing) {
      const reason = `its batches would fire triggers of the application: ${firing.triggers.join(', ')}`
      findings.push(finding('NOT_SAMPLED', migration.name, { reason }))
      continue
    }
    try {
      const seen = await visits(ctx, connection, walk, heap)
      if (seen.every(s => s.cold.rows + s.warm.rows === 0)) {
        const reason = 'its batches found nothing to write yet: an earlier step comes first'
        findings.push(finding('NOT_SAMPLED', migration.name, { reason }))
        continue
      }
      const whole = await extrapolated(ctx, connection, walk, heap, seen)
      const pages = heaps.reduce((n, h) => n + h.pages, 0)
      const ms = whole.map(w => w.ms)
      const mean = average(ms)
      const error = Math.max((2 * deviation(ms)) / Math.sqrt(ms.length), mean * leastError)
      const estimate = {
        rows: Math.round(average(whole.map(w => w.rows)) * pages),
        secondsLow: (Math.max(mean - error, mean / 2) * pages) / 1000,
        secondsHigh: ((mean + error) * pages) / 1000,
        basis: 'sampled' as const,
      }
      estimates.set(migration.name, estimate)
      rows.push([
        migration.name,
        seen.length * 2,
        estimate.rows,
        secondsText(estimate.secondsLow, estimate.secondsHigh),
        Math.round((average(whole.map(w => w.wal)) * pages) / 2 ** 20),
      ])
    } catch (error) {
      // an earlier step creates an object or row that it needs
      if (!isRefused(error)) throw error
      findings.push(finding('NOT_SAMPLED', migration.name, { reason: serverFault(error)!.message }))
    }
  }
  const table = {
    title: 'Sampled: batches that ran and were rolled back',
    columns: ['migration', 'batches', 'rows', 'time, one worker', 'WAL MB'],
    rows,
  }
  return { table: rows.length > 0 ? table : null, estimates, findings }
}

/**
 * Growing windows over the whole heap, each processed twice. A window with a row for the quarantine is
 * skipped.
 */
async function visits(
  ctx: Context,
  connection: Connection,
  { statement }: Walk,
  heap: Walk['heaps'][number],
): Promise<Visit[]> {
  const most = Math.max(1, Math.floor(heap.pages / samples))
  const batchSize = makeBatchSize(ctx.batchTargetMs, samplePages, rangePages)
  const seen: Visit[] = []
  for (let i = 0; i < samples; i++) {
    const pages = Math.min(most, batchSize.pages())
    const from = Math.min(heap.pages - pages, Math.floor((heap.pages * i) / samples))
    const visit = async (pass: number, split: boolean): Promise<Cost> => {
      const predicate = batchPredicate({
        alias: statement.alias,
        pages: [from, from + pages],
        pass: pass % heap.passes,
        passes: heap.passes,
        restEvery: null,
        unit: null,
      })
      const start = ctx.clock.now()
      const cost = await sampleBatch(connection.sql, statement.restrict(predicate), split)
      return { ...cost, ms: ctx.clock.now() - start }
    }
    try {
      const cold = await visit(i, false)
      const warm = await visit(i + 1, heap.passes > 1)
      seen.push({ pages, cold, warm })
      batchSize.note(warm.ms, pages)
    } catch (error) {
      if (!isDataFault(error)) throw error
    }
  }
  return seen
}

/** The cost of a page over all passes, from the windows that were large enough. */
async function extrapolated(
  ctx: Context,
  connection: Connection,
  { statement }: Walk,
  heap: Walk['heaps'][number],
  seen: Visit[],
): Promise<{ ms: number; rows: number; wal: number }[]> {
  const light = heap.passes - 1
  // only the first pass over a page finds no free space on it
  const room =
    light === 0
      ? { ms: 1, wal: 1 }
      : await sampleRoom(
          connection.sql,
          heap.relation,
          [tid(0), tid(Math.min(copiedPages, heap.pages))],
          statement.sets,
          ctx.clock.now,
        )
  return (seen.length > warmingUp ? seen.slice(warmingUp) : seen).map(({ pages, cold, warm }) => {
    const reading = warm.reading ?? 1
    return {
      ms: (cold.ms + light * warm.ms * (reading + (1 - reading) * room.ms)) / pages,
      rows: (cold.rows + light * warm.rows) / pages,
      wal: (cold.wal + light * warm.wal * room.wal) / pages,
    }
  })
}

const average = (list: number[]): number => list.reduce((a, b) => a + b, 0) / Math.max(1, list.length)
const deviation = (list: number[]): number => {
  const mean = average(list)
  return Math.sqrt(average(list.map(x => (x - mean) ** 2)))
}

/** A range of seconds for people: `2 - 18 s`, `4 - 36 min`. */
function secondsText(low: number, high: number): string {
  const [unit, by] = high >= 7200 ? ['h', 3600] : high >= 120 ? ['min', 60] : ['s', 1]
  const show = (n: number) => (n < 9.95 ? n.toFixed(1) : String(Math.round(n)))
  return high < 1 ? 'under 1 s' : `${show(low / Number(by))} - ${show(high / Number(by))} ${unit}`
}
