import type { TakenIds } from './names.js'

/**
 * The function that takes ids from the sequence which the application's own rows have theirs from, as a text
 * before the statement that makes the table.
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

/** Before the statement that drops the table: what is archived instead must not need the function. */
export const letGoOfTakenIds = (table: string): string =>
  `alter table if exists ${table} alter column id drop default;\n`

/** What takes it away again, after the statement that drops the table. */
export const forgetTakenIds = (ids: TakenIds): string => `\ndrop function if exists ${ids.name}();`
