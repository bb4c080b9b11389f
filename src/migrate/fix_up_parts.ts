import type { Db } from '../database/types.js'
import { type Difference, nameOfObject } from './adopt_differences.js'
import { commented, policySql } from './fix_up.sql.js'
import type { TableRows } from './fix_up_rows.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import type { Objects } from './track_states.js'

/** A difference that a person must decide: SQL that would resolve it, and why it is not in the fix-up. */
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

/** What is needed to resolve a difference. */
export interface Desk {
  sql: Db
  actual: Objects
  differences: Difference[]
  parts: Parts
  rows(table: string): Promise<TableRows>
  enumerations: ReadonlySet<string>
  /** Tables with a column whose type changes. */
  retyped: Set<string>
}

/** A statement, with the definition that it replaces as a comment above. */
export const replacing = (has: MadeObject, statement: string): string =>
  `${commented(`was: ${has.kind === 'policy' ? policySql(has) : has.definition}`)}\n${statement}`

/** Leaves a difference to a person. */
export const choose = ({ parts }: Desk, o: MadeObject, reason: string, choice: string): void => {
  parts.choices.push({ object: nameOfObject(o), reason, choice })
}
