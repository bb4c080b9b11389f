import { literal } from '../database/types.js'
import { parseStatements } from '../files/statements.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** `supabase migration list` compares versions as texts. Each row has the statements that were sent. */
export const supabaseHistory: ToolHistory = {
  schema: 'supabase_migrations',
  table: 'schema_migrations',
  columns: { version: 'text', statements: null },
  create: table => `
    create schema if not exists supabase_migrations;
    create table if not exists ${table} (version text not null primary key);
    alter table ${table} add column if not exists statements text[];
    alter table ${table} add column if not exists name text;`,
  read: readRows({ key: 'version' }),
  keyOf: file => file.version,
  checksumOf: () => null,
  coversEarlier: false,
  add: async (file, { table }) => {
    const statements = await splitAsSupabase(file.source)
    return `
      insert into ${table} (version, name, statements)
      values (${literal(file.version)}, ${literal(file.description)}, array[${statements.map(literal).join(', ')}]::text[])
      on conflict (version) do nothing;`
  },
  remove: (file, { table }) => `delete from ${table} where version = ${literal(file.version)};`,
}

/** The statements of a file, each with the comments above it and without its semicolon. */
const splitAsSupabase = async (text: string): Promise<string[]> =>
  (await parseStatements(text)).map(s => `${s.above.replace(/^[\s;]+/, '')}${s.text}`.trim())
