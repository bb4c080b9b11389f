import { Failures, UsageError } from './failure.js'
import type { Finding } from './report.js'
import { nearest } from './similar.js'

/**
 * What commander gives for a flag: its text, the texts of a repeated one, true or false for a flag without a
 * text, undefined where it is absent.
 */
export type Typed = string | boolean | string[] | undefined

/** One option of a command: how it is written, its help, and how what was typed becomes a value. */
export interface Option<T> {
  /** In commander's notation, such as `--workers <n>`. */
  readonly flags: string
  readonly help: string
  /** True for an option that may be given more than once. */
  readonly repeated?: boolean
  /** Throws UsageError, which names the flag and what it wants. */
  readonly read: (typed: Typed) => T
}

/** Options by the names that the code has for them. */
export type Options = Record<string, Option<unknown>>

/** The values of some options. */
export type Values<O extends Options> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never }

/** The long name of a flag, without its short one and the name of its value. */
export const flagOf = (flags: string): string => /--[\w-]+/.exec(flags)![0]

/** Name by which commander keeps a flag: `--lock-wait` is `lockWait`, `--no-color` is `color`. */
export const attributeOf = (flags: string): string =>
  flagOf(flags)
    .replace(/^--(no-)?/, '')
    .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

/** An option whose value is read from a text; `otherwise` is its value where it is absent. */
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
  new UsageError(`${flagOf(flags)} ${text}`, `it wants ${wants}`)

/** A number within bounds. Throws UsageError with `wants` where the text is none. */
function numberOf(flags: string, text: string, wants: string, fits: (n: number) => boolean): number {
  const n = text.trim() === '' ? Number.NaN : Number(text)
  if (!fits(n)) throw wrong(flags, text, wants)
  return n
}

/** A switch: true where it is given. One that is written `--no-...` is true where it is not given. */
export const flag = (flags: string, help: string): Option<boolean> => ({
  flags,
  help,
  read: typed => typed === true,
})

/** Any text; null where it is absent. */
export const text = (flags: string, help: string): Option<string | null> =>
  valued(flags, help, null, typed => typed)

/** A text that `parse` makes a value of; null where it is absent. */
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

/** Several of some words, separated by commas; none where it is absent. */
export const choices = <const V extends string>(
  flags: string,
  help: string,
  known: readonly V[],
): Option<V[]> =>
  valued(flags, help, [] as V[], typed => splitAtCommas(typed).map(part => oneOf(flagOf(flags), part, known)))

/** Several texts, separated by commas; empty where it is absent. */
export const list = (flags: string, help: string): Option<string[]> =>
  valued(flags, help, [] as string[], splitAtCommas)

/** Any texts, one for each time that it is given. */
export const repeated = (flags: string, help: string): Option<string[]> => ({
  flags,
  help,
  repeated: true,
  read: typed => (Array.isArray(typed) ? typed : []),
})

/** Several of some words, one of which may say how many it is for, as `WORD=9`. */
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

/** The parts of a text between commas, blanks around them cut off, empty ones left out. */
export const splitAtCommas = (typed: string): string[] =>
  typed
    .split(',')
    .map(part => part.trim())
    .filter(Boolean)

/** The word as one of those that a flag takes. Throws UsageError with what was probably meant. */
export function oneOf<V extends string>(flag: string, word: string, known: readonly V[]): V {
  const found = known.find(k => k === word)
  if (found !== undefined) return found
  const meant = nearest(word, known)
  throw new UsageError(`${flag} ${word}`, 'it is not one of its values', {
    known: [...known],
    meant: meant && `${flag} ${meant}`,
  })
}

/** The values of what was typed. Throws Failures with every option that is wrong, not only with the first. */
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
