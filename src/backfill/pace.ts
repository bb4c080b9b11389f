/** Progress and speed of one invocation of a backfill, for the progress line, `status` and metrics. */
export interface Pace {
  /** Share of all pages that are done, from 0 to 1. */
  fraction: number
  rowsPerSecond: number
  /** Estimated seconds left; null if too little is done for an estimate. */
  etaSeconds: number | null
}

/** Share of the pages that this invocation must have done before it estimates the time that is left. */
const leastShare = 0.01

/** Share of a table's pages that are done, from 0 to 1. */
export const shareDone = ({ pagesDone, pages }: { pagesDone: number; pages: number }): number =>
  pages === 0 ? 1 : Math.min(1, pagesDone / pages)

/** Pure: the pace of this invocation. The work of earlier ones does not count for the estimate. */
export function measuredPace(done: {
  rows: number
  pagesDone: number
  /** Pages that were done when this invocation began. */
  pagesBefore: number
  pages: number
  seconds: number
}): Pace {
  const { rows, pagesDone, pagesBefore, pages, seconds } = done
  const fraction = shareDone(done)
  const own = pages === 0 ? 1 : Math.max(0, pagesDone - pagesBefore) / pages
  return {
    fraction,
    rowsPerSecond: seconds > 0 ? Math.round(rows / seconds) : 0,
    etaSeconds: own > leastShare || fraction === 1 ? (seconds / own) * (1 - fraction) : null,
  }
}
