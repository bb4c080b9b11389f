/**
 * A number with its thousands marked. By hand: Intl costs 20 ms at start-up, more than
 * a run with nothing to do.
 */
export const number = (n: number): string => {
  const [whole, part] = String(n).split('.') as [string, string?]
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (part ? `.${part}` : '')
}

/** Verbs of several things, as they are of one. */
const ofOne: Record<string, string> = { are: 'is', do: 'does', have: 'has', pass: 'passes', were: 'was' }

/** The verb of so many things, which is given as that of several: `is` of 1, else `are`. */
export const agreeing = (n: number, verb: string): string => (n === 1 ? (ofOne[verb] ?? `${verb}s`) : verb)

/**
 * A number of things, each in the right form of its word, and of the verb that follows: `1 row is`,
 * `2,000 rows are`.
 */
export const plural = (n: number, word: string, verb?: string): string =>
  `${number(n)} ${word}${n === 1 ? '' : 's'}${verb === undefined ? '' : ` ${agreeing(n, verb)}`}`
