import type { Code } from '../../model/codes.js'
import type { Facts } from '../../model/facts.js'

/** What a finding says: one sentence, and the command or SQL that fixes it, where there is one. */
export interface Words<C extends Code> {
  message: (subject: string, facts: Facts[C]) => string
  fix: ((subject: string, facts: Facts[C]) => string | null) | null
}

/** Words by code, each with the facts of its own. */
export type WordsOf<C extends Code> = { [K in C]: Words<K> }

/** Some of the words: one file of them. */
export type Group = Partial<WordsOf<Code>>

/** The words of one code. */
export const say = <C extends Code>(message: Words<C>['message'], fix: Words<C>['fix'] = null): Words<C> => ({
  message,
  fix,
})

/**
 * A text with values in it. It takes no value that may be null or undefined, so that no sentence can show
 * one.
 */
export const sentence = (parts: TemplateStringsArray, ...values: (string | number)[]): string =>
  parts.map((part, i) => part + (values[i] ?? '')).join('')

/** Names in a row. */
export const listed = (names: string[]): string => names.join(', ')

/** Names below each other. */
export const bullets = (names: string[]): string => names.map(name => `\n    ${name}`).join('')

/** A line of a file with a caret below its column. */
export const caret = (excerpt: string, column: number | null): string =>
  sentence`\n    ${excerpt}\n    ${' '.repeat(Math.max(0, (column ?? 1) - 1))}^`

/** Why a statement is let through, in the words of its file. */
export const excused = (facts: { excused: string | null }): string =>
  facts.excused === null ? '' : ` (excused: ${facts.excused})`
