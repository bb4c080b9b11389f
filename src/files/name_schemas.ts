import { dottedText, namesIn } from '../model/table_name.js'

/** How names are written in JSON files. Loads zod, so only for whoever reads one. */
export async function nameSchemas() {
  const z = await import('./zod.js')
  const dotted = (parts: number, what: string) =>
    z.pipe(
      z.string().check(z.refine(text => namesIn(text)?.length === parts, what)),
      z.transform(text => dottedText(namesIn(text)!)),
    )
  return {
    /** A column or a role, as the catalog has it: without quotes. */
    plain: z.string().check(z.minLength(1, 'a name')),
    /** A table as SQL names it. */
    table: dotted(2, 'a table with its schema'),
    /** A column as SQL names it. */
    column: dotted(3, 'a column with schema and table'),
  }
}
