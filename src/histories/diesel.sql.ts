import { literal } from '../database/types.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** The version is the folder's name up to the first underscore, without hyphens. */
export const dieselHistory: ToolHistory = {
  schema: 'public',
  table: '__diesel_schema_migrations',
  columns: { version: null, run_on: null },
  create: table => `
    create table if not exists ${table} (
      version varchar(50) primary key not null,
      run_on timestamp not null default current_timestamp
    );`,
  read: readRows({
    key: 'version',
    at: 'run_on::text',
    from: table => `${table} where version <> '00000000000000'`,
  }),
  keyOf: file => file.version,
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) =>
    `insert into ${table} (version) values (${literal(file.version)}) on conflict do nothing;`,
  remove: (file, { table }) => `delete from ${table} where version = ${literal(file.version)};`,
}
