import { UsageError } from '../model/failure.js'
import type { ColumnBinding } from '../model/mapping.js'
import { quotedText } from '../model/table_name.js'
import type { CatalogColumn } from './bind.sql.js'

/** How to read and write a column whose type differs from the track's. */
export type ValueForm = Pick<ColumnBinding, 'reads' | 'writes'>

/** The units that `--map-values chats.created_at=ms` accepts for times that are numbers or text. */
export const timeUnits = ['s', 'ms', 'us', 'iso'] as const
/** One of them. */
export type TimeUnit = (typeof timeUnits)[number]

const isNumeric = /^(bigint|integer|numeric|double precision)$/
const isText = /^(text|character varying)$/

/** True for a type that holds times only in a unit that must be named. */
export const needsUnit = (base: string): boolean => isNumeric.test(base) || isText.test(base)

const perSecond: Record<'s' | 'ms' | 'us', number> = { s: 1, ms: 1000, us: 1_000_000 }

/** An ISO 8601 time as applications write it, as a regular expression. */
export const isoTime = String.raw`^\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d(:?\d\d)?)?)?\s*$`

/**
 * How to read and write a time that is no `timestamptz`: a timestamp or date in `zone`, a number in its unit,
 * or an ISO 8601 text. Null if it cannot be read. Then `requires` in the headers refuses it before anything
 * changes.
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
    // a text without a time zone is UTC; a text that is no time reads as null instead of failing
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

/** The unit of numbers of which this is the largest. Null if no unit makes it a time from 1990 to 2100. */
export function unitOfTimes(largest: number): TimeUnit | null {
  const units = ['s', 'ms', 'us'] as const
  const year = 31_556_952
  return units.find(u => largest / perSecond[u] > 20 * year && largest / perSecond[u] < 130 * year) ?? null
}

/**
 * Reads `0:user,1:assistant`; `''` is a text without characters. Throws USAGE for a code or word that occurs
 * twice.
 */
export function readCodes(role: string, all: string): Map<string, string> {
  const codes = new Map<string, string>()
  for (const pair of all.split(',')) {
    const [, said, word] = /^\s*([^:\s]+)\s*:\s*([^:\s]+)\s*$/.exec(pair) ?? []
    const code = said === "''" ? '' : said
    if (code === undefined || word === undefined || codes.has(code) || [...codes.values()].includes(word))
      throw new UsageError(`--map-values ${role}=${all}`, 'it looks like chats.role=0:user,1:assistant')
    codes.set(code, word)
  }
  return codes
}

/** True for integer types and numeric. */
export const isNumber = (base: string): boolean => /^(smallint|integer|bigint|numeric)$/.test(base)

/** True for numbers and booleans: as roles, their values are codes. */
export const holdsCodes = (base: string): boolean => isNumber(base) || base === 'boolean'

/** How to read codes as words. A text that has no entry stays as it is. */
export function codeForm(codes: ReadonlyMap<string, string>, base: string): ValueForm {
  const code = (text: string) => (isNumber(base) ? text : quotedText(text))
  const cases = (pairs: [string, string][]) => pairs.map(([a, b]) => ` when ${a} then ${b}`).join('')
  const list = [...codes]
  const written = new Map(list.map(([from, to]) => [to, from]))
  const rest = (expression: string) => (holdsCodes(base) ? '' : ` else ${expression}`)
  const words = cases([...written].map(([to, from]) => [quotedText(to), code(from)]))
  // `character` without a length would be one character; citext accepts any text
  const type = base === 'character' ? 'bpchar' : /citext$/.test(base) ? 'text' : base
  return {
    reads: `case {}${cases(list.map(([from, to]) => [code(from), quotedText(to)]))}${rest('({})::text')} end`,
    writes: `(select case w.said${words}${rest('w.said')} end from (select ({})::text) w (said))::${type}`,
  }
}

/** How to read JSON as text: a string as its content, any other value as its JSON. */
export const jsonTextForm = ({ base }: CatalogColumn): ValueForm => ({
  reads: '{} #>> array[]::text[]',
  writes: `to_jsonb(({})::text)${base === 'json' ? '::json' : ''}`,
})

/**
 * How to read bytes, such as encrypted ones, as text: those outside ASCII as octal numbers. Text is written
 * as its UTF-8.
 */
export const bytesForm: ValueForm = {
  reads: `encode({}, 'escape')`,
  writes: `convert_to(({})::text, 'UTF8')`,
}

/** How to read a list of texts as one text, and to write one: as a list with one entry. */
export const textListForm = ({ base }: CatalogColumn): ValueForm => ({
  reads: `array_to_string({}, ' ')`,
  writes: `array[({})::text]::${base}`,
})

/** True for a type of lists of texts. */
export const isTextList = (base: string): boolean => /^(text|character varying)\[\]$/.test(base)
