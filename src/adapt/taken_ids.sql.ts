import type { TakenIds } from './names.js'

/**
 * Creates a function that takes ids from the sequence of the application's own rows. The text comes before
 * the statement that creates the table.
 */
export const takeIds = (ids: TakenIds): string =>
  `-- From the sequence that the application takes its own ids from: none is given twice.
create function ${ids.name}() returns ${ids.type}
language sql volatile security definer
set search_path = pg_catalog, pg_temp
return ${ids.from};
revoke all on function ${ids.name}() from public;
grant execute on function ${ids.name}() to authenticated, service_role;

`

/** Comes before the statement that drops the table: its archived copy must not depend on the function. */
export const letGoOfTakenIds = (table: string): string =>
  `alter table if exists ${table} alter column id drop default;\n`

/** Drops the function. It comes after the statement that drops the table. */
export const forgetTakenIds = (ids: TakenIds): string => `\ndrop function if exists ${ids.name}();`
