import { literal } from '../database/types.js'
import { digestOf } from '../files/checksums.js'
import type { ForeignFile } from '../model/foreign.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** One row for each file: the hash of its text, and its time in the journal. */
export const drizzleHistory: ToolHistory = {
  schema: 'drizzle',
  table: '__drizzle_migrations',
  columns: { hash: 'text', created_at: 'bigint' },
  create: table => `
    create schema if not exists drizzle;
    create table if not exists ${table} (id serial primary key, hash text not null, created_at bigint);`,
  read: readRows({
    key: 'created_at::text',
    checksum: 'hash',
    at: 'to_timestamp(created_at / 1000.0)::text',
  }),
  keyOf: file => String(file.at),
  checksumOf: file => digestOf('sha256', file.source),
  coversEarlier: false,
  add: async (file, { table }) => `
    insert into ${table} (hash, created_at)
    select ${literal(digestOf('sha256', file.source))}, ${file.at ?? 'null'} where not exists (select from ${table} where ${isIn(file)});`,
  remove: (file, { table }) => `delete from ${table} where ${isIn(file)};`,
}

const isIn = (file: ForeignFile): string =>
  file.at === null ? `hash = ${literal(digestOf('sha256', file.source))}` : `created_at = ${file.at}`
