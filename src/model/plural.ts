/**
 * A number with thousands separators. Not by Intl, which takes 20 ms to load: more than a run with nothing to
 * do.
 */
export const number = (n: number): string => {
  const [whole, part] = String(n).split('.') as [string, string?]
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (part ? `.${part}` : '')
}

/** Irregular verbs: plural form to singular form. */
const ofOne: Record<string, string> = { are: 'is', do: 'does', have: 'has', pass: 'passes', were: 'was' }

/** The verb for `n` things. `verb` is the plural form: `is` for 1, else `are`. */
export const agreeing = (n: number, verb: string): string => (n === 1 ? (ofOne[verb] ?? `${verb}s`) : verb)

/** A number of things, and optionally a verb, with matching forms: `1 row is`, `2,000 rows are`. */
export const plural = (n: number, word: string, verb?: string): string =>
  `${number(n)} ${word}${n === 1 ? '' : 's'}${verb === undefined ? '' : ` ${agreeing(n, verb)}`}`
