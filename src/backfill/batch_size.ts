/**
 * Chooses the size of the next window, in pages or parts of a page, from the duration of earlier batches. Has
 * state, but reads no clock.
 */
export interface BatchSize {
  /** Target duration of a batch, in milliseconds. */
  targetMs: number
  /** Number of pages of the next window. */
  pages(): number
  /** The most pages for a batch of this pass, so that it works no longer than `workMs`. */
  most(pass: number, workMs?: number): number
  /**
   * Rests at every n-th page, for a batch that should rest `factor` times as long as it works. At most four
   * times is inside the batch; the rest follows after it. Null for no rests.
   */
  restEvery(factor: number, pass?: number): number | null
  /** Notes the duration of a batch of `pages` pages, its pass, and how much of the time was rest. */
  note(ms: number, pages: number, pass?: number, sleptMs?: number): void
  /** Halves the window, after a lock timeout or statement timeout. */
  halve(): void
  /** One word about the last change, for the progress line. */
  word(): string
}

/** Weight of the newest batch in the moving average of milliseconds per page. */
const weight = 0.4
/**
 * The highest multiple of the average with which a batch counts. A batch that was delayed, by its machine or
 * by a wait, says nothing about its pages. Without this limit, on a machine that was stopped for 50 to 300 ms
 * now and then (steal time), batches shrank from hundreds of rows to three, and the backfill took ten times
 * as long.
 */
const outlier = 2

/**
 * The longest duration of a one-millisecond rest that lengthens the work between two rests. It limits how
 * long others wait for the core.
 */
const longestRestMs = 2
/**
 * How long a batch rests inside, as a multiple of its work: at most four times, because each batch costs a
 * snapshot, a plan and a commit. Measured in turns within one run, beside the passes of `--nice 4`: with all
 * of the rest inside, an application's p95, p98 and p99 were 1.7, 2.1 and 2.5 ms, as without a backfill; with
 * half of it inside, 1.9, 2.4 and 3.1 ms.
 */
const restsInside = (factor: number): number => Math.min(4, factor)
/** How many times the target a batch of an expensive pass may take, before its window is divided. */
const dearest = 1.5

/**
 * Adjusts the window towards `targetMs` per batch, by an exponential average of the cost of a page. Growth is
 * limited to a doubling, so that one quick batch does not cause a huge one. Each light pass has its own
 * average. The window follows their mean. The first pass moves its rows to other pages and costs twice as
 * much, so it covers the window in several batches.
 * If rests take longer than requested because others use the core, the work between two rests grows with
 * them, so that its share of the time stays the same, up to the limit `mostRestMs`.
 */
export function makeBatchSize(
  targetMs: number,
  startPages: number,
  maxPages: number,
  leastPages = 1,
  mostRestMs = longestRestMs,
): BatchSize {
  const perPage = new Map<number, number>()
  const workPerPage = new Map<number, number>()
  const restEvery = new Map<number, number>()
  let restMs = longestRestMs
  let window = startPages
  let word = 'start'
  const held = (pages: number, whole = Math.floor) =>
    Math.max(leastPages, Math.min(maxPages, pages < 1 ? pages : whole(pages)))
  return {
    targetMs,
    pages: () => window,
    most: (pass, workMs = Number.POSITIVE_INFINITY) => {
      const cost = perPage.get(pass)
      const work = workPerPage.get(pass)
      return cost && work ? held(Math.min((targetMs * dearest) / cost, workMs / work)) : maxPages
    },
    restEvery: (factor, pass = 0) => {
      const work = workPerPage.get(pass)
      if (factor <= 0 || !work) return null
      const every = betweenRests(factor, work, restMs)
      restEvery.set(pass, every)
      return every
    },
    note: (ms, pages, pass = 0, sleptMs = 0) => {
      learnCost(perPage, pass, ms / pages)
      learnCost(workPerPage, pass, (ms - sleptMs) / pages)
      const rests = pages / (restEvery.get(pass) ?? pages)
      if (sleptMs > 0 && rests >= 1) restMs = Math.min(mostRestMs, averaged(restMs, sleptMs / rests))
      const costs = [...perPage.values()]
      const mean = costs.reduce((a, b) => a + b, 0) / costs.length
      const next = held(Math.min(window * 2, mean > 0 ? targetMs / mean : maxPages), Math.round)
      word = next > window ? 'faster' : next < window ? 'slower' : 'steady'
      window = next
    },
    halve: () => {
      window = held(window / 2)
      word = 'backing off'
    },
    word: () => word,
  }
}

/**
 * The number of pieces of work, of `msEach` milliseconds each, between two rests: a power of two up to 256.
 */
export const betweenRests = (factor: number, msEach: number, restMs = 1): number =>
  2 ** Math.max(0, Math.min(8, Math.round(Math.log2(restMs / restsInside(factor) / msEach))))

function learnCost(averages: Map<number, number>, pass: number, cost: number): void {
  const before = averages.get(pass)
  averages.set(pass, before === undefined ? cost : averaged(before, Math.min(cost, outlier * before)))
}

const averaged = (before: number, now: number): number => before * (1 - weight) + now * weight
