import { keptRecordSql, readBackSql } from './kept_rows.sql.js'

/**
 * Functions of the archive's schema that put rows back as they were. Rollback files call `put_back`, also in
 * psql; `restore` uses the same `hold_off` and `release`. They all run in one transaction.
 *
 * - `alter` runs DDL as the session would have run it: event triggers of the application may name their
 *   tables without a schema.
 * - `settle` runs what deferred constraints of a table have put off: with such events pending, the server
 *   refuses every ALTER TABLE of it. They are deferred again afterwards.
 * - `hold_off` switches off triggers and rules that fire on INSERT and UPDATE, where this role owns the
 *   table, and returns the statements that switch them on again as they were. Foreign keys are still checked.
 *   With `own`, those of the track too, and those on DELETE.
 * - `put_back` inserts what a migration has set aside: identity columns get the values that they had,
 *   generated columns their own, and columns that are new their defaults. A constraint that is not validated
 *   does not hold for rows that are older than it: it is dropped and added again as it was.
 *   `rethread.sample` limits the rows, `rethread.twin` names the table of a rehearsal that takes them.
 */
export const putBackSql = `
  create or replace function rethread_archive.alter(statement text) returns void
  language plpgsql
  set search_path = ''
  as $alter$
  begin
    perform set_config('search_path', coalesce(current_setting('rethread.search_path', true), ''), true);
    execute statement;
  end
  $alter$;

  create or replace function rethread_archive.settle(target regclass) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $settle$
  declare
    item record;
  begin
    for item in
      select format('%I.%I', n.nspname, c.conname) as name, bool_or(c.condeferred) as deferred
      from (select target as oid union select t.relid from pg_catalog.pg_partition_tree(target) t) r
      join pg_catalog.pg_trigger g on g.tgrelid = r.oid and g.tgdeferrable
      join pg_catalog.pg_constraint c on c.oid = g.tgconstraint
      join pg_catalog.pg_namespace n on n.oid = c.connamespace
      group by 1
      order by 1
    loop
      execute format('set constraints %s immediate', item.name);
      if item.deferred then
        execute format('set constraints %s deferred', item.name);
      end if;
    end loop;
  end
  $settle$;

  create or replace function rethread_archive.hold_off(target regclass, own boolean, constraints boolean) returns text[]
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $hold$
  declare
    item record;
    undo text[] := array[format('select rethread_archive.settle(%L::regclass)', target)];
  begin
    perform rethread_archive.settle(target);
    for item in
      select format('alter table %s disable trigger %I', g.tgrelid::regclass, g.tgname) as off,
        format('alter table %s enable %strigger %I', g.tgrelid::regclass, case g.tgenabled when 'A' then 'always ' end, g.tgname) as again
      from (select target as oid union select t.relid from pg_catalog.pg_partition_tree(target) t) r
      join pg_catalog.pg_trigger g on g.tgrelid = r.oid
      join pg_catalog.pg_proc p on p.oid = g.tgfoid
      where not g.tgisinternal and g.tgparentid = 0 and g.tgenabled in ('O', 'A') and g.tgtype::int & case when own then 28 else 20 end <> 0
        and (own or p.pronamespace is distinct from pg_catalog.to_regnamespace('chat_private')::oid)
      union all
      select format('alter table %s disable rule %I', w.ev_class::regclass, w.rulename),
        format('alter table %s enable %srule %I', w.ev_class::regclass, case w.ev_enabled when 'A' then 'always ' end, w.rulename)
      from pg_catalog.pg_rewrite w
      where w.ev_class = target and (w.ev_type in ('2', '3') or own and w.ev_type = '4') and w.ev_enabled in ('O', 'A')
      order by 1
    loop
      begin
        perform rethread_archive.alter(item.off);
        undo := undo || item.again;
      exception
        -- not the owner: they fire, and what they change is found afterwards
        when insufficient_privilege then null;
      end;
    end loop;
    if constraints then
      for item in
        select format('alter table %s drop constraint %I', target, c.conname) as off,
          format('alter table %s add constraint %I %s', target, c.conname, pg_catalog.pg_get_constraintdef(c.oid)) as again,
          format('comment on constraint %I on %s is %L', c.conname, target, pg_catalog.obj_description(c.oid, 'pg_constraint')) as said,
          pg_catalog.obj_description(c.oid, 'pg_constraint') is not null as is_said
        from pg_catalog.pg_constraint c
        where c.conrelid = target and not c.convalidated and c.contype in ('c', 'f', 'n') and c.conislocal and c.coninhcount = 0
          and pg_catalog.to_jsonb(c) ->> 'conenforced' is distinct from 'false'
        order by c.conname
      loop
        perform rethread_archive.alter(item.off);
        undo := undo || item.again;
        if item.is_said then
          undo := undo || item.said;
        end if;
      end loop;
    end if;
    return undo;
  end
  $hold$;

  create or replace function rethread_archive.release(undo text[]) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $release$
  declare
    again text;
  begin
    foreach again in array undo loop
      perform rethread_archive.alter(again);
    end loop;
  end
  $release$;

  create or replace function rethread_archive.put_back(migration text, relation text) returns bigint
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $put$
  declare
    target constant regclass := coalesce(nullif(current_setting('rethread.twin', true), ''), put_back.relation)::regclass;
    most constant bigint := nullif(current_setting('rethread.sample', true), '')::bigint;
    undo text[];
    shape text[];
    written bigint;
    total bigint := 0;
    columns text;
    read text;
    typed text;
    statement text;
    item record;
    -- ON CONFLICT refuses a table that has a unique constraint which can be checked late: row by row then
    late constant text := (
      select string_agg(format('%I.%I', n.nspname, c.conname), ', ')
      from pg_catalog.pg_constraint c join pg_catalog.pg_namespace n on n.oid = c.connamespace
      where c.conrelid = target and c.contype in ('p', 'u', 'x') and c.condeferrable);
    has_key constant boolean := exists (
      select from pg_catalog.pg_index i where i.indrelid = put_back.relation::regclass and i.indisprimary);
    -- and one with such rules, even where they are switched off
    is_ruled constant boolean := exists (
      select from pg_catalog.pg_rewrite w where w.ev_class = target and w.ev_type in ('2', '3'));
  begin
    if not exists (
      select from rethread_archive.quarantine q where q.migration = put_back.migration and q.relation = put_back.relation
    ) then
      return 0;
    end if;
    undo := rethread_archive.hold_off(target, true, true);
    if late is not null then
      execute 'set constraints ' || late || ' immediate';
    end if;
    for shape in
      select distinct array(select k from pg_catalog.jsonb_object_keys(q.original) k order by 1)
      from rethread_archive.quarantine q
      where q.migration = put_back.migration and q.relation = put_back.relation and jsonb_typeof(q.original) = 'object'
    loop
      ${readBackSql('target', 'shape')} into columns, read, typed;
      statement := format(
        'insert into %s (%s) overriding system value
         select %s from (
           select q.original, q.exact from rethread_archive.quarantine q
           where q.migration = $1 and q.relation = $2 and jsonb_typeof(q.original) = ''object''
             and array(select k from pg_catalog.jsonb_object_keys(q.original) k order by 1) = $3
             and ($5 or not rethread_archive.is_back(q.relation, q.original, q.exact)) and ($6 is null or q.id = $6)
           order by q.id limit $4
         ) q cross join lateral pg_catalog.jsonb_to_record(%s) as r (%s)',
        target, columns, read, $kept$${keptRecordSql}$kept$, typed);
      if late is null and not is_ruled then
        execute statement || ' on conflict do nothing'
        using put_back.migration, put_back.relation, shape, most, has_key, null::bigint;
        get diagnostics written = row_count;
        total := total + written;
        continue;
      end if;
      for item in
        select q.id from rethread_archive.quarantine q
        where q.migration = put_back.migration and q.relation = put_back.relation and jsonb_typeof(q.original) = 'object'
          and array(select k from pg_catalog.jsonb_object_keys(q.original) k order by 1) = shape
        order by q.id limit most
      loop
        begin
          execute statement using put_back.migration, put_back.relation, shape, most, has_key, item.id;
          get diagnostics written = row_count;
          total := total + written;
        exception
          when unique_violation or exclusion_violation then null;
        end;
      end loop;
    end loop;
    perform rethread_archive.release(undo);
    return total;
  end
  $put$;`

/** The functions with their argument types, for the REVOKE that closes them to all but their owner. */
export const putBackFunctions = [
  'rethread_archive.alter(text)',
  'rethread_archive.settle(regclass)',
  'rethread_archive.hold_off(regclass, boolean, boolean)',
  'rethread_archive.release(text[])',
  'rethread_archive.put_back(text, text)',
  'rethread_archive.plain(json)',
  'rethread_archive.is_back(text, jsonb, jsonb)',
  'rethread_archive.is_back(text, jsonb)',
].join(', ')
