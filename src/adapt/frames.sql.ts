/** Statements that what is no statement is parsed in, and the way back out of them. */

/** A query that has nothing but an expression. */
export const framed = (expression: string): string => `select (${expression}\n)`

/** The expression of such a query. */
export const unframed = (query: string): string => query.slice('select ('.length, -2)

/** The statement that makes an index of what pg_get_indexdef prints after USING. */
export const indexStatement = (table: string, definition: string): string =>
  `create index on ${table} using ${definition}`
