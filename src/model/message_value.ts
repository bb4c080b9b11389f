import type { TrackInfo } from './project.js'
import { quotedPart } from './table_name.js'

/** SQL of what a message holds, read from its column of a row under an alias; null for the column alone. */
export function messageValue(info: TrackInfo, what: 'content' | 'created', alias: string | null): string {
  const column = quotedPart(info.messages![what])
  return readAs(info.reads?.[what], alias === null ? column : `${alias}.${column}`)
}

/** SQL of a column with the template that reads it, where there is one. */
export const readAs = (template: string | undefined, column: string): string =>
  template === undefined ? column : `(${template.replaceAll('{}', column)})`
