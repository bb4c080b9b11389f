import { refusePlanted } from '../database/planted.js'
import { plantedObjects } from '../database/planted.sql.js'
import { scopeOf } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { Failure } from '../model/failure.js'
import { archiveSchemaSql } from './archive_schema.sql.js'
import { keptRowsSql } from './kept_rows.sql.js'
import { putBackFunctions, putBackSql } from './put_back.sql.js'

/**
 * The upgrades of the tool's schema, in order; entry n upgrades version n to n + 1. Never change a released
 * entry: add another. `rethread` may be dropped at any time without harm to the application. What must be
 * kept (archives, quarantine, failed rows) is in `rethread_archive`.
 */
export const upgrades: readonly string[] = [
  `create table rethread.runs (
    id bigint generated always as identity primary key,
    command text not null,
    role text not null default current_user,
    host text not null,
    who text not null,
    reason text,
    tool text not null,
    outcome text not null default 'running',
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz
  );
  create table rethread.ledger (
    id bigint generated always as identity primary key,
    run bigint not null references rethread.runs,
    track text not null,
    migration text not null,
    direction text not null check (direction in ('up', 'down', 'baseline')),
    outcome text not null check (outcome in ('started', 'done', 'failed', 'interrupted')),
    checksum text not null,
    tokens text not null,
    statements text[] not null,
    reached int not null default 0,
    phase text not null,
    role text not null default current_user,
    server_version text not null default current_setting('server_version'),
    error jsonb,
    fingerprint text,
    started_at timestamptz not null default clock_timestamp(),
    duration_ms double precision
  );
  create index ledger_newest on rethread.ledger (track, migration, id desc);
  create table rethread.lease (
    name text primary key,
    token bigint not null default 0,
    holder text,
    backend_pid int,
    backend_start timestamptz,
    heartbeat timestamptz
  );
  insert into rethread.lease (name) values ('writer');`,
  // state 'running' -> 'done'. A row in pauses stops all backfills of a track, also those that have not
  // begun. A range goes pending -> claimed -> done. It is claimed again if the backend that claimed it is
  // gone. batches has the transaction ids that show which rows nobody has changed since.
  `create table rethread.backfills (
    id bigint generated always as identity primary key,
    track text not null,
    migration text not null,
    state text not null default 'running' check (state in ('running', 'done')),
    passes int not null,
    advice text,
    rows bigint not null default 0,
    seconds double precision not null default 0,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz
  );
  create unique index backfills_open on rethread.backfills (track, migration) where state <> 'done';
  create table rethread.ranges (
    id bigint generated always as identity primary key,
    backfill bigint not null references rethread.backfills on delete cascade,
    relation text not null,
    from_page bigint not null,
    to_page bigint not null,
    cursor_page bigint not null,
    cursor_key text[],
    pass int not null default 0,
    window_pages int not null default 0,
    state text not null default 'pending' check (state in ('pending', 'claimed', 'done')),
    claim bigint,
    backend_pid int,
    backend_start timestamptz,
    attempts int not null default 0,
    rows bigint not null default 0
  ) with (fillfactor = 50);
  create index ranges_open on rethread.ranges (backfill, id);
  create sequence rethread.claims;
  create table rethread.pauses (
    track text primary key,
    at timestamptz not null default clock_timestamp()
  );
  create table rethread.batches (
    backfill bigint not null references rethread.backfills on delete cascade,
    relation text not null,
    xid xid8 not null,
    rows bigint not null,
    ms double precision not null
  );
  create index batches_backfill on rethread.batches (backfill);
  create table rethread.tallies (
    backfill bigint not null references rethread.backfills on delete cascade,
    kind text not null check (kind in ('unit', 'range')),
    name text not null,
    rows bigint not null,
    hash bigint not null,
    primary key (backfill, kind, name)
  );
  create table rethread.catalogs (
    track text not null,
    before text not null,
    major int not null,
    catalog jsonb not null,
    at timestamptz not null default clock_timestamp(),
    primary key (track, before)
  );
  create table rethread.sights (
    run bigint not null,
    track text not null,
    person text not null,
    relation text not null,
    rows bigint,
    hash text,
    ids jsonb,
    at timestamptz not null default clock_timestamp(),
    primary key (track, person, relation)
  );
  alter table rethread.ledger add column catalog jsonb;
  create table rethread.table_settings (
    relation text primary key,
    options text[] not null
  );`,
  `alter table rethread.tallies drop constraint tallies_kind_check;
  alter table rethread.tallies add constraint tallies_kind_check check (kind in ('unit', 'past', 'range'));`,
  // a position may be inside a page, because a batch may be a part of one
  'alter table rethread.ranges alter column cursor_page type double precision;',
  // state 'running' -> 'done', and what had to be applied again when it began, for a restore that is repeated
  `create table rethread.restores (
    id bigint generated always as identity primary key,
    run bigint not null,
    track text not null,
    archive bigint not null,
    migrations text[] not null,
    state text not null default 'running' check (state in ('running', 'done')),
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz
  );
  create unique index restores_open on rethread.restores (track, archive) where state <> 'done';`,
  // Failed rows are stored separately from quarantined ones. Older versions stored both in the quarantine.
  // Failed rows are still in their tables, so moving the copies loses nothing.
  `alter table rethread.backfills drop constraint backfills_state_check;
  alter table rethread.backfills add constraint backfills_state_check check (state in ('running', 'failed', 'done'));
  create table rethread.announced (
    track text not null,
    migration text not null,
    rows bigint not null,
    at timestamptz not null default clock_timestamp(),
    primary key (track, migration)
  );
  insert into rethread_archive.failed_rows (track, migration, relation, key, sqlstate, reason, original, run, at)
  select q.track, q.migration, q.relation, q.key, substring(q.reason from '^([0-9A-Z]{5}): '),
    regexp_replace(q.reason, '^[0-9A-Z]{5}: ', ''), q.original, q.run, q.at
  from rethread_archive.quarantine q
  where q.reason ~ '^[0-9A-Z]{5}: ' or q.reason = 'the statement did not change this row'
  on conflict do nothing;
  delete from rethread_archive.quarantine q
  using rethread_archive.failed_rows f
  where f.relation = q.relation and f.key = q.key and f.migration = q.migration and f.original is not null
    and f.original = q.original;`,
  // the pace of a backfill, so that other processes can show it
  'alter table rethread.backfills add column pace jsonb;',
  // why a row whose file was not run counts: the evidence of another tool's history and of the catalog
  'alter table rethread.ledger add column evidence jsonb;',
  // of a large table only a sample of rows is compared, with the same rows before and after
  `alter table rethread.sights add column sampled bigint;
  create table rethread.sight_samples (
    run bigint not null,
    track text not null,
    relation text not null,
    ids jsonb not null,
    primary key (run, track, relation)
  );`,
  // the table is created with the others of its schema
  `comment on table rethread_archive.brought_back is 'Rows of archived tables without a key that a restore has brought back';`,
  // the values of a row that JSON does not hold exactly, as text
  `alter table rethread_archive.quarantine add column if not exists exact jsonb;
  comment on table rethread_archive.brought_back is 'Rows of archived tables that an interrupted restore has brought back';`,
]

/**
 * Revokes a schema's privileges from the API's roles and from all who have them by default. Privileges that
 * were granted by name since then stay.
 */
const closeSchemaSql = (schema: string): string => `
  revoke all on schema ${schema} from public;
  revoke all on all tables in schema ${schema} from public;
  revoke all on all sequences in schema ${schema} from public;
  do $close$
  declare r name;
  begin
    for r in
      select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role')
      union
      select a.rolname from pg_catalog.pg_default_acl d
      cross join lateral aclexplode(d.defaclacl) x
      join pg_catalog.pg_roles a on a.oid = x.grantee and a.oid <> d.defaclrole
      where d.defaclrole = (select o.oid from pg_catalog.pg_roles o where o.rolname = current_user) and d.defaclnamespace in (0, coalesce(to_regnamespace('${schema}')::oid, 0))
    loop
      execute format('revoke all on schema ${schema} from %I', r);
      execute format('revoke all on all tables in schema ${schema} from %I', r);
      execute format('revoke all on all sequences in schema ${schema} from %I', r);
    end loop;
  end
  $close$;`

/**
 * Version of the tool's schema; null if it does not exist. Throws MISSING_PRIVILEGE if it is not readable.
 */
export async function schemaVersion(sql: Db): Promise<number | null> {
  const places = await sql<{ schema: string; owner: string; role: string; readable: boolean }[]>`
    select n.nspname::text as schema, pg_get_userbyid(n.nspowner)::text as owner, current_user::text as role,
      has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable
    from pg_catalog.pg_namespace n
    join pg_catalog.pg_class c on c.relnamespace = n.oid
    where (n.nspname, c.relname) in (('rethread', 'meta'), ('rethread_archive', 'quarantine'))
    order by 1`
  for (const { schema, owner, role, readable } of places)
    if (!readable)
      throw new Failure('MISSING_PRIVILEGE', `schema ${schema}`, { wants: 'LEDGER', owner, role })
  if (!places.some(p => p.schema === 'rethread')) return null
  const [row] = await sql<{ version: number }[]>`select max(version)::int as version from rethread.meta`
  return row!.version
}

/**
 * Installs or upgrades the tool's schema up to `to`. Several may start at once. Returns the versions that
 * were applied.
 */
export async function upgrade(sql: Db, tool: string, to: number = upgrades.length): Promise<number[]> {
  return scopeOf(sql)(async tx => {
    await tx`select pg_advisory_xact_lock(hashtext('rethread'), hashtext('upgrade'))`
    await tx.unsafe(`
      set local client_min_messages = warning;
      create schema if not exists rethread;
      create schema if not exists rethread_archive;`)
    // somebody may have created one since the last look: check before calling anything in it
    refusePlanted(await plantedObjects(tx))
    await tx.unsafe(`
      create table if not exists rethread.meta (
        version int primary key,
        tool text not null,
        at timestamptz not null default clock_timestamp()
      );
      ${archiveSchemaSql}
      ${keptRowsSql}
      ${putBackSql}
      revoke all on function ${putBackFunctions} from public;`)
    const from = (await schemaVersion(tx)) ?? 0
    const done: number[] = []
    for (let version = from + 1; version <= to; version++) {
      await tx.unsafe(upgrades[version - 1]!)
      await tx`insert into rethread.meta (version, tool) values (${version}, ${tool})`
      done.push(version)
    }
    if (done.length > 0) await tx.unsafe(closeSchemaSql('rethread') + closeSchemaSql('rethread_archive'))
    return done
  })
}
