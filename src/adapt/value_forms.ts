import { UsageError } from '../model/failure.js'
import type { ColumnBinding } from '../model/mapping.js'
import { quotedText } from '../model/table_name.js'
import type { CatalogColumn } from './bind.sql.js'

/** How the track reads a column of another type than its own, and writes it. */
export type ValueForm = Pick<ColumnBinding, 'reads' | 'writes'>

/** What a person can say of times that are numbers or text: `--map-values chats.created_at=ms`. */
export const timeUnits = ['s', 'ms', 'us', 'iso'] as const
/** One of them. */
export type TimeUnit = (typeof timeUnits)[number]

const isNumeric = /^(bigint|integer|numeric|double precision)$/
const isText = /^(text|character varying)$/

/** True for a type that holds times only where somebody says how. */
export const needsUnit = (base: string): boolean => isNumeric.test(base) || isText.test(base)

const perSecond: Record<'s' | 'ms' | 'us', number> = { s: 1, ms: 1000, us: 1_000_000 }

/** A time in ISO form, as applications write it. */
export const isoTime = String.raw`^\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d(:?\d\d)?)?)?\s*$`

/**
 * How a time is read and written that is no `timestamptz`: one without a zone, or a date, in `zone`, a number
 * in its unit, a text in ISO form. Null for what can't be read: the headers' `requires` refuses it before
 * anything is changed.
 */
export function timeForm(base: string, zone: string | null, unit: TimeUnit | null): ValueForm | null {
  if (base === 'date')
    return zone === null
      ? null
      : {
          reads: `({})::timestamp at time zone '${zone}'`,
          writes: `(({})::timestamptz at time zone '${zone}')::date`,
        }
  if (base === 'timestamp without time zone')
    return zone === null
      ? null
      : { reads: `{} at time zone '${zone}'`, writes: `({})::timestamptz at time zone '${zone}'` }
  if (isNumeric.test(base) && unit !== null && unit !== 'iso') return epochForm(base, perSecond[unit])
  if (isText.test(base) && unit === 'iso')
    // a text without a zone is UTC, and one that is no time is null instead of a fault
    return {
      reads: `case when {} ~ '${isoTime}' then case when {} ~ '\\d\\d:\\d\\d.*(Z|[+-]\\d\\d(:?\\d\\d)?)\\s*$' then ({})::timestamptz else ({})::timestamp at time zone 'UTC' end end`,
      writes: `to_char(({})::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
    }
  return null
}

function epochForm(base: string, each: number): ValueForm {
  const scaled = each === 1 ? '{}' : `{} / ${each}.0`
  const whole = /^(bigint|integer)$/.test(base)
  const seconds = `extract(epoch from ({})::timestamptz)${each === 1 ? '' : ` * ${each}`}`
  return {
    reads: `to_timestamp((${scaled})::float8)`,
    writes: whole ? `floor(${seconds})::${base}` : `(${seconds})::${base}`,
  }
}

/** The unit of numbers of which this is the largest; null where none makes them times of our century. */
export function unitOfTimes(largest: number): TimeUnit | null {
  const units = ['s', 'ms', 'us'] as const
  const year = 31_556_952
  return units.find(u => largest / perSecond[u] > 20 * year && largest / perSecond[u] < 130 * year) ?? null
}

/** Reads `0:user,1:assistant`, or throws USAGE: each code and each word once. */
export function readCodes(role: string, said: string): Map<string, string> {
  const codes = new Map<string, string>()
  for (const pair of said.split(',')) {
    const [, code, word] = /^\s*([^:\s]+)\s*:\s*([^:\s]+)\s*$/.exec(pair) ?? []
    if (code === undefined || word === undefined || codes.has(code) || [...codes.values()].includes(word))
      throw new UsageError(`--map-values ${role}=${said}`, 'it looks like chats.role=0:user,1:assistant')
    codes.set(code, word)
  }
  return codes
}

/** True for a type of exact numbers: a whole one, or numeric. */
export const isNumber = (base: string): boolean => /^(smallint|integer|bigint|numeric)$/.test(base)

/** True for a column of numbers or of true and false: whatever it holds of a role is a code. */
export const holdsCodes = (base: string): boolean => isNumber(base) || base === 'boolean'

/**
 * How codes are read as the words that they mean. Of words for words, those that nobody has named stay
 * as they are.
 */
export function codeForm(codes: ReadonlyMap<string, string>, base: string): ValueForm {
  const code = (text: string) => (isNumber(base) ? text : quotedText(text))
  const cases = (pairs: [string, string][]) => pairs.map(([a, b]) => ` when ${a} then ${b}`).join('')
  const list = [...codes]
  const written = new Map(list.map(([from, to]) => [to, from]))
  const rest = (expression: string) => (holdsCodes(base) ? '' : ` else ${expression}`)
  const words = cases([...written].map(([to, from]) => [quotedText(to), code(from)]))
  // `character` alone would be one character; citext takes any text
  const type = base === 'character' ? 'bpchar' : /citext$/.test(base) ? 'text' : base
  return {
    reads: `case {}${cases(list.map(([from, to]) => [code(from), quotedText(to)]))}${rest('({})::text')} end`,
    writes: `(select case w.said${words}${rest('w.said')} end from (select ({})::text) w (said))::${type}`,
  }
}

/** How a text is read that is kept as JSON: a string of it as its text, anything else as it is written. */
export const jsonTextForm = ({ base }: CatalogColumn): ValueForm => ({
  reads: '{} #>> array[]::text[]',
  writes: `to_jsonb(({})::text)${base === 'json' ? '::json' : ''}`,
})
