/** Chooses how many pages the next window has, from how long batches take. Pure state, no clock. */
export interface Pace {
  /** Pages of the next window. */
  pages(): number
  /** Tells the duration of a batch that covered `pages` pages. */
  note(ms: number, pages: number): void
  /** Halves the window at once: after a lock or statement time-out. */
  halve(): void
  /** One word about the last change, for the progress line. */
  word(): string
}

/** Weight of the newest batch in the moving average of milliseconds per page. */
const weight = 0.4

/**
 * Steers towards `targetMs` a batch: an exponential average of the cost of a page, growth limited to a doubling so
 * that one quick batch does not start a huge one.
 */
export function makePace(targetMs: number, startPages: number, maxPages: number): Pace {
  let perPage: number | null = null
  let window = startPages
  let word = 'start'
  return {
    pages: () => window,
    note: (ms, pages) => {
      const cost = ms / Math.max(1, pages)
      perPage = perPage === null ? cost : perPage * (1 - weight) + cost * weight
      const wanted = perPage > 0 ? targetMs / perPage : maxPages
      const next = Math.max(1, Math.min(maxPages, Math.round(Math.min(window * 2, wanted))))
      word = next > window ? 'faster' : next < window ? 'slower' : 'steady'
      window = next
    },
    halve: () => {
      window = Math.max(1, Math.floor(window / 2))
      word = 'backing off'
    },
    word: () => word,
  }
}
