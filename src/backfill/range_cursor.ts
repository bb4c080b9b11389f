import type { BackfillStatement } from '../files/backfill_statement.js'
import type { RangePosition } from './batch.sql.js'
import { itemsAPage } from './batch_predicate.sql.js'
import type { BatchSize } from './batch_size.js'
import type { Job } from './job.js'
import { type Range, rangePages } from './run_backfill.sql.js'

/**
 * The smallest number of batches in which a light pass covers its window. The space of dead rows can be
 * reused once all transactions have ended that were open when their batch committed, such as another worker's
 * batch. That is so for the next pass over the same pages if other batches come in between. With one batch
 * per pass, two workers blocked each other and the heap grew by 31%. With three batches it grew by 18%, with
 * a quarter less WAL.
 */
const passBatches = 3

/**
 * The smallest range, in pages: at most one batch. Half of a full range if a window takes two dozen batches,
 * or if more batches write more rows.
 */
export const leastRangePages = ({ groups }: BackfillStatement, passes: number): number =>
  groups || passes > 1 ? rangePages / 2 : 128

/**
 * The end of the next batch of at most `most` pages, and its window. `items` is the number of line pointers
 * of a page that is divided.
 */
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
 * The next piece of a heap, of about `wanted` pages: whole pages or a part of one. `end` is a position.
 * `pages` is its size in pages, by the number of rows.
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
  // the last piece of a page extends to its end, even if the page has more rows than before
  return { end: rows < left ? page + (item + rows) / itemsAPage : page + 1, pages: rows / rowsPerPage }
}

/**
 * The size of a piece if `left` is divided evenly into pieces of about the wanted size. This avoids a small
 * last piece, which costs as much as a whole one. `over` is the part of a piece by which all may grow
 * together.
 */
const evenly = (left: number, wanted: number, over: number): number =>
  Math.ceil(left / Math.max(1, Math.ceil(left / wanted - over)))

/**
 * The number of light passes over each window. An update stays on its page (HOT) only if the page has free
 * space, and a full page gets space when the previous pass was pruned. It is half the rows of a page, at most
 * 9, because each pass reads all rows. (Measured: with nine passes over full pages the heap was 20% larger,
 * with thirteen 17% larger in a tenth more time, with one 106%.) It is odd because questions and answers
 * alternate, and a pass of answers would only find the small gaps of questions.
 */
export const passesFor = (updatesTable: boolean, rowsPerPage: number, pages: number): number => {
  if (!updatesTable || pages <= 64) return 1
  const half = Math.max(1, Math.min(9, Math.floor(rowsPerPage / 2)))
  return half % 2 === 0 ? half - 1 : half
}
