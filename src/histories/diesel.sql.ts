import { literal } from '../database/types.js'
import type { ForeignFile } from '../model/foreign.js'
import type { HistoryRow, ToolHistory } from './tool_history.js'

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
  read: async (sql, table) =>
    sql.unsafe<HistoryRow[]>(
      `select version as key, 'applied' as state, null::text as checksum, run_on::text as at
      from ${table} where version <> '00000000000000'`,
    ),
  keyOf: file => versionInDiesel(file),
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) =>
    `insert into ${table} (version) values (${literal(versionInDiesel(file))}) on conflict do nothing;`,
  remove: (file, { table }) => `delete from ${table} where version = ${literal(versionInDiesel(file))};`,
}

const versionInDiesel = ({ version }: ForeignFile): string => version.replaceAll('-', '')
