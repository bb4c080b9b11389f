/** A policy that a statement makes or changes. */
export interface PolicyChange {
  name: string
  /** The name that it has afterwards; null where it is dropped. */
  becomes: string | null
  /** Of a new one: whether it is asked when rows are read. Null where the policy was there before. */
  reads: boolean | null
}

/** What a statement changes about who sees which rows, or about those rows. */
export type AccessChange =
  /**
   * Of one table: policies, row security, owner, rights. `sql` is the statement for a table of another name;
   * null for the statement itself with that name in it.
   */
  | { on: 'table'; table: string; sql: ((twin: string) => string) | null; policy: PolicyChange | null }
  /**
   * Of roles, functions, types and schemas; no table is locked by it. `functions` are those that it names,
   * `schemas` those whose rights it changes.
   */
  | { on: 'server'; roles: boolean; functions: string[]; schemas: string[] }
  /** Rows of a table; `columns` are those that change, null for whole rows. */
  | { on: 'rows'; table: string; columns: string[] | null }
  /** It makes the relation, or moves it: what reads it cannot be asked yet. */
  | { on: 'relation'; relation: string }
  /**
   * Not known before it runs; `tables` are those that it may be about, null for all, and `functions`
   * those that it makes or replaces.
   */
  | { on: 'unknown'; tables: string[] | null; functions: string[] }

/** A change of one table. */
export const onTable = (
  table: string,
  sql: ((twin: string) => string) | null,
  policy: PolicyChange | null = null,
): AccessChange => ({ on: 'table', table, sql, policy })

/** A change of functions, or of the rights of schemas. */
export const server = (
  functions: string[],
  schemas: string[] = [],
): Extract<AccessChange, { on: 'server' }> => ({
  on: 'server',
  roles: false,
  functions,
  schemas,
})

/** A change that is not known before it runs. */
export const unknownOf = (tables: string[] | null, functions: string[] = []): AccessChange => ({
  on: 'unknown',
  tables,
  functions,
})
