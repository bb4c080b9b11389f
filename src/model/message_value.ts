import type { TrackInfo } from './project.js'
import { quotedPart } from './table_name.js'

type Messages = NonNullable<TrackInfo['messages']>

/** SQL of what a message has of some kind, read from its column under an alias; null for the column alone. */
export function messageValue(m: Messages, what: 'content' | 'created', alias: string | null): string {
  const column = quotedPart(m[what])
  return readAs(m.reads?.[what], alias === null ? column : `${alias}.${column}`)
}

/** SQL of a column with the template that reads it, where there is one. */
export const readAs = (template: string | undefined, column: string): string =>
  template === undefined ? column : `(${template.replaceAll('{}', column)})`
