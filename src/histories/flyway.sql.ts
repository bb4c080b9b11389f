import { literal } from '../database/types.js'
import { crc32 } from '../files/checksums.js'
import type { ForeignFile } from '../model/foreign.js'
import { readRows } from './read_rows.sql.js'
import type { ToolHistory } from './tool_history.js'

/**
 * One row for each file; a repeatable file is identified by its description. The checksum is of the lines.
 */
export const flywayHistory: ToolHistory = {
  schema: 'public',
  table: 'flyway_schema_history',
  columns: { installed_rank: null, script: null, checksum: null, success: 'boolean' },
  create: table => `
    create table if not exists ${table} (
      installed_rank int not null constraint flyway_schema_history_pk primary key,
      version varchar(50),
      description varchar(200) not null,
      type varchar(20) not null,
      script varchar(1000) not null,
      checksum int,
      installed_by varchar(100) not null,
      installed_on timestamp not null default now(),
      execution_time int not null,
      success boolean not null
    );
    create index if not exists flyway_schema_history_s_idx on ${table} (success);`,
  // a row of an undo or of a deletion by `repair` cancels earlier rows of the version
  read: readRows({
    key: "coalesce('V' || version, 'R' || description)",
    state: "case when success then 'applied' else 'failed' end",
    checksum: 'checksum::text',
    at: 'installed_on::text',
    from: table => `(
        select distinct on (coalesce(version, ''), case when version is null then description end) *
        from ${table} where type <> 'SCHEMA'
        order by coalesce(version, ''), case when version is null then description end, installed_rank desc
      ) newest
      where type not like 'UNDO%' and type <> 'DELETE'`,
  }),
  keyOf: file => keyInFlyway(file),
  checksumOf: file => String(checksumOfLines(file.source)),
  coversEarlier: false,
  add: async (file, { table }) => `
    delete from ${table} where not success and ${isFileOf(file)};
    insert into ${table}
      (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
    select coalesce(max(installed_rank), 0) + 1, ${file.repeatable ? 'null' : literal(file.version)},
      ${literal(file.description)}, 'SQL', ${literal(file.script)}, ${checksumOfLines(file.source)}, current_user, 0, true
    from ${table};`,
  remove: (file, { table }) => `delete from ${table} where ${isFileOf(file)};`,
}

const keyInFlyway = (file: ForeignFile): string =>
  file.repeatable ? `R${file.description}` : `V${file.version}`

const isFileOf = (file: ForeignFile): string =>
  file.repeatable
    ? `version is null and description = ${literal(file.description)}`
    : `version = ${literal(file.version)}`

/** CRC32 of a file's lines without line ends, as a signed 32-bit number. */
const checksumOfLines = (text: string): number =>
  crc32(text.replace(/^\uFEFF/, '').replace(/\r\n|\r|\n/g, '')) | 0
