import { heapsOf } from '../sql/catalog.js'
import { clearTallies, contentColumns, tallyPages } from '../sql/tally.js'
import type { Job } from './batch.js'
import { breathe } from './watch.js'

/** Pages that one statement counts. */
const windowPages = 512

/**
 * Counts and hashes, by page range and by unit, the content that the backfill has not written: numbers to compare
 * with later, when somebody asks whether anything was lost. Only for a backfill that updates a table with units. Rows
 * that an application writes meanwhile are counted as they are met.
 */
export async function tally(job: Job): Promise<void> {
  const { run, cut, migration } = job
  const { table, unit } = migration.backfill!
  if (!cut.updatesTable || unit === null || job.keys || job.progress.rows === 0) return
  const { sql } = run.writer
  const columns = await contentColumns(sql, table, cut.sets)
  const spec = {
    backfill: job.id,
    unit,
    columns: columns.map(c => c.name),
    asText: columns.some(c => !c.hashable),
  }
  await clearTallies(sql, job.id)
  for (const heap of await heapsOf(sql, table)) {
    for (let page = 0; page < heap.pages && !run.ctx.signal.aborted; page += windowPages) {
      const start = run.ctx.clock.now()
      await tallyPages(sql, spec, heap.relation, page, page + windowPages)
      await breathe(job, run.ctx.clock.now() - start, () => false)
    }
  }
  // a count that was broken off must not stand for the whole
  if (run.ctx.signal.aborted) await clearTallies(sql, job.id)
}
