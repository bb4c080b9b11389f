import type { Db } from './types.js'

/** Facts about the server and the current role. */
export interface ServerFacts {
  version: string
  versionNum: number
  database: string
  role: string
  superuser: boolean
  bypassRls: boolean
  inRecovery: boolean
  readOnly: boolean
  canCreate: boolean
}

/** Reads facts about server, role and database. */
export async function serverFacts(sql: Db): Promise<ServerFacts> {
  const [row] = await sql<ServerFacts[]>`
    select
      current_setting('server_version') as version,
      current_setting('server_version_num')::int as "versionNum",
      current_database()::text as database,
      current_user::text as role,
      r.rolsuper as superuser,
      r.rolbypassrls as "bypassRls",
      pg_catalog.pg_is_in_recovery() as "inRecovery",
      (select reset_val = 'on' from pg_catalog.pg_settings where name = 'default_transaction_read_only') as "readOnly",
      pg_catalog.has_database_privilege(current_database(), 'CREATE') as "canCreate"
    from pg_catalog.pg_roles r
    where r.rolname = current_user`
  return row!
}

/**
 * The system identifier of the server, which a copy of its files has too. Null if the role may not read it.
 * The right is checked first, because the server refuses the statement even if the function is not called.
 */
export async function systemIdentifier(sql: Db): Promise<string | null> {
  const [right] = await sql<{ asks: boolean }[]>`
    select pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') as asks`
  if (!right!.asks) return null
  const [row] = await sql<
    { id: string }[]
  >`select system_identifier::text as id from pg_catalog.pg_control_system()`
  return row!.id
}
