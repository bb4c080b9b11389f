import type { Db } from './types.js'

/** What the server says of itself and of us. */
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
  systemIdentifier: string | null
}

/** One look at server, role and database. */
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
      pg_catalog.has_database_privilege(current_database(), 'CREATE') as "canCreate",
      case when pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
        then (select system_identifier::text from pg_catalog.pg_control_system()) end as "systemIdentifier"
    from pg_catalog.pg_roles r
    where r.rolname = current_user`
  return row!
}
