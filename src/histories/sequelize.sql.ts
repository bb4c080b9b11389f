import { literal } from '../database/types.js'
import type { HistoryRow, ToolHistory } from './tool_history.js'

/** The names of the files that were run, mostly of JavaScript. */
export const sequelizeHistory: ToolHistory = {
  schema: 'public',
  table: 'SequelizeMeta',
  columns: { name: null },
  create: table => `create table if not exists ${table} (name varchar(255) not null unique primary key);`,
  read: async (sql, table) =>
    sql.unsafe<HistoryRow[]>(
      `select regexp_replace(name, '[.](sql|c?[jt]s|mjs)$', '') as key, 'applied' as state, null::text as checksum, null::text as at
      from ${table}`,
    ),
  keyOf: file => file.script.replace(/\.(sql|c?[jt]s|mjs)$/, ''),
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) =>
    `insert into ${table} (name) values (${literal(file.script)}) on conflict do nothing;`,
  remove: (file, { table }) => `delete from ${table} where name = ${literal(file.script)};`,
}
