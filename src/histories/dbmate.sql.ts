import { literal } from '../database/types.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** One row for each applied file, with the digits of its name. */
export const dbmateHistory: ToolHistory = {
  schema: 'public',
  table: 'schema_migrations',
  columns: { version: 'character varying' },
  create: table => `create table if not exists ${table} (version varchar primary key);`,
  read: readRows({ key: 'version' }),
  keyOf: file => file.version,
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) =>
    `insert into ${table} (version) values (${literal(file.version)}) on conflict do nothing;`,
  remove: (file, { table }) => `delete from ${table} where version = ${literal(file.version)};`,
}
