import { isUtf8 } from 'node:buffer'
import { readFileSync, statSync } from 'node:fs'
import { Failure, isSystemError, whyNotRead } from '../model/failure.js'
import { type DocumentColumn, mostSessionBytes, type SessionDocument } from '../model/session_document.js'
import { whereItStopped } from './json.js'
import { type RawValue, rawElements, rawMembers, rawValue } from './raw_json.js'

/** The value of `format`, the first member of a session's document. */
const format = 'rethread session 1'

/** Types whose values are JSON in the document. */
const isJson = (type: string): boolean => type === 'json' || type === 'jsonb'

/** Types whose values are numbers in the document. NaN and Infinity are strings. */
const holdsNumbers = (type: string): boolean =>
  /^(smallint|integer|bigint|numeric|real|double precision)\b/.test(type)

const jsonNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/** Characters that another program may write differently, but that a `json` column keeps. */
const respelled = /[^\u0020-\u007e]|##\[/

/**
 * A session as readable JSON. Values of JSON columns are JSON, numbers keep all digits, other values are the
 * server's text. `exact` has the text of values that this form would change: null in a JSON column, and the
 * spelling in a `json` column.
 */
export function writeSessionDocument(document: SessionDocument): string {
  const tables = document.tables.map(({ table, columns, rows }) => {
    const exact: string[] = []
    const lines = rows.map((row, n) => {
      const members = columns.map(({ name, type }, i) => {
        const text = row[i]!
        if (
          isJson(type) &&
          text !== null &&
          (text.trim() === 'null' || (type === 'json' && respelled.test(text)))
        )
          exact.push(`{"row": ${n}, "column": ${JSON.stringify(name)}, "text": ${JSON.stringify(text)}}`)
        return `${JSON.stringify(name)}: ${written(text, type)}`
      })
      return `{${members.join(', ')}}`
    })
    const types = columns.map(c => `${JSON.stringify(c.name)}: ${JSON.stringify(c.type)}`)
    const parts = [
      `"table": ${JSON.stringify(table)}`,
      `"columns": {${types.join(', ')}}`,
      `"rows": ${jsonArray(lines)}`,
      ...(exact.length > 0 ? [`"exact": ${jsonArray(exact)}`] : []),
    ]
    return `{${parts.join(', ')}}`
  })
  const { track, id } = document
  return `{"format": "${format}", "track": ${JSON.stringify(track)}, "id": ${JSON.stringify(id)}, "tables": ${jsonArray(tables)}}`
}

const jsonArray = (lines: string[]): string => (lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n]`)

function written(text: string | null, type: string): string {
  if (text === null) return 'null'
  if (isJson(type) || (holdsNumbers(type) && jsonNumber.test(text))) return text
  return type === 'boolean' ? String(text === 'true' || text === 't') : JSON.stringify(text)
}

/** Reads a session from a file. Throws BAD_SESSION_FILE with the fault and its place. */
export function readSessionFile(path: string): SessionDocument {
  const fault = (reason: string) => new Failure('BAD_SESSION_FILE', path, { reason })
  try {
    const there = statSync(path)
    if (!there.isFile()) throw fault('it is not a file')
    if (there.size > mostSessionBytes) throw fault(`it has more than ${mostSessionBytes / 2 ** 20} MiB`)
    const bytes = readFileSync(path)
    if (!isUtf8(bytes)) throw fault('it is not UTF-8')
    return parseSessionDocument(new TextDecoder().decode(bytes), path)
  } catch (error) {
    if (isSystemError(error)) throw fault(whyNotRead(error))
    throw error
  }
}

/**
 * Reads a session from a text that `writeSessionDocument` made, or from a report with it as `session`. Throws
 * BAD_SESSION_FILE with the path into the JSON. `where` names the file.
 */
export function parseSessionDocument(text: string, where: string): SessionDocument {
  const reader = new DocumentReader(text, where)
  try {
    JSON.parse(text)
  } catch (error) {
    // the parser's message quotes the text, which contains messages of users
    if (error instanceof SyntaxError) throw reader.fault('', `not JSON${whereItStopped(error.message)}`)
    throw error
  }
  return reader.document()
}

/** A value with its path for error messages. */
interface JsonPlace extends RawValue {
  path: string
}

class DocumentReader {
  constructor(
    private readonly text: string,
    private readonly where: string,
  ) {}

  fault(path: string, reason: string): Failure {
    return new Failure('BAD_SESSION_FILE', this.where, {
      reason: path === '' ? reason : `${path}: ${reason}`,
    })
  }

  document(): SessionDocument {
    const top = this.members({ ...rawValue(this.text, 0), path: '' })
    const session = top.get('session')
    const members = session === undefined ? top : this.members(session)
    const said = members.get('format')
    if (said === undefined || this.raw(said) !== JSON.stringify(format))
      throw this.fault('', 'it holds no session')
    this.onlyKnown(members, session?.path ?? '', ['format', 'track', 'id', 'tables'])
    const tables = this.elements(this.member(members, 'tables', session?.path ?? ''))
    if (tables.length === 0) throw this.fault('tables', 'there is none')
    return {
      track: this.string(this.member(members, 'track', '')),
      id: this.string(this.member(members, 'id', '')),
      tables: tables.map(place => this.table(place)),
    }
  }

  private table(place: JsonPlace): SessionDocument['tables'][number] {
    const members = this.members(place)
    this.onlyKnown(members, place.path, ['table', 'columns', 'rows', 'exact'])
    const columns = [...this.members(this.member(members, 'columns', place.path))].map(([name, type]) => ({
      name,
      type: this.string(type),
    }))
    const rows = this.elements(this.member(members, 'rows', place.path)).map(row => this.row(row, columns))
    const exact = members.get('exact')
    for (const one of exact ? this.elements(exact) : []) this.putExact(one, columns, rows)
    return { table: this.string(this.member(members, 'table', place.path)), columns, rows }
  }

  private row(place: JsonPlace, columns: DocumentColumn[]): (string | null)[] {
    const members = this.members(place)
    this.onlyKnown(
      members,
      place.path,
      columns.map(c => c.name),
    )
    return columns.map(({ name, type }) => this.value(this.member(members, name, place.path), type))
  }

  private value(place: JsonPlace, type: string): string | null {
    const raw = this.raw(place)
    if (raw === 'null') return null
    if (isJson(type)) return raw
    if (raw.startsWith('"')) return this.string(place)
    if (raw.startsWith('{') || raw.startsWith('['))
      throw this.fault(place.path, `a value of type ${type} is a text, a number, true, false or null`)
    return raw
  }

  /** Replaces values by their text from `exact`. */
  private putExact(place: JsonPlace, columns: DocumentColumn[], rows: (string | null)[][]): void {
    const members = this.members(place)
    this.onlyKnown(members, place.path, ['row', 'column', 'text'])
    const row = rows[Number(this.raw(this.member(members, 'row', place.path)))]
    const name = this.string(this.member(members, 'column', place.path))
    const column = columns.findIndex(c => c.name === name && isJson(c.type))
    if (row === undefined) throw this.fault(`${place.path}.row`, 'there is no such row')
    if (column < 0) throw this.fault(`${place.path}.column`, 'it is none of the JSON columns')
    row[column] = this.string(this.member(members, 'text', place.path))
  }

  private raw({ start, end }: RawValue): string {
    return this.text.slice(start, end)
  }

  private members(place: JsonPlace): Map<string, JsonPlace> {
    if (this.text[place.start] !== '{') throw this.fault(place.path, 'it is not an object')
    const found = new Map<string, JsonPlace>()
    for (const { name, value } of rawMembers(this.text, place.start)) {
      const path = place.path === '' ? name : `${place.path}.${name}`
      if (found.has(name)) throw this.fault(path, 'it is there twice')
      found.set(name, { ...value, path })
    }
    return found
  }

  private elements(place: JsonPlace): JsonPlace[] {
    if (this.text[place.start] !== '[') throw this.fault(place.path, 'it is not an array')
    return rawElements(this.text, place.start).map((value, i) => ({ ...value, path: `${place.path}[${i}]` }))
  }

  private member(members: Map<string, JsonPlace>, name: string, path: string): JsonPlace {
    const found = members.get(name)
    if (!found) throw this.fault(path === '' ? name : `${path}.${name}`, 'it is missing')
    return found
  }

  private onlyKnown(members: Map<string, JsonPlace>, path: string, known: string[]): void {
    const strange = [...members.keys()].find(name => !known.includes(name))
    if (strange !== undefined)
      throw this.fault(path, `\`${strange}\` is not known here (known: ${known.join(', ')})`)
  }

  /** A string that the server accepts: without NUL and without unpaired surrogates. */
  private string(place: JsonPlace): string {
    const raw = this.raw(place)
    if (!raw.startsWith('"')) throw this.fault(place.path, 'it is not a text')
    const text: string = JSON.parse(raw)
    if (text.includes('\0')) throw this.fault(place.path, 'it has a NUL, which PostgreSQL keeps in no text')
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text))
      throw this.fault(place.path, 'it has half of a surrogate pair, which is no character')
    return text
  }
}
