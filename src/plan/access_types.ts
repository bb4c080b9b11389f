/** A policy that a statement makes or changes. */
export interface PolicyChange {
  name: string
  /** The policy's name afterwards; null if it is dropped. */
  becomes: string | null
  /** For a new policy: whether it applies to reads. Null if the policy existed before. */
  reads: boolean | null
}

/** What a statement changes about which rows a role sees, or about the rows. */
export type AccessChange =
  /**
   * Policies, row security, owner or rights of one table. `sql` makes the statement for a table with
   * another name; null if the statement can be used as it is, with that name in it.
   */
  | { on: 'table'; table: string; sql: ((twin: string) => string) | null; policy: PolicyChange | null }
  /**
   * Roles, functions, types and schemas. It locks no table. `functions` are the functions that the
   * statement names; `schemas` are the schemas whose rights it changes.
   */
  | { on: 'server'; roles: boolean; functions: string[]; schemas: string[] }
  /** Rows of a table. `columns` are the columns that change; null for whole rows. */
  | { on: 'rows'; table: string; columns: string[] | null }
  /** The statement creates, moves or drops the relation. What a query of it returns is not known before. */
  | { on: 'relation'; relation: string }
  /**
   * Not known before the statement runs. `tables` are the tables that may be affected, null for all.
   * `functions` are the functions that it creates or replaces.
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
