/** How far one invocation of a backfill has come, as the progress line, `status` and metrics say it. */
export interface Pace {
  /** Share of the pages that are done, by this invocation and those before it. */
  fraction: number
  rowsPerSecond: number
  /** Null while too little is done to know. */
  etaSeconds: number | null
}

/** Share of the pages that this invocation has to have done before the rest is estimated from it. */
const leastShare = 0.01

/** Share of a table's pages that are done. */
export const shareDone = ({ pagesDone, pages }: { pagesDone: number; pages: number }): number =>
  pages === 0 ? 1 : Math.min(1, pagesDone / pages)

/**
 * Pure: the pace of this invocation alone. What others had done before it was there says nothing about how
 * long the rest takes.
 */
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
