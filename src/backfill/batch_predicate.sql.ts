import { ident, literal } from '../database/types.js'

/** The rows of a batch: a part of a heap, one of its passes, how it rests, and optionally one unit. */
interface BatchRows {
  alias: string
  pages: [from: number, to: number]
  pass: number
  passes: number
  /** It rests at every n-th page, a power of two up to 256; null for no rests. */
  restEvery: number | null
  unit: { column: string; value: string } | null
}

/**
 * The predicate of one batch. It has no parameters, which would need a round trip. A pass selects every
 * `passes`-th line pointer of each page, so that updated rows find free space on their own page (HOT). A hash
 * would make the passes uneven, and a quarter of the rows would leave their page. It is a function, not an
 * operator, because the planner then expects a third of the rows. For `remainder = number` it would expect
 * one row in 200, and look up each row's partner separately instead of hashing them, which takes a tenth more
 * time.
 * If it does not rest, the first row of the pass on every fourth page asks for the size of a file that does
 * not exist. This is one system call, at which the kernel can give the core to another process. Without it a
 * batch computes until the kernel's next tick, 4 ms later, and a commit of the application waits meanwhile.
 * For every row, with an existing file, it would be two calls each and a quarter of the scan.
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

/** A predicate for the rows of one unit, such as a workspace. */
export const unitPredicate = (alias: string, { column, value }: { column: string; value: string }): string =>
  `${alias}.${ident(column)}::text = ${literal(value)}`

/**
 * Line pointers per page in a position: more than any page has (291 of 8 kB, 1169 of 32 kB). A position is a
 * page number plus a line pointer divided by this number. It is a power of two, so that the fraction is
 * exact.
 */
export const itemsAPage = 2048

/** A predicate for the rows from one position up to, but not including, another. */
export const inPages = (alias: string, from: number, to: number): string =>
  `${alias}.ctid >= '${tid(from)}'::tid and ${alias}.ctid < '${tid(to)}'::tid`

/** The ctid at a position. */
export const tid = (at: number): string => `(${Math.floor(at)},${(at % 1) * itemsAPage})`

/**
 * A predicate that is true for every row, and rests at the first row that is met on every n-th page. Short
 * rests inside a batch are better for the application than a long one after it: another process waits for the
 * core for one or two milliseconds, not for forty. With one core for both, a backend that worked 40 ms and
 * rested 40 doubled the application's p99 (4.3 to 8.7 ms). One that alternated every 2 ms left it at 1.0 to
 * 1.15 times. The transaction stores how long it has rested, because a rest takes longer than requested if
 * others use the core. It also stores the page, because any line pointer may be unused: an updated row has
 * moved to another one.
 */
export function restPredicate(alias: string, everyPages: number): string {
  const page = `pg_catalog.substr(pg_catalog.tidsend(${alias}.ctid), 1, 4)::text`
  return `(${skips(alias, everyPages)} or pg_catalog.current_setting('${restedOn}', true) operator(pg_catalog.=) ${page}
    or pg_catalog.set_config('${restedOn}', ${page}, true) is not null and ${restSql()})`
}

/** A predicate that is true for every hash, and rests at every n-th value, a power of two. */
export const restAmong = (hash: string, every: number): string =>
  `(${hash} operator(pg_catalog.&) ${every - 1} operator(pg_catalog.<>) 0 or ${restSql()})`

/**
 * Rests for about a millisecond and stores the duration; true. It requests half a millisecond. The server
 * sleeps whole milliseconds, rounded up from a difference of times in seconds. For one millisecond the result
 * is often slightly above one, so that it would sleep 2.1 instead of 1.1, and for the same ratio the work
 * between two rests would be twice as long.
 */
function restSql(): string {
  const now = 'pg_catalog.clock_timestamp()'
  // the left operand is evaluated first
  const rested = `${now} operator(pg_catalog.-) case when pg_catalog.pg_sleep(0.0005) is not null then ${now} end`
  const sum = `(${sleptSql} operator(pg_catalog.-) (extract(epoch from ${rested}) operator(pg_catalog.*) 1000)::float8)::text`
  return `pg_catalog.set_config('${slept}', ${sum}, true) is not null`
}

/** The setting with the page of the transaction's last rest. */
const restedOn = 'rethread.rested_on'

/** The setting with the time that the transaction has rested; empty outside of one. */
const slept = 'rethread.slept_ms'

/** How long this transaction has rested, in milliseconds. */
export const sleptSql = `coalesce(nullif(pg_catalog.current_setting('${slept}', true), ''), '0')::float8`

/** One byte of a row's ctid in binary form: 3 is the low byte of the page, 5 that of the line pointer. */
const byteOf = (alias: string, n: number): string =>
  `pg_catalog.get_byte(pg_catalog.tidsend(${alias}.ctid), ${n})`
const itemOf = (alias: string): string => byteOf(alias, 5)
/** True for all rows except those of every n-th page. */
const skips = (alias: string, pages: number): string =>
  `pg_catalog.int4ne(${byteOf(alias, 3)} operator(pg_catalog.&) ${pages - 1}, 0)`
