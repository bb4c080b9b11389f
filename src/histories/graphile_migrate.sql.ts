import { literal } from '../database/types.js'
import type { ForeignFile } from '../model/foreign.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** A chain: each row has the hash of the previous file, as the headers of the files do. */
export const graphileMigrateHistory: ToolHistory = {
  schema: 'graphile_migrate',
  table: 'migrations',
  columns: { hash: 'text', previous_hash: 'text', filename: 'text' },
  create: table => `
    create schema if not exists graphile_migrate;
    create table if not exists ${table} (
      hash text primary key,
      previous_hash text references ${table},
      filename text not null,
      date timestamptz not null default now()
    );
    create table if not exists graphile_migrate.current (
      filename text primary key default 'current.sql',
      content text not null,
      date timestamptz not null default now()
    );`,
  read: readRows({ key: 'filename', checksum: 'hash', at: 'date::text' }),
  keyOf: file => nameInGraphile(file),
  checksumOf: file => inHeader(file, 'Hash'),
  coversEarlier: false,
  add: async (file, { table }) => {
    const previous = inHeader(file, 'Previous')
    return `
      insert into ${table} (hash, previous_hash, filename)
      values (${literal(inHeader(file, 'Hash') ?? '')}, ${previous === null ? 'null' : literal(previous)}, ${literal(nameInGraphile(file))})
      on conflict (hash) do nothing;`
  },
  remove: (file, { table }) => `delete from ${table} where filename = ${literal(nameInGraphile(file))};`,
}

/** The name by its number; the part after the hyphen does not count. */
const nameInGraphile = ({ script }: ForeignFile): string => `${/\d+/.exec(script)?.[0] ?? ''}.sql`

/** A value of the header such as `--! Hash: sha1:...`; null for a hyphen, or without the line. */
function inHeader({ source }: ForeignFile, key: 'Hash' | 'Previous'): string | null {
  const value = new RegExp(`^--! ${key}:[ \\t]*(\\S+)`, 'm').exec(source)?.[1]
  return value === undefined || value === '-' ? null : value
}
