import { number } from '../../model/plural.js'

/** Milliseconds as a duration for people. */
export function duration(ms: number | null): string {
  if (ms === null) return ''
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${tenths(ms / 1000)} s`
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`
  const minutes = Math.round(ms / 60_000)
  return minutes < 48 * 60
    ? `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    : `${Math.floor(minutes / 1440)} days ${Math.floor((minutes % 1440) / 60)} h`
}

/** One decimal, if it is not zero: 2.5, but 2 and 14. */
const tenths = (n: number): string => n.toFixed(n % 1 === 0 ? 0 : 1)

/** A range of seconds for people: `2 to 18 s`, `4 to 36 min`. */
export function span(low: number, high: number): string {
  if (high < 1) return 'under 1 s'
  const [unit, by] =
    high >= 7200 ? (['h', 3600] as const) : high >= 120 ? (['min', 60] as const) : (['s', 1] as const)
  const show = (n: number) => (n < 9.95 ? tenths(Math.round(n * 10) / 10) : String(Math.round(n)))
  return `${show(low / by)} to ${show(high / by)} ${unit}`
}

/** A moment for people, in UTC: `2026-11-30 07:12 UTC`. */
export const moment = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`

/** A number of bytes for people. */
function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`
}

/** A cell of a generic table, by the name of its column. */
export function cell(value: string | number | boolean | null, column: string): string {
  if (value === null) return '-'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number') return /bytes$/.test(column) ? bytes(value) : number(value)
  return value
}
