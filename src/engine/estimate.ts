import { isDataFault, serverFault } from '../db/fault.js'
import type { Session } from '../db/session.js'
import { type Finding, finding, type Table } from '../model/report.js'
import type { Migration, Track } from '../model/workspace.js'
import { slicePredicate, tid } from '../sql/backfill.js'
import { heapsOf, relationFacts } from '../sql/catalog.js'
import { explainedRows, sampleBatch, storedRate } from '../sql/estimate.js'
import { type Cut, cutBackfill } from '../workspace/cut.js'
import { passesFor } from './backfill.js'
import { type Context, connect } from './context.js'

/** Rows a second where nothing was measured yet; from `npm run bench` on two cores, rounded down. */
const usualRate = { update: 60_000, other: 150_000 }
/** How far off such a guess may be, either way. */
const guessFactor = 3
/** How far a rate that was measured in this database may be off: load and cache change. */
const storedFactor = 1.3

interface Walk {
  migration: Migration
  cut: Cut
  heaps: { relation: string; pages: number; rowsPerPage: number; passes: number }[]
  /** Rows in the walked table, as the planner knows them. */
  rows: number
}

/** Pending backfills whose table exists, and how they would walk it. */
async function walks(session: Session, track: Track, pending: string[]): Promise<Walk[]> {
  const found: Walk[] = []
  for (const migration of track.migrations) {
    const spec = migration.backfill
    if (!spec || !pending.includes(migration.name)) continue
    if ((await relationFacts(session.sql, [spec.table])).length === 0) continue
    const cut = await cutBackfill(migration.file.text, migration.file.path, spec)
    const heaps = (await heapsOf(session.sql, spec.table)).map(h => ({
      ...h,
      passes: passesFor(cut.updatesTable, h.rowsPerPage, h.pages),
    }))
    found.push({ migration, cut, heaps, rows: heaps.reduce((n, h) => n + h.pages * h.rowsPerPage, 0) })
  }
  return found
}

/** How each pending backfill would walk its table, why in so many passes, how many rows and how long. Reads only. */
export async function estimateBackfills(
  session: Session,
  track: Track,
  pending: string[],
  hasLedger: boolean,
): Promise<Table | null> {
  const rows: Table['rows'] = []
  for (const { migration, cut, heaps, rows: known } of await walks(session, track, pending)) {
    const explained = await explainedRows(session.sql, cut.restrict('true'))
    const wanted = explained ?? known
    const stored = hasLedger ? await storedRate(session.sql, track.name, migration.name) : null
    const rate = stored ?? (cut.updatesTable ? usualRate.update : usualRate.other)
    const factor = stored ? storedFactor : guessFactor
    const seconds = known / rate
    const basis = stored
      ? `${Math.round(stored).toLocaleString('en')} rows/s measured here`
      : 'a usual rate; `plan --sample` measures'
    for (const [i, heap] of heaps.entries()) {
      const why = !cut.updatesTable
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
        i === 0 ? span(seconds / factor, seconds * factor) : null,
        i === 0 ? basis : null,
      ])
    }
  }
  if (rows.length === 0) return null
  return {
    title: 'Backfills',
    columns: ['migration', 'walks', 'pages', 'passes', 'because', 'rows (estimate)', 'time', 'from'],
    rows,
  }
}

/** Batches that a sample runs. */
const samples = 8
/** Pages of one sampled window. */
const samplePages = 64

/**
 * Runs some batches of each pending backfill, measures time and WAL, rolls every one of them back, and extrapolates
 * (ability B10). Costs dead rows of its batches, nothing else; needs what expand makes.
 */
export async function sampleBackfills(
  ctx: Context,
  track: Track,
  pending: string[],
): Promise<{ table: Table | null; findings: Finding[] }> {
  const rows: Table['rows'] = []
  const findings: Finding[] = []
  await using session = await connect(ctx, 'worker')
  for (const { migration, cut, heaps } of await walks(session, track, pending)) {
    const heap = [...heaps].sort((a, b) => b.pages - a.pages)[0]
    if (!heap || heap.pages === 0) continue
    const window = Math.min(samplePages, Math.max(1, Math.floor(heap.pages / samples)))
    const seen: { ms: number; rows: number; wal: number }[] = []
    let fault: string | null = null
    for (let i = 0; i < samples && fault === null; i++) {
      const from = Math.min(heap.pages - window, Math.floor((heap.pages * i) / samples))
      const predicate = slicePredicate({
        alias: cut.alias,
        pass: i % heap.passes,
        passes: heap.passes,
        unit: null,
      })
      try {
        const start = ctx.clock.now()
        const { rows: written, wal } = await sampleBatch(session.sql, cut.restrict(predicate), [
          tid(from),
          tid(from + window),
        ])
        seen.push({ ms: ctx.clock.now() - start, rows: written, wal })
      } catch (error) {
        // an object that expand has yet to make, or a row that would go to the quarantine
        if (!isDataFault(error)) fault = serverFault(error)?.message ?? String(error)
      }
    }
    if (fault !== null || seen.every(s => s.rows === 0)) {
      findings.push(
        finding('NOT_SAMPLED', migration.name, {
          reason: fault ?? 'its batches found nothing to write yet: an earlier step comes first',
        }),
      )
      continue
    }
    // the first batch warms the cache and the plans
    const ms = seen.slice(1).map(s => s.ms)
    const visits = heaps.reduce((n, h) => n + (h.pages / window) * h.passes, 0)
    const mean = average(ms)
    const error = (2 * deviation(ms)) / Math.sqrt(ms.length)
    rows.push([
      migration.name,
      seen.length,
      Math.round(average(seen.map(s => s.rows)) * visits),
      span((Math.max(mean - error, mean / 2) * visits) / 1000, ((mean + error) * visits) / 1000),
      Math.round((average(seen.map(s => s.wal)) * visits) / 2 ** 20),
    ])
  }
  const table = {
    title: 'Sampled: batches that ran and were rolled back',
    columns: ['migration', 'batches', 'rows', 'time, one worker', 'WAL MB'],
    rows,
  }
  return { table: rows.length > 0 ? table : null, findings }
}

const average = (list: number[]): number => list.reduce((a, b) => a + b, 0) / Math.max(1, list.length)
const deviation = (list: number[]): number => {
  const mean = average(list)
  return Math.sqrt(average(list.map(x => (x - mean) ** 2)))
}

/** A span of seconds for people: `2 - 18 s`, `4 - 36 min`. */
function span(low: number, high: number): string {
  const [unit, by] = high >= 7200 ? ['h', 3600] : high >= 120 ? ['min', 60] : ['s', 1]
  const show = (n: number) => (n < 9.95 ? n.toFixed(1) : String(Math.round(n)))
  return high < 1 ? 'under 1 s' : `${show(low / Number(by))} - ${show(high / Number(by))} ${unit}`
}
