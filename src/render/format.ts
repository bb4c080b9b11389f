import { stripVTControlCharacters } from 'node:util'

/** Milliseconds as people say them. */
export function duration(ms: number | null): string {
  if (ms === null) return ''
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** Bytes as people say them. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`
}

/** A number with its thousands marked. By hand: Intl costs 20 ms at start-up, more than a run with nothing to do. */
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

/** An emoji, with all that belongs to it: flags, families, a heart that is told to be red. */
// biome-ignore lint/complexity/useRegexLiterals: the flag is newer than the language that the files are checked against
const emoji = new RegExp('\\p{RGI_Emoji}', 'gv')
/** What takes two columns on a terminal: the wide characters of East Asian scripts. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u3247\u3250-\u4dbf\u4e00-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/gu
/** What takes none: control characters, and marks that only change the character before. */
const zero = /\p{Mark}|\p{Cf}|\p{Cc}/gu

/** How many columns of a terminal a line takes. */
export function columns(line: string): number {
  const text = line.includes('\u001b') ? stripVTControlCharacters(line) : line
  if (/^[ -~]*$/.test(text)) return text.length
  const shown = text.replace(emoji, '  ').replace(zero, '')
  return [...shown].length + (shown.match(wide)?.length ?? 0)
}
