--! title: Bring chatkit_sessions back

-- Rows whose agent is gone or has another key: no foreign key has followed. They stay in the archive where it
-- would have deleted them, or where the column must be filled. Else it becomes null. Rows that stayed with
-- other columns keep a table of their own. An application without the table has an empty one for a moment.
create table rethread_archive.chatkit_lacking (place tid primary key);
-- locks: rethread_archive.chatkit_sessions ACCESS EXCLUSIVE
-- locks: rethread_archive.chatkit_sessions_deleted ACCESS EXCLUSIVE
do $$
declare
  item record;
  lost bigint;
  n int := 1;
begin
  if to_regclass('rethread_archive.chatkit_sessions') is null then
    create table rethread_archive.chatkit_sessions (none int);
    comment on table rethread_archive.chatkit_sessions is 'there was none';
  end if;
  -- rows of an archive are not the application's: its triggers and rules do not fire
  insert into rethread_archive.chatkit_manifest
  select 'held off', lpad(h.place::text, 8, '0'), h.again
  from unnest(rethread_archive.hold_off('rethread_archive.chatkit_sessions', true, false)) with ordinality as h (again, place);
  for item in
    select f.name, f.definition like '%ON DELETE CASCADE%' or max(c.definition) = '' as deletes, max(m.definition) as lacking, max(c.definition) as clearing
    from rethread_archive.chatkit_manifest f
    join rethread_archive.chatkit_manifest m on m.name = f.name and m.kind = 'lacking'
    join rethread_archive.chatkit_manifest c on c.name = f.name and c.kind = 'clearing'
    where f.kind = 'foreign key'
    group by f.name, f.definition
    order by deletes, f.name
  loop
    execute format('select count(*) from rethread_archive.chatkit_sessions s where %s', item.lacking) into lost;
    continue when lost = 0;
    if item.deletes then
      execute format(
        'insert into rethread_archive.chatkit_lacking select s.ctid from rethread_archive.chatkit_sessions s where %s on conflict do nothing', item.lacking);
      raise notice 'Rows that stay in rethread_archive.chatkit_sessions_deleted, because what % refers to is gone: %', item.name, lost;
    else
      perform rethread_archive.alter(format('update rethread_archive.chatkit_sessions s set %s where %s', item.clearing, item.lacking));
      raise notice 'Rows that come back without what % refers to, because it is gone: %', item.name, lost;
    end if;
  end loop;
  if to_regclass('rethread_archive.chatkit_sessions_deleted') is not null and (
    select count(distinct x.columns) > 1 from (
      select string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), ', ' order by a.attnum) as columns
      from pg_catalog.pg_attribute a
      where a.attrelid in (to_regclass('rethread_archive.chatkit_sessions'), to_regclass('rethread_archive.chatkit_sessions_deleted'))
        and a.attnum > 0 and not a.attisdropped
      group by a.attrelid) x
  ) then
    while to_regclass('rethread_archive.chatkit_sessions_deleted_' || n) is not null loop
      n := n + 1;
    end loop;
    execute format('alter table rethread_archive.chatkit_sessions_deleted rename to %I', 'chatkit_sessions_deleted_' || n);
  end if;
end
$$;
create table if not exists rethread_archive.chatkit_sessions_deleted (like rethread_archive.chatkit_sessions);
with gone as (
  delete from rethread_archive.chatkit_sessions s
  using rethread_archive.chatkit_lacking l
  where s.ctid = l.place
  returning s.*
)
insert into rethread_archive.chatkit_sessions_deleted select * from gone;
drop table rethread_archive.chatkit_lacking;

-- locks: rethread_archive.chatkit_sessions ACCESS EXCLUSIVE
-- locks: public.iso_agents SHARE ROW EXCLUSIVE
do $$
declare
  item record;
begin
  perform rethread_archive.release(array(select definition from rethread_archive.chatkit_manifest where kind = 'held off' order by name));
  if obj_description('rethread_archive.chatkit_sessions'::regclass, 'pg_class') = 'there was none' then
    drop table rethread_archive.chatkit_sessions, rethread_archive.chatkit_sessions_deleted;
    return;
  end if;
  alter table rethread_archive.chatkit_sessions set schema public;
  for item in select * from rethread_archive.chatkit_manifest order by kind, name loop
    if item.kind = 'foreign key' then
      execute format('alter table public.chatkit_sessions add constraint %I %s', item.name, item.definition);
    elsif item.kind = 'grant' then
      execute format('grant %s on public.chatkit_sessions to %s', item.definition, item.name);
    elsif item.kind = 'function' then
      execute format('alter routine rethread_archive.%s set schema public', item.name);
    end if;
  end loop;
end
$$;
drop table if exists rethread_archive.chatkit_manifest;
