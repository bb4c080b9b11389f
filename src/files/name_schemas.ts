import { dottedText, namesIn } from '../model/table_name.js'

/** The zod schemas for names in JSON files. Loads zod. */
export async function nameSchemas() {
  const z = await import('./zod.js')
  const dotted = (parts: number, what: string) =>
    z.pipe(
      z.string().check(z.refine(text => namesIn(text)?.length === parts, what)),
      z.transform(text => dottedText(namesIn(text)!)),
    )
  return {
    /** A column or role as in the catalog, without quotes. */
    plain: z.string().check(z.minLength(1, 'a name')),
    /** A table with its schema, as SQL. */
    table: dotted(2, 'a table with its schema'),
    /** A column with its table and schema, as SQL. */
    column: dotted(3, 'a column with schema and table'),
  }
}
