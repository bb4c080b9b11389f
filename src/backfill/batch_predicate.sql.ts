import { ident, literal } from '../database/types.js'

/**
 * What a batch is: a heap between two positions, the rows of one light pass and how it
 * rests, and optionally one unit.
 */
interface BatchRows {
  alias: string
  pages: [from: number, to: number]
  pass: number
  passes: number
  /** On every so-many-th page it rests, a power of two up to 256; null for not at all. */
  restEvery: number | null
  unit: { column: string; value: string } | null
}

/**
 * The predicate of one batch, without parameters, which would cost a round trip. A light pass takes
 * every `passes`-th line pointer of each page, so that the updated rows find room on their own page (HOT).
 * By hash instead, the passes would be uneven and a quarter of the rows would leave their page. As a
 * function, not an operator, because the planner then expects a third of the rows; of a remainder that
 * equals something it would expect one row in 200, and look each row's partner up alone instead of hashing
 * them (a tenth of the backfill's time).
 *
 * Where it does not rest, the first row of the pass on every fourth page asks for the size of a file that
 * does not exist, which is one call of the operating system: a chance to give the core to whoever waits for
 * it. Without one a batch computes until the kernel's next tick, 4 ms later, while a commit of the
 * application waits behind it. Asked by every row of the pass, of a file that does exist, it was two calls
 * each, and a quarter of the scan.
 */
export function batchPredicate({ alias, pages, pass, passes, restEvery, unit }: BatchRows): string {
  const parts = [inPages(alias, ...pages)]
  if (passes > 1) parts.push(`pg_catalog.int4eq(${itemOf(alias)} operator(pg_catalog.%) ${passes}, ${pass})`)
  if (restEvery !== null) parts.push(restPredicate(alias, restEvery))
  else if (passes > 1)
    parts.push(
      `(${skips(alias, 4)} or pg_catalog.int4gt(${itemOf(alias)}, ${passes}) or pg_catalog.int8ge(pg_catalog.pg_relation_size('pg_catalog.pg_class', 'init'), 0))`,
    )
  if (unit !== null) parts.push(unitPredicate(alias, unit))
  return parts.join(' and ')
}

/** The rows of one unit, such as a workspace. */
export const unitPredicate = (alias: string, { column, value }: { column: string; value: string }): string =>
  `${alias}.${ident(column)}::text = ${literal(value)}`

/**
 * What a position counts in a page: more line pointers than any page has (291 of 8 kB, 1169 of
 * 32 kB). A position is a page and, as its fraction, a line pointer by this number; a power of
 * two, so that it is exact.
 */
export const itemsAPage = 2048

/** The rows between two positions, the second left out. */
export const inPages = (alias: string, from: number, to: number): string =>
  `${alias}.ctid >= '${tid(from)}'::tid and ${alias}.ctid < '${tid(to)}'::tid`

/** The address at a position. */
export const tid = (at: number): string => `(${Math.floor(at)},${(at % 1) * itemsAPage})`

/**
 * True of every row, and rests on the way: at the first row that is met on every so-many-th page. Short
 * rests in the batch serve an application better than a long one after it: what waits for the core waits for
 * a millisecond or two of work, not for forty. With one core for both, a backend that worked 40 ms and
 * rested 40 doubled the application's p99 (4.3 to 8.7 ms); one that did both for about 2 ms left it at 1.0
 * to 1.15 times. The transaction keeps how long it has rested: a rest is longer than asked where others have
 * the core. It also keeps the page, because no line pointer is sure to hold a row: a row that was updated
 * has moved to another one.
 */
export function restPredicate(alias: string, everyPages: number): string {
  const page = `pg_catalog.substr(pg_catalog.tidsend(${alias}.ctid), 1, 4)::text`
  return `(${skips(alias, everyPages)} or pg_catalog.current_setting('${restedOn}', true) operator(pg_catalog.=) ${page}
    or pg_catalog.set_config('${restedOn}', ${page}, true) is not null and ${restSql()})`
}

/** True of every value of a hash, and rests at every so-many-th: a power of two. */
export const restAmong = (hash: string, every: number): string =>
  `(${hash} operator(pg_catalog.&) ${every - 1} operator(pg_catalog.<>) 0 or ${restSql()})`

/**
 * Rests a millisecond and notes how long that took. True. It asks for half of one: the server waits whole
 * milliseconds, rounded up from the difference of two times in seconds, which for a whole one is often a hair
 * more than one: it then takes 2.1 instead of 1.1, and as much duty lets a commit wait for twice the work.
 */
function restSql(): string {
  const now = 'pg_catalog.clock_timestamp()'
  // the left side of the difference is asked first
  const rested = `${now} operator(pg_catalog.-) case when pg_catalog.pg_sleep(0.0005) is not null then ${now} end`
  const sum = `(${sleptSql} operator(pg_catalog.-) (extract(epoch from ${rested}) operator(pg_catalog.*) 1000)::float8)::text`
  return `pg_catalog.set_config('${slept}', ${sum}, true) is not null`
}

/** Where a transaction keeps the page of its last rest. */
const restedOn = 'rethread.rested_on'

/** Where a transaction keeps how long it has rested; empty outside of one. */
const slept = 'rethread.slept_ms'

/** How long this transaction has rested, in milliseconds. */
export const sleptSql = `coalesce(nullif(pg_catalog.current_setting('${slept}', true), ''), '0')::float8`

/** A byte of a row's address as it is sent: 3 is the low byte of its page, 5 that of its line pointer. */
const byteOf = (alias: string, n: number): string =>
  `pg_catalog.get_byte(pg_catalog.tidsend(${alias}.ctid), ${n})`
const itemOf = (alias: string): string => byteOf(alias, 5)
/** True of every row but those of every so-many-th page. */
const skips = (alias: string, pages: number): string =>
  `pg_catalog.int4ne(${byteOf(alias, 3)} operator(pg_catalog.&) ${pages - 1}, 0)`
