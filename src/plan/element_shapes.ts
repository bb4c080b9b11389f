import { personWords } from '../adapt/read_values.js'
import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { isDataFault } from '../database/faults.js'
import { missingObjects } from '../database/requirements.sql.js'
import { readAside } from '../database/scopes.js'
import { definedFunction } from '../files/function_bodies.js'
import { statementsOrNone } from '../files/statements.js'
import { readTrackInfo } from '../files/track_info.js'
import type { ElementReaders } from '../model/element_readers.js'
import type { Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { partText } from '../model/table_name.js'
import {
  type FunctionBody,
  type Outcome,
  type ReaderBodies,
  type SeenElements,
  seeElements,
} from './element_shapes.sql.js'

/** Most elements whose structure is shown. */
const mostExamples = 10
/** Most keys of an object, and levels, that a structure shows. */
const mostKeys = 20
const mostLevels = 5
/** Keys that may belong to a format. Other keys may be ids or words of a user and are not shown. */
const formatKey = /^[A-Za-z_][A-Za-z_]{0,30}$/

/**
 * The shapes of a track's elements, with the number of elements of each and how many would have no text.
 */
export interface ElementShapes {
  table: Table
  /** ELEMENTS_SET_ASIDE if some elements cannot be messages. */
  findings: Finding[]
}

/**
 * Counts the shapes of the messages that a track reads from a JSON column, as its migrations would read
 * them. Null if the track reads none or its table no longer exists.
 */
export async function elementShapes(
  ctx: Context,
  connection: Connection,
  track: Track,
): Promise<ElementShapes | null> {
  const seen = await look(ctx, connection, track, false)
  if (!seen || seen.counts.length === 0) return null
  const { readers, counts } = seen
  const shapes = [...new Set(counts.map(c => c.shape))]
  const number = (shape: string, outcome: Outcome) =>
    counts.find(c => c.shape === shape && c.outcome === outcome)?.elements ?? 0
  const rows = shapes.map(shape => {
    const [text, blank, aside] = [number(shape, 'text'), number(shape, 'no text'), number(shape, 'set aside')]
    return [shape, text + blank + aside, text, blank, aside]
  })
  const aside = counts.filter(c => c.outcome === 'set aside')
  return {
    table: {
      title: `Shapes of messages in ${columnRead(readers)}, of ${lookedAt(seen)}`,
      columns: ['shape', 'elements', 'with text', 'without text', 'set aside'],
      rows,
    },
    findings:
      aside.length > 0
        ? [
            finding('ELEMENTS_SET_ASIDE', columnRead(readers), {
              elements: aside.reduce((sum, c) => sum + c.elements, 0),
              of: counts.reduce((sum, c) => sum + c.elements, 0),
              shapes: aside.map(c => c.shape) as [string, ...string[]],
              roles: [...new Set(aside.flatMap(c => c.unknown ?? []))].map(
                role => `${role}=${personWords.test(role) ? 'user' : 'assistant'}`,
              ),
            }),
          ]
        : [],
  }
}

/**
 * The structure of up to ten elements. Those that cannot be messages, or would have no text, come first.
 * Shows keys and types, never a value.
 */
export async function elementStructures(
  ctx: Context,
  connection: Connection,
  track: Track,
): Promise<Table | null> {
  const seen = await look(ctx, connection, track, true)
  if (!seen || seen.counts.length === 0) return null
  const order: Outcome[] = ['set aside', 'no text', 'text']
  const examples = order.flatMap(outcome =>
    seen.counts.filter(c => c.outcome === outcome && c.example !== null),
  )
  return {
    title: `Elements of ${columnRead(seen.readers)} by structure`,
    columns: ['shape', 'becomes', 'structure'],
    rows: examples
      .slice(0, mostExamples)
      .map(c => [c.shape, outcomeWords[c.outcome], structureOf(c.example)]),
  }
}

const outcomeWords: Record<Outcome, string> = {
  text: 'a message',
  'no text': 'a message without text',
  'set aside': 'set aside',
}

const columnRead = ({ table, column }: ElementReaders): string =>
  `${table.replace(/^public\./, '')}.${column}`

const lookedAt = ({ rows, all }: SeenElements): string =>
  all ? `all ${rows} rows` : `the first ${rows} rows`

/** The keys and types of a value. It shows no value, and no key that may be data. */
export function structureOf(value: unknown, level = 0): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  if (level === mostLevels) return Array.isArray(value) ? '[...]' : '{...}'
  if (Array.isArray(value)) return `[${[...new Set(value.map(v => structureOf(v, level + 1)))].join(' | ')}]`
  const entries = Object.entries(value)
  const known = entries.filter(([key]) => formatKey.test(key)).slice(0, mostKeys)
  const parts = known.map(([key, v]) => `${key}: ${structureOf(v, level + 1)}`)
  return `{${[...parts, ...(known.length < entries.length ? ['...'] : [])].join(', ')}}`
}

/** Types whose values can be read as JSON. Other types are refused by another check. */
const readable = 'jsonb|json|text|character varying'

/** Reads the track's elements. Null if a value cannot be read or the query takes too long. */
async function look(
  ctx: Context,
  connection: Connection,
  track: Track,
  withExamples: boolean,
): Promise<(SeenElements & { readers: ElementReaders }) | null> {
  const readers = (await readTrackInfo(track)).info?.elements
  if (!readers) return null
  const column = `column ${readers.table}.${partText(readers.column)} ${readable}`
  if ((await missingObjects(connection.sql, [column])).length > 0) return null
  const bodies = await bodiesOfReaders(track, readers)
  if (!bodies) return null
  try {
    const seen = await readAside(connection.sql, tx =>
      seeElements(
        tx,
        {
          ...readers,
          bodies,
          roles: rolesKnown(ctx, readers),
          textsHaveRoles: Boolean(ctx.settings.text_roles),
        },
        withExamples,
      ),
    )
    return seen && { ...seen, readers }
  } catch (error) {
    if (!isDataFault(error)) throw error
    return null
  }
}

/** The roles that the track knows, and those that its setting adds; null if it knows all. */
const rolesKnown = ({ settings }: Context, { roles }: ElementReaders): string[] | null =>
  roles === undefined
    ? null
    : [
        ...roles,
        ...(settings.role_map ?? '')
          .split(',')
          .flatMap(pair => pair.split('=')[0]!.trim().toLowerCase() || []),
      ]

/** The bodies of the functions that read elements, taken from the migrations. Null if one is missing. */
async function bodiesOfReaders(track: Track, readers: ElementReaders): Promise<ReaderBodies | null> {
  const found = new Map<string, FunctionBody>()
  for (const m of track.migrations)
    for (const s of await statementsOrNone(m.file.text)) {
      const defined = definedFunction(s)
      if (defined) found.set(defined.name, defined)
    }
  const of = (name: string) => found.get(name)
  const [unreadable, place, nested, list, read] = [
    of(readers.unreadable),
    of(readers.place),
    of(readers.nested),
    of(readers.list),
    of(readers.read),
  ]
  return unreadable && place && nested && list && read ? { unreadable, place, nested, list, read } : null
}
