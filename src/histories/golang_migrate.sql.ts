import { withoutZeros } from '../model/versions.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** One row: the current version, and whether its file failed. */
export const golangMigrateHistory: ToolHistory = {
  schema: 'public',
  table: 'schema_migrations',
  columns: { version: 'bigint', dirty: 'boolean' },
  create: table =>
    `create table if not exists ${table} (version bigint not null primary key, dirty boolean not null);`,
  read: readRows({
    key: 'version::text',
    state: "case when dirty then 'failed' else 'applied' end",
  }),
  keyOf: file => withoutZeros(file.version),
  checksumOf: () => null,
  coversEarlier: true,
  add: async (file, { table }) => {
    const version = withoutZeros(file.version)
    return `
      delete from ${table} where version <= ${version};
      insert into ${table} (version, dirty) select ${version}, false where not exists (select from ${table});`
  },
  remove: (file, { table, before }) => {
    const gone = `delete from ${table} where version >= ${withoutZeros(file.version)};`
    return before === null
      ? gone
      : `${gone} insert into ${table} (version, dirty) select ${withoutZeros(before.version)}, false where not exists (select from ${table});`
  },
}
