import { Failures, UsageError } from './failure.js'
import type { Finding } from './report.js'
import { nearest } from './similar.js'

/**
 * The value that commander gives for a flag: a text, the texts of a repeated flag, a boolean for a flag
 * without a value, undefined if it was not given.
 */
export type Typed = string | boolean | string[] | undefined

/** An option of a command: its flag, its help, and how to read its value. */
export interface Option<T> {
  /** In commander's notation, such as `--workers <n>`. */
  readonly flags: string
  readonly help: string
  /** True for an option that may be given more than once. */
  readonly repeated?: boolean
  /** Throws UsageError with the flag and what it accepts. */
  readonly read: (typed: Typed) => T
}

/** Options by their names in the code. */
export type Options = Record<string, Option<unknown>>

/** The values of some options. */
export type Values<O extends Options> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never }

/** The long form of a flag, without its short form and value. */
export const flagOf = (flags: string): string => /--[\w-]+/.exec(flags)![0]

/** The name under which commander stores a flag: `--lock-wait` is `lockWait`, `--no-color` is `color`. */
export const attributeOf = (flags: string): string =>
  flagOf(flags)
    .replace(/^--(no-)?/, '')
    .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

/** An option with a text value. `otherwise` is the value if it is not given. */
const valued = <T, D>(
  flags: string,
  help: string,
  otherwise: D,
  parse: (text: string) => T,
): Option<T | D> => ({
  flags,
  help,
  read: typed => (typeof typed === 'string' ? parse(typed) : otherwise),
})

const wrong = (flags: string, text: string, wants: string): UsageError =>
  new UsageError(`${flagOf(flags)} ${text}`, `it takes ${wants}`)

/** Reads a number within bounds. Throws UsageError with `wants` if the text is none. */
function numberOf(flags: string, text: string, wants: string, fits: (n: number) => boolean): number {
  const n = text.trim() === '' ? Number.NaN : Number(text)
  if (!fits(n)) throw wrong(flags, text, wants)
  return n
}

/** A switch, true if it is given. A flag `--no-...` is true if it is not given. */
export const flag = (flags: string, help: string): Option<boolean> => ({
  flags,
  help,
  read: typed => typed === true,
})

/** Any text; null if it is not given. */
export const text = (flags: string, help: string): Option<string | null> =>
  valued(flags, help, null, typed => typed)

/** A text that `parse` converts; null if it is not given. */
export const optionOfText = <T>(flags: string, help: string, parse: (text: string) => T): Option<T | null> =>
  valued(flags, help, null, parse)

/** A whole number from 1. */
export const count = <D extends number | null = null>(
  flags: string,
  help: string,
  otherwise: D = null as D,
): Option<number | D> =>
  valued(flags, help, otherwise, typed =>
    numberOf(flags, typed, 'a whole number from 1', n => Number.isInteger(n) && n >= 1),
  )

/** Seconds, from 0. */
export const seconds = (flags: string, help: string, otherwise: number): Option<number> =>
  valued(flags, help, otherwise, typed =>
    numberOf(flags, typed, 'seconds', n => n >= 0 && Number.isFinite(n)),
  )

/** A number from 0 to `most`. */
export const factor = (flags: string, help: string, most: number, otherwise: number): Option<number> =>
  valued(flags, help, otherwise, typed =>
    numberOf(flags, typed, `a number from 0 to ${most}`, n => n >= 0 && n <= most),
  )

/** One of some words. */
export const choice = <const V extends string, const D extends V | null = null>(
  flags: string,
  help: string,
  known: readonly V[],
  otherwise: D = null as D,
): Option<V | D> => valued(flags, help, otherwise, typed => oneOf(flagOf(flags), typed, known))

/** Several of some words, separated by commas. Empty if it is not given. */
export const choices = <const V extends string>(
  flags: string,
  help: string,
  known: readonly V[],
): Option<V[]> =>
  valued(flags, help, [] as V[], typed => splitAtCommas(typed).map(part => oneOf(flagOf(flags), part, known)))

/** Several texts, separated by commas. Empty if it is not given. */
export const list = (flags: string, help: string): Option<string[]> =>
  valued(flags, help, [] as string[], splitAtCommas)

/** Any text. The flag can be repeated. */
export const repeated = (flags: string, help: string): Option<string[]> => ({
  flags,
  help,
  repeated: true,
  read: typed => (Array.isArray(typed) ? typed : []),
})

/** Several of some words. One of them may have a number, as `WORD=9`. */
export const counted = <const V extends string>(
  flags: string,
  help: string,
  known: readonly V[],
  withCount: NoInfer<V>,
): Option<{ words: V[]; most: number | null }> =>
  valued(flags, help, { words: [] as V[], most: null as number | null }, typed => {
    let most: number | null = null
    const words = splitAtCommas(typed).map(part => {
      const [, word, n] = /^([^=]*)=(.*)$/.exec(part) ?? [null, part, null]
      if (n === null || word !== withCount) return oneOf(flagOf(flags), part, known)
      most = numberOf(flags, n!, `a number of rows after ${withCount}=`, x => Number.isInteger(x) && x >= 0)
      return withCount
    })
    return { words, most }
  })

/** Splits a text at commas. Removes blanks around the parts, and empty parts. */
export const splitAtCommas = (typed: string): string[] =>
  typed
    .split(',')
    .map(part => part.trim())
    .filter(Boolean)

/** The word, if it is one of the known ones. Throws UsageError with the likely intention. */
export function oneOf<V extends string>(flag: string, word: string, known: readonly V[]): V {
  const found = known.find(k => k === word)
  if (found !== undefined) return found
  const meant = nearest(word, known)
  throw new UsageError(`${flag} ${word}`, 'it is not one of its values', {
    known: [...known],
    meant: meant && `${flag} ${meant}`,
  })
}

/** Reads the values of the options. Throws Failures with all options that are wrong. */
export function readOptions<O extends Options>(options: O, typed: Record<string, Typed>): Values<O> {
  const faults: Finding[] = []
  const values: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(options)) {
    try {
      values[name] = option.read(typed[attributeOf(option.flags)])
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      faults.push(error.finding)
    }
  }
  if (faults.length > 0) throw new Failures(faults)
  return values as Values<O>
}
