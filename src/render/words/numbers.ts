/** Milliseconds as people say them. */
export function duration(ms: number | null): string {
  if (ms === null) return ''
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** Bytes as people say them. */
function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`
}

/**
 * A number with its thousands marked. By hand: Intl costs 20 ms at start-up, more than
 * a run with nothing to do.
 */
export const number = (n: number): string => {
  const [whole, part] = String(n).split('.') as [string, string?]
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (part ? `.${part}` : '')
}

/** A cell of a generic table, by the name of its column. */
export function cell(value: string | number | boolean | null, column: string): string {
  if (value === null) return '-'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number') return /bytes$/.test(column) ? bytes(value) : number(value)
  return value
}
