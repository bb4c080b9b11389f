--! title: Drop codebase_chat_sessions

drop table if exists public.codebase_chat_sessions;
drop function if exists chat_private.touch_codebase_chat_session();

-- locks: none
do $$
begin
  -- one that was there before may be another role's
  if not exists (select from pg_catalog.pg_depend where refobjid = to_regnamespace('chat_private') and deptype = 'n')
    and exists (select from pg_catalog.pg_namespace n where n.nspname = 'chat_private' and pg_has_role(n.nspowner, 'usage')) then
    drop schema if exists chat_private;
  end if;
end
$$;
