import type { Db } from '../database/types.js'
import { type Difference, nameOfObject } from './adopt_differences.js'
import { commented, policySql } from './fix_up.sql.js'
import type { TableRows } from './fix_up_rows.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import type { Objects } from './track_states.js'

/**
 * A difference that somebody has to decide about: SQL that would settle it, and why it is not in the fix-
 * up.
 */
export interface OpenChoice {
  object: string
  reason: string
  choice: string
}

/** The parts of a fix-up, in the order in which they run. */
interface Parts {
  dropped: string[]
  schemas: string[]
  tables: string[]
  columns: string[]
  functions: string[]
  constraints: string[]
  rest: string[]
  after: string[]
  choices: OpenChoice[]
}

/** What a difference is settled with. */
export interface Desk {
  sql: Db
  actual: Objects
  differences: Difference[]
  parts: Parts
  rows(table: string): Promise<TableRows>
  enumerations: ReadonlySet<string>
  /** Tables of which a column gets another type. */
  retyped: Set<string>
}

/** What something was, above the statement that replaces it. */
export const replacing = (has: MadeObject, statement: string): string =>
  `${commented(`was: ${has.kind === 'policy' ? policySql(has) : has.definition}`)}\n${statement}`

/** Leaves a difference to a person. */
export const choose = ({ parts }: Desk, o: MadeObject, reason: string, choice: string): void => {
  parts.choices.push({ object: nameOfObject(o), reason, choice })
}
