import { type Access, operations } from '../model/project.js'
import { dottedText, namesIn } from '../model/table_name.js'
import { describeIssue } from './config.js'
import { nameSchemas } from './name_schemas.js'

/**
 * All words of an access file that may be names of tables, also of tables that it does not write. Too many
 * names do no harm when triggers are looked up. Parsing the file would take longer than all checks.
 */
export const personasIn = (text: string): string[] => [
  ...new Set(
    (text.match(/(?:"(?:[^"\n]|"")+"|\b[a-z_]\w*)(?:\.(?:"(?:[^"\n]|"")+"|[a-z_]\w*))?/gi) ?? []).flatMap(
      word => {
        // a word between unrelated quotes may be no valid name, and some servers raise an error for it
        const parts = namesIn(word)
        return parts ? [dottedText(parts)] : []
      },
    ),
  ),
]

/** Validates the last row of an access file. Loads zod. Returns the reason in words if it is invalid. */
export async function readAccess(json: unknown): Promise<{ access: Access } | { reason: string }> {
  const z = await import('./zod.js')
  const text = z.string()
  const { plain: name, table } = await nameSchemas()
  const schema = z.strictObject({
    personas: z.record(
      text,
      z.strictObject({
        role: name,
        claims: z.record(text, z.unknown()),
        settings: z.optional(z.array(text)),
      }),
    ),
    tables: z.array(
      z.strictObject({
        table,
        row: z.record(name, text),
        touch: name,
        move: z._default(z.record(name, text), {}),
        may: z.strictObject(Object.fromEntries(operations.map(o => [o, z._default(z.array(text), [])]))),
        reads: z._default(z.nullable(text), null),
        sees: z._default(z.nullable(text), null),
      }),
    ),
    calls: z._default(
      z.array(
        z.strictObject({
          name: text,
          sql: text,
          may: z.array(text),
          personas: z._default(z.nullable(z.array(text)), null),
        }),
      ),
      [],
    ),
  })
  const result = schema.safeParse(json)
  if (!result.success) return { reason: result.error.issues.map(describeIssue).join('; ') }
  const access = result.data as unknown as Access
  const known = Object.keys(access.personas)
  const named = [
    ...access.tables.flatMap(t => operations.flatMap(o => t.may[o])),
    ...access.calls.flatMap(c => [...c.may, ...(c.personas ?? [])]),
  ]
  const strange = named.find(p => !known.includes(p))
  return strange ? { reason: `\`${strange}\` is none of its personas: ${known.join(', ')}` } : { access }
}
