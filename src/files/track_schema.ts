import { nameSchemas } from './name_schemas.js'

/** What a filter may be called: it is a flag too. */
export const filterName = /^[a-z][a-z0-9_]*$/

/** What the parts are made with. */
type Zod = typeof import('./zod.js')
type NameSchemas = Awaited<ReturnType<typeof nameSchemas>>

/** The shape of `track.json`: `TrackInfo`. Loads zod, so only for whoever reads one. */
export async function trackSchema() {
  const z = await import('./zod.js')
  const names = await nameSchemas()
  const { table, column } = names
  return z.strictObject({
    title: z.string(),
    for: z.string(),
    sessions: sessionsSchema(z, names),
    messages: z.optional(messagesSchema(z, names)),
    filters: z.optional(
      z.record(z.string().check(z.regex(filterName, 'a filter is lower_case')), filterSchema(z, names)),
    ),
    settings: z.optional(z.record(z.string(), settingSchema(z))),
    shapes: z.optional(z.array(z.strictObject({ table, what: z.string(), is: z.string() }))),
    elements: z.optional(elementsSchema(z, names)),
    persona: z.strictObject({ claim: z.string(), of: column }),
    reads: z.optional(readsSchema(z)),
    typed: z.optional(z.record(z.string(), z.array(z.string()))),
    roles: z.optional(z.record(z.string(), roleSchema(z, names))),
    probes: z.optional(
      z.record(z.string().check(z.regex(/^[0-9a-f]$/, 'the first letter of an id')), z.string()),
    ),
    sight: z.optional(sightSchema(z, names)),
  })
}

const sessionsSchema = (z: Zod, { plain: name, table }: NameSchemas) =>
  z.strictObject({
    table,
    id: name,
    active: name,
    started: z.optional(name),
    title: z.optional(name),
    workspace: z.optional(name),
    status: z.optional(name),
    archivedStatus: z.optional(name),
    ended: z.optional(name),
    deleted: z.optional(name),
    history: z.optional(name),
    with: z.optional(
      z.array(z.strictObject({ table, on: name, as: name, columns: z.array(name).check(z.minLength(1)) })),
    ),
  })

const messagesSchema = (z: Zod, { plain: name, table }: NameSchemas) =>
  z.strictObject({
    table,
    session: name,
    to: z.optional(name),
    role: z.optional(z.union([name, z.array(name).check(z.minLength(1))])),
    content: name,
    created: name,
  })

const filterSchema = (z: Zod, { plain: name }: NameSchemas) =>
  z.strictObject({
    column: name,
    help: z.string(),
    values: z.optional(z.array(z.string()).check(z.minLength(1))),
    default: z.optional(z.array(z.string()).check(z.minLength(1))),
  })

const settingSchema = (z: Zod) =>
  z.strictObject({
    help: z.string(),
    default: z.nullable(z.string()),
    values: z.optional(z.array(z.string())),
    pattern: z.optional(z.string()),
  })

const elementsSchema = (z: Zod, { plain: name, table }: NameSchemas) =>
  z.strictObject({
    table,
    column: name,
    unreadable: table,
    place: table,
    nested: table,
    list: table,
    read: table,
    roles: z.optional(z.array(z.string())),
  })

function readsSchema(z: Zod) {
  const reads = z.optional(z.string().check(z.regex(/\{\}/, 'SQL with {} for the column')))
  return z.strictObject({ role: reads, content: reads, created: reads })
}

function roleSchema(z: Zod, { plain: name, table, column }: NameSchemas) {
  const called = z.optional(z.array(z.string()))
  const alone = z.strictObject({
    without: z.string(),
    functions: z.optional(z.array(table)),
    unit: z.optional(name),
  })
  return z.strictObject({
    called,
    columns: z.record(
      z.string(),
      z.strictObject({
        of: z.optional(z.string()),
        called,
        words: z.optional(z.record(z.string(), z.array(z.string()))),
        nullable: z.optional(z.boolean()),
        needed: z.optional(z.string()),
        optional: z.optional(
          z.strictObject({
            without: z.string(),
            instead: z.optional(name),
            value: z.optional(z.string()),
            alone: z.optional(z.array(column)),
          }),
        ),
      }),
    ),
    optional: z.optional(z.union([alone, z.strictObject({ with: z.string() })])),
  })
}

function sightSchema(z: Zod, { plain: name, table, column }: NameSchemas) {
  const rows = z.strictObject({ table, id: name })
  return z.strictObject({
    persons: column,
    rows: z.array(z.strictObject({ before: rows, after: rows })),
  })
}
