import type { BackfillStatement } from '../files/backfill_statement.js'
import type { RangePosition } from './batch.sql.js'
import { itemsAPage } from './batch_predicate.sql.js'
import type { BatchSize } from './batch_size.js'
import type { Job } from './job.js'
import { type Range, rangePages } from './run_backfill.sql.js'

/**
 * In how many batches at least a light pass covers its window. What a batch has left dead makes room once
 * every transaction has ended that was open when it committed, such as the batch of another worker: by the
 * next pass over the same pages, when other batches are in between. With one batch a pass, two workers kept
 * each other from finding room and the heap grew by 31%; with three it grew by 18%, with a quarter less WAL.
 */
const passBatches = 3

/**
 * Fewest pages of a range: a batch or less. Half of a whole range where a window takes two dozen batches, or
 * where more batches write more rows.
 */
export const leastRangePages = ({ groups }: BackfillStatement, passes: number): number =>
  groups || passes > 1 ? rangePages / 2 : 128

/** Where the next batch of at most so many pages ends, and its window. `items`: of a page in parts. */
export function nextBatch(
  { passes, rowsPerPage }: Job,
  at: Range,
  from: number,
  batchSize: BatchSize,
  most: number,
  items: number,
): { end: number; pages: number; windowEnd: number } {
  if (passes === 1) {
    const only = piece(from, at.toPage, Math.min(batchSize.pages(), most), rowsPerPage, items)
    return { ...only, windowEnd: only.end }
  }
  const begun = at.pass > 0 || from > at.cursorPage
  const windowEnd = begun
    ? Math.min(at.cursorPage + at.windowPages, at.toPage)
    : piece(from, at.toPage, passBatches * batchSize.pages(), rowsPerPage, items).end
  const share = Math.ceil((windowEnd - at.cursorPage) / passBatches)
  return { ...piece(from, windowEnd, Math.min(most, share), rowsPerPage, items, 0.1), windowEnd }
}

/** Where a range is whose window has had all its passes, up to a page. */
export const afterWindow = ({ toPage }: Range, end: number): RangePosition => ({
  cursorPage: end,
  cursorKey: null,
  pass: 0,
  windowPages: 0,
  done: end >= toPage,
})

/** Where a range is in a pass over a window. */
export const inWindow = ({ cursorPage }: Range, windowEnd: number, pass: number): RangePosition => ({
  cursorPage,
  cursorKey: null,
  pass,
  windowPages: windowEnd - cursorPage,
  done: false,
})

/**
 * The next piece of a heap, of about so many pages: whole ones, or rows of one. It ends at a position, no
 * further than `end`; `pages` is how much of pages it has, by their rows.
 */
function piece(
  from: number,
  end: number,
  wanted: number,
  rowsPerPage: number,
  items: number,
  over = 0.5,
): { end: number; pages: number } {
  if (wanted >= 1 && Number.isInteger(from)) {
    const pages = evenly(end - from, wanted, over)
    return { end: from + pages, pages }
  }
  const page = Math.floor(from)
  const item = (from - page) * itemsAPage
  const left = Math.max(1, items + 1 - item)
  const rows = evenly(left, Math.max(1, wanted * rowsPerPage), over)
  // the last piece goes to the end of the page, also where it has got more rows meanwhile
  return { end: rows < left ? page + (item + rows) / itemsAPage : page + 1, pages: rows / rowsPerPage }
}

/**
 * What is left in pieces of about the wanted size: no small rest, which would cost as many batches as a whole
 * one. `over` is how much of a piece they may share among them.
 */
const evenly = (left: number, wanted: number, over: number): number =>
  Math.ceil(left / Math.max(1, Math.ceil(left / wanted - over)))

/**
 * How many light passes over each window: an update stays on its page (HOT) only where there is room, and a
 * full page gets room when the pass before has been pruned. Half the rows of a page, at most 9, since each
 * pass reads all of them (measured: nine passes over full pages gave a heap 20% larger, thirteen one 17%
 * larger in a tenth more time, a single one 106%); an odd number, because questions and answers alternate and
 * a pass of answers only finds the small holes of the questions.
 */
export const passesFor = (updatesTable: boolean, rowsPerPage: number, pages: number): number => {
  if (!updatesTable || pages <= 64) return 1
  const half = Math.max(1, Math.min(9, Math.floor(rowsPerPage / 2)))
  return half % 2 === 0 ? half - 1 : half
}
