/** Wraps a fragment in a statement, so that it can be parsed, and takes it out again. */

/** A query whose only output is an expression. */
export const framed = (expression: string): string => `select (${expression}\n)`

/** The expression in a query that `framed` made. */
export const unframed = (query: string): string => query.slice('select ('.length, -2)

/** The CREATE INDEX statement for the part that pg_get_indexdef prints after USING. */
export const indexStatement = (table: string, definition: string): string =>
  `create index on ${table} using ${definition}`
