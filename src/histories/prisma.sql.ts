import { literal } from '../database/types.js'
import { digestOf } from '../files/checksums.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/** One row for each attempt. Without `finished_at` it failed, unless it is marked as rolled back. */
export const prismaHistory: ToolHistory = {
  schema: 'public',
  table: '_prisma_migrations',
  columns: { migration_name: null, checksum: null, finished_at: null, rolled_back_at: null },
  create: table => `
    create table if not exists ${table} (
      id varchar(36) primary key not null,
      checksum varchar(64) not null,
      finished_at timestamptz,
      migration_name varchar(255) not null,
      logs text,
      rolled_back_at timestamptz,
      started_at timestamptz not null default now(),
      applied_steps_count integer not null default 0
    );`,
  read: readRows({
    key: 'migration_name',
    state: "case when finished_at is null then 'failed' else 'applied' end",
    checksum: 'checksum',
    at: 'coalesce(finished_at, started_at)::text',
    from: table => `(
        select distinct on (migration_name) * from ${table} where rolled_back_at is null
        order by migration_name, started_at desc
      ) newest`,
  }),
  keyOf: file => file.script,
  checksumOf: file => digestOf('sha256', file.source),
  otherChecksumsOf: ({ source }) => {
    const text = source.replaceAll('\r\n', '\n')
    return [text, text.replaceAll('\n', '\r\n')].map(ends => digestOf('sha256', ends))
  },
  coversEarlier: false,
  add: async (file, { table }) => `
    delete from ${table} where migration_name = ${literal(file.script)} and finished_at is null;
    insert into ${table} (id, checksum, finished_at, migration_name, logs, rolled_back_at, started_at, applied_steps_count)
    select gen_random_uuid()::text, ${literal(digestOf('sha256', file.source))}, clock_timestamp(), ${literal(file.script)}, null, null, now(), 1
    where not exists (select from ${table} where migration_name = ${literal(file.script)} and rolled_back_at is null);`,
  remove: (file, { table }) =>
    `delete from ${table} where migration_name = ${literal(file.script)} and rolled_back_at is null;`,
}
