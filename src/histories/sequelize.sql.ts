import { literal } from '../database/types.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** The name without the ending for a language: code beside an SQL file may run it. */
const keyInSequelize = "regexp_replace(name, '[.](sql|c?[jt]s|mjs)$', '')"

const withoutEnding = (script: string): string => script.replace(/\.(sql|c?[jt]s|mjs)$/, '')

/** The names of the files that were run, mostly JavaScript. */
export const sequelizeHistory: ToolHistory = {
  schema: 'public',
  table: 'SequelizeMeta',
  columns: { name: null },
  create: table => `create table if not exists ${table} (name varchar(255) not null unique primary key);`,
  read: readRows({ key: keyInSequelize }),
  keyOf: file => withoutEnding(file.script),
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) =>
    `insert into ${table} (name) values (${literal(file.script)}) on conflict do nothing;`,
  remove: (file, { table }) =>
    `delete from ${table} where ${keyInSequelize} = ${literal(withoutEnding(file.script))};`,
}
