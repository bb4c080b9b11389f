/**
 * Chooses how many pages the next window has, or what part of one, from how long batches
 * take. Pure state, no clock.
 */
export interface BatchSize {
  /** How long a batch should take, in milliseconds. */
  targetMs: number
  /** Pages of the next window. */
  pages(): number
  /** Most pages that a batch of one of the light passes should cover, which works no longer than `workMs`. */
  most(pass: number, workMs?: number): number
  /**
   * On every so-many-th page a batch rests that should rest `factor` times as long as it works; what goes
   * beyond four times lies after it. Null for not at all.
   */
  restEvery(factor: number, pass?: number): number | null
  /**
   * Tells the duration of a batch that covered `pages` pages, in which of the light passes,
   * and how much of it was rest.
   */
  note(ms: number, pages: number, pass?: number, sleptMs?: number): void
  /** Halves the window at once: after a lock or statement time-out. */
  halve(): void
  /** One word about the last change, for the progress line. */
  word(): string
}

/** Weight of the newest batch in the moving average of milliseconds per page. */
const weight = 0.4
/**
 * How many times the average a batch counts at most: one that was held up, because its machine did or it
 * waited, says nothing of its pages. On a machine that was stopped for 50 to 300 ms now and then (steal
 * time), batches of three rows were left of those of hundreds, and the backfill took ten times as long.
 */
const outlier = 2

/**
 * What a rest of a millisecond takes at most, as far as the work between two goes: whoever waits for
 * the core waits no longer.
 */
const longestRestMs = 2
/**
 * How many times as long as it works a batch rests inside: no more than four times, for each batch has a
 * snapshot, a plan and a commit to pay for. In turns within one run, an application's p95, p98 and p99 beside
 * the passes of `--nice 4` were 1.7, 2.1 and 2.5 ms with all of the rest inside, as without us; 1.9, 2.4 and
 * 3.1 with half of it inside and half after.
 */
const restsInside = (factor: number): number => Math.min(4, factor)
/**
 * How much longer than the target a batch of a dear pass may take, before its window is covered in several.
 */
const dearest = 1.5

/**
 * Steers towards `targetMs` a batch: an exponential average of the cost of a page, growth limited to a
 * doubling so that one quick batch does not start a huge one. Of several light passes each has its own
 * average: a window is as wide as their mean allows, and the first pass, which moves its rows to other pages
 * and costs twice the others, covers it in several batches.
 *
 * Where rests take longer than asked for, because others have the core, the work between two grows with them,
 * so that they keep their share of the time, up to what `mostRestMs` says.
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

/** How many pieces of work, of so many milliseconds each, lie between two rests: a power of two up to 256. */
export const betweenRests = (factor: number, msEach: number, restMs = 1): number =>
  2 ** Math.max(0, Math.min(8, Math.round(Math.log2(restMs / restsInside(factor) / msEach))))

function learnCost(averages: Map<number, number>, pass: number, cost: number): void {
  const before = averages.get(pass)
  averages.set(pass, before === undefined ? cost : averaged(before, Math.min(cost, outlier * before)))
}

const averaged = (before: number, now: number): number => before * (1 - weight) + now * weight
