import { systemIdentifier } from '../database/server.sql.js'
import type { Db } from '../database/types.js'

/**
 * Identifies a database independently of its names: the start of its server and its oid. The system
 * identifier alone would not distinguish a branch or a restored copy from the original.
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
