/** Tables that `drop schema rethread cascade` does not drop. Only their owner may read them. */
export const archiveSchemaSql = `
  create table if not exists rethread_archive.quarantine (
    id bigint generated always as identity primary key,
    track text not null,
    migration text not null,
    relation text not null,
    key text not null,
    reason text not null,
    original jsonb not null,
    run bigint,
    at timestamptz not null default clock_timestamp(),
    unique (relation, key, migration)
  );
  create table if not exists rethread_archive.failed_rows (
    id bigint generated always as identity primary key,
    track text not null,
    migration text not null,
    relation text not null,
    key text not null,
    sqlstate text,
    reason text not null,
    original jsonb,
    run bigint,
    attempts int not null default 1,
    at timestamptz not null default clock_timestamp(),
    unique (relation, key, migration)
  );
  create table if not exists rethread_archive.archives (
    id bigint generated always as identity primary key,
    run bigint,
    track text not null,
    migration text not null,
    relation text not null,
    column_name text,
    stored_as text not null,
    key_columns text[] not null default '{}',
    ours text,
    manifest jsonb not null default '[]',
    rows bigint not null default 0,
    hash text,
    state text not null default 'kept' check (state in ('capturing', 'kept', 'restored')),
    at timestamptz not null default clock_timestamp()
  );
  create table if not exists rethread_archive.brought_back (
    archive bigint,
    relation oid,
    place tid,
    filenode oid,
    xid xid8 not null,
    primary key (archive, relation, place)
  );`
