--! title: Bring chatkit_sessions back

-- locks: rethread_archive.chatkit_sessions ACCESS EXCLUSIVE
-- locks: public.iso_agents SHARE ROW EXCLUSIVE
do $$
declare
  item record;
begin
  if to_regclass('rethread_archive.chatkit_sessions') is null then
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
