import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'
import { UsageError } from '../model/failure.js'
import type { TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { type SeenValues, seenValues } from './application_tables.sql.js'
import type { FittedColumn } from './fit_columns.js'
import type { Proposal, ProposedBinding } from './propose.js'
import { holdsCodes, isoTime, needsUnit, readCodes, timeUnits, unitOfTimes } from './value_forms.js'

/** What is known about the values of columns, and what a person must declare. */
interface ReadValues {
  /** By role. */
  known: Record<string, string>
  bindings: ProposedBinding[]
}

/**
 * Reads a sample of rows to find the meaning of columns whose values are not of the track's kind: times as
 * numbers or text, and roles as numbers. Throws USAGE for a declaration that no row confirms.
 */
export async function readValues(
  sql: Root,
  proposal: Proposal,
  info: TrackInfo,
  given: Record<string, string>,
): Promise<ReadValues> {
  const known: Record<string, string> = {}
  const bindings: ProposedBinding[] = []
  const asked = new Set(Object.keys(given))
  for (const [entity, table] of proposal.tables)
    for (const fitted of proposal.columns.get(entity)!) {
      const role = `${entity}.${fitted.want.column}`
      const kind = kindOf(role, fitted, info)
      asked.delete(role)
      if (kind === null) {
        if (given[role] !== undefined) throw new UsageError(`--map-values ${role}`, 'it is read as it is')
        continue
      }
      const seen = await readAside(sql, tx => seenValues(tx, table.table, fitted.column!.column, isoTime))
      const words = roleWordsOf(role, info)
      if (kind === 'word' && given[role] === undefined && !areOtherWords(seen, fitted.column!.base, words))
        continue
      const found =
        kind === 'time'
          ? unitSeen(seen, fitted.column!.base)
          : kind === 'word'
            ? wordsSeen(seen, words)
            : null
      const said = given[role] ?? found
      if (said !== null) known[role] = said
      if (given[role] !== undefined) judge(role, given[role], kind, fitted.column!.base, seen)
      bindings.push({
        role: `values of ${role}`,
        label: role,
        to: said,
        confidence:
          said === null
            ? 'open'
            : kind === 'word' && given[role] === undefined && !isSameWord(said, words)
              ? 'likely'
              : 'certain',
        because: given[role] === undefined ? why(kind, fitted.column!.base, seen, words) : 'as you said',
        rivals: [],
        renamed: false,
        isOfValues: true,
      })
    }
  const [stray] = asked
  if (stray !== undefined) throw new UsageError(`--map-values ${stray}`, 'the track has no such column')
  return { known, bindings }
}

/** A time, a role as a code, or a role as a word, which may differ from the track's. */
type ValueKind = 'time' | 'code' | 'word'

/** What applications call a person who writes. */
export const personWords = /user|human|person|people|client|customer|visitor|member|guest|inbound|incoming/i

/** Two values of a column of roles: first the one that sounds like a person's, if one alone does. */
const personFirst = (one: string, other: string): [string, string] =>
  personWords.test(other) && !personWords.test(one) ? [other, one] : [one, other]

/** A column with more distinct words than this holds no roles. */
const manyWords = 6

/** Usual words for what a track knows as the values of a column, by its own words. */
type RoleWords = Record<string, string[]>

/** Those for who says a message. */
const usualWords: RoleWords = {
  user: ['human', 'customer', 'client', 'visitor', 'guest', 'member'],
  assistant: ['ai', 'bot', 'model', 'agent'],
  system: ['developer'],
}

/** The words for a column of roles. Null for any other column. */
function roleWordsOf(role: string, { messages, roles }: TrackInfo): RoleWords | null {
  if (messages && role === `${namesIn(messages.table)!.at(-1)}.${messages.role}`) return usualWords
  const [entity, column] = role.split('.') as [string, string]
  return roles?.[entity]?.columns[column]?.words ?? null
}

const isPlainText = (base: string): boolean => /^(text|character varying|(.*\.)?citext)$/.test(base)

/**
 * True for a few words that are all unknown to the track. Its probes could not write their own words there.
 * Of an enum or a CHECK that lists words, other than those of messages, some word that it lacks is enough.
 */
function areOtherWords(seen: SeenValues | null, base: string, words: RoleWords | null): boolean {
  if (!seen || seen.some.length === 0 || seen.some.length > manyWords) return false
  const isOpen = isPlainText(base) && !seen.closed
  const has = (word: string) => seen.some.some(value => (isOpen ? value.toLowerCase() : value) === word)
  if (words === usualWords) return !has('user')
  return !isOpen && !Object.keys(words ?? {}).every(has)
}

/** True if the user's role, or every role of a membership, has the track's name, apart from capitals. */
const isSameWord = (said: string, words: RoleWords | null): boolean =>
  words === usualWords
    ? /(^|,)user:user(,|$)/i.test(said)
    : said.split(',').every(pair => /^(.+):\1$/i.test(pair))

/** The meaning of usual words. Null unless every role has exactly one. */
function wordsSeen(seen: SeenValues | null, words: RoleWords | null): string | null {
  const pairs = Object.entries(words ?? {}).flatMap(([role, usual]) => {
    const called = (word: string) => seen?.some.find(value => value.toLowerCase() === word)
    const word = [role, ...usual].map(called).find(found => found !== undefined)
    return word === undefined ? [] : `${word}:${role}`
  })
  return pairs.length > 0 ? pairs.join(',') : null
}

/**
 * The kind of values of a column that a person may have to explain. Null if the track reads them as they are.
 */
function kindOf(role: string, { want, column }: FittedColumn, info: TrackInfo): ValueKind | null {
  if (!column) return null
  if (want.types.includes('timestamptz')) return needsUnit(column.base) ? 'time' : null
  return roleWordsOf(role, info) ? (holdsCodes(column.base) ? 'code' : 'word') : null
}

function unitSeen(seen: SeenValues | null, base: string): string | null {
  if (!seen || seen.rows === 0) return null
  if (/^(text|character varying)$/.test(base)) return seen.iso ? 'iso' : null
  return seen.largest === null ? null : unitOfTimes(seen.largest)
}

const meaning: Record<string, string> = {
  s: 'seconds since 1970',
  ms: 'milliseconds since 1970',
  us: 'microseconds since 1970',
  iso: 'times in ISO form',
}

function why(kind: ValueKind, base: string, seen: SeenValues | null, words: RoleWords | null): string {
  const holds =
    seen && seen.some.length > 0
      ? `it is ${base} and holds ${seen.some
          .slice(0, 3)
          .map(v => v || "''")
          .join(', ')}`
      : `it is ${base}`
  if (kind !== 'time') {
    const [first, second] = (seen?.some ?? []).map(v => v || "''")
    const such =
      second !== undefined ? personFirst(first!, second) : first === "''" ? [first, 'bot'] : ['0', '1']
    const [one, other] = words === usualWords ? ['user', 'assistant'] : Object.keys(words!)
    const found = kind === 'word' && words !== usualWords ? wordsSeen(seen, words) : null
    return `${holds}: say which role each is, such as ${found ?? `${such[0]}:${one},${such[1]}:${other}`}`
  }
  const unit = unitSeen(seen, base)
  return unit === null ? `${holds}: say whether they are s, ms, us or iso` : `its values are ${meaning[unit]}`
}

function judge(role: string, said: string, kind: ValueKind, base: string, seen: SeenValues | null): void {
  const fault = (reason: string) => new UsageError(`--map-values ${role}=${said}`, reason)
  if (kind === 'word') readCodes(role, said)
  else if (kind === 'code') {
    const codes = readCodes(role, said)
    const other = seen?.some.find(value => !codes.has(value))
    if (other !== undefined) throw fault(`the column holds ${other} too: say what it is`)
    const code = base === 'boolean' ? /^(true|false)$/ : /^-?\d+$/
    const strange = [...codes.keys()].find(c => !code.test(c))
    if (strange !== undefined) throw fault(`${strange} is no ${base}`)
  }
  if (kind !== 'time') return
  const isIso = /^(text|character varying)$/.test(base)
  if (!timeUnits.some(u => u === said) || (said === 'iso') !== isIso)
    throw fault(isIso ? 'a text holds times as iso' : 'a number holds times as s, ms or us')
  // a text that is no time counts as no time
  if (isIso && seen && seen.rows > 0 && !seen.someIso)
    throw fault('none of the values that were looked at is a time in ISO form')
}
