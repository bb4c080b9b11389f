import type { TrackInfo } from './project.js'
import { quotedPart } from './table_name.js'

/** SQL of the content or time of a message. `alias` is the alias of its table; null for the bare column. */
export function messageValue(info: TrackInfo, what: 'content' | 'created', alias: string | null): string {
  const column = quotedPart(info.messages![what])
  return readAs(info.reads?.[what], alias === null ? column : `${alias}.${column}`)
}

/** SQL of a column, converted by a template if there is one. */
export const readAs = (template: string | undefined, column: string): string =>
  template === undefined ? column : `(${template.replaceAll('{}', () => column)})`
