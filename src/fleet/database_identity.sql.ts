import { systemIdentifier } from '../database/server.sql.js'
import type { Db } from '../database/types.js'

/**
 * What makes a database another one, whatever it is called by: its server as it was started, and its number
 * there. The system identifier alone would take a branch or a restored copy for its origin.
 */
export async function databaseIdentity(sql: Db): Promise<string> {
  const [row] = await sql<{ identity: string }[]>`
    select concat_ws(
      '/',
      extract(epoch from pg_catalog.pg_postmaster_start_time())::text,
      (select oid::text from pg_catalog.pg_database where datname = current_database()),
      ${await systemIdentifier(sql)}::text
    ) as identity`
  return row!.identity
}
