import type { Migration, Track } from '../model/workspace.js'
import { heapsOf } from '../sql/catalog.js'
import { clearTallies, contentColumns, type TallySpec, tallyPages } from '../sql/tally.js'
import type { Db } from '../sql/types.js'
import type { Cut } from '../workspace/cut.js'
import { readTrackInfo } from '../workspace/track.js'
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
  const track = run.ctx.tracks().find(t => t.name === migration.track)!
  const spec = await tallySpec(sql, track, migration, cut, job.id)
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

/** What is counted for a backfill with units. */
export async function tallySpec(
  sql: Db,
  track: Track,
  migration: Migration,
  cut: Cut,
  backfill: number,
): Promise<TallySpec> {
  const { table, unit } = migration.backfill!
  const columns = await contentColumns(sql, table, cut.sets)
  const { info } = await readTrackInfo(track)
  const dated = info?.messages?.table === table ? info.messages.created : null
  return {
    backfill,
    unit: unit!,
    columns: columns.map(c => c.name),
    dated: columns.some(c => c.name === dated && c.moment) ? dated : null,
    asText: columns.some(c => !c.hashable),
  }
}
