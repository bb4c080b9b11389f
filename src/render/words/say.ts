import type { Code } from '../../model/codes.js'
import type { Facts } from '../../model/facts.js'
import { quotedText } from '../../model/table_name.js'
import { joinedLines } from '../escape.js'

/** The words of a finding: one sentence, and the command or SQL that fixes it, if there is one. */
export interface Words<C extends Code> {
  message: (subject: string, facts: Facts[C]) => string
  fix: ((subject: string, facts: Facts[C]) => string | null) | null
}

/** Words by code, each with the facts of its own. */
export type WordsOf<C extends Code> = { [K in C]: Words<K> }

/** The words of some codes, in one file. */
export type Group = Partial<WordsOf<Code>>

/** The words of one code. */
export const say = <C extends Code>(message: Words<C>['message'], fix: Words<C>['fix'] = null): Words<C> => ({
  message,
  fix,
})

/** A text with values. Its type excludes null and undefined, so that no sentence can show them. */
export const sentence = (parts: TemplateStringsArray, ...values: (string | number)[]): string =>
  parts.map((part, i) => part + (values[i] ?? '')).join('')

/** Names separated by commas. */
export const listed = (names: string[]): string => names.join(', ')

/** Names on lines of their own: a name with a line end does not begin another. */
export const bullets = (names: string[]): string => names.map(name => `\n    ${joinedLines(name)}`).join('')

/** A line of a file with a caret below its column. */
export const caret = (excerpt: string, column: number | null): string =>
  sentence`\n    ${excerpt}\n    ${' '.repeat(Math.max(0, (column ?? 1) - 1))}^`

/** The reason in the file for which a statement is excused. */
export const excused = (facts: { excused: string | null }): string =>
  facts.excused === null ? '' : ` (excused: ${facts.excused})`

/** What ends a prepared transaction, which has no session that could be ended. */
export const endPrepared = (gid: string): string =>
  sentence`rollback prepared ${quotedText(gid)};   if whoever prepared it has given it up, or commit prepared, which keeps what it wrote; then the same command.`
