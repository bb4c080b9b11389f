import { literal } from '../database/types.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** The names of the files, without the part after the last dot. */
export const nodePgMigrateHistory: ToolHistory = {
  schema: 'public',
  table: 'pgmigrations',
  columns: { name: null, run_on: null },
  create: table =>
    `create table if not exists ${table} (id serial primary key, name varchar(255) not null, run_on timestamp not null);`,
  read: readRows({ key: 'name', at: 'run_on::text' }),
  keyOf: file => file.script,
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) => `
    insert into ${table} (name, run_on)
    select ${literal(file.script)}, now() where not exists (select from ${table} where name = ${literal(file.script)});`,
  remove: (file, { table }) => `delete from ${table} where name = ${literal(file.script)};`,
}
