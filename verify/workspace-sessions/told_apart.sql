--! title: No two messages that fit no session are equal without a key
--! fix: Add a key: alter table ... add column row_id bigint generated always as identity primary key.
--!   Or delete the copies.
--! gate: 001_create_chat_sessions
--! until: 010_require_session
--! mutant: do $$ begin execute format('alter table %s drop constraint %I cascade', 'public.chats'::regclass,
--!   (select k.conname from pg_catalog.pg_constraint k where k.conrelid = 'public.chats'::regclass and k.contype = 'p')); end $$;
--!   insert into public.chats (id, created_at) select md5('twin')::uuid, '2025-01-01' from generate_series(1, 2)

-- the quarantine knows rows without a key by their content: it could keep only one of several that are equal
select x.content as object, format('%s messages are equal, and the table has no key', x.alike) as detail
from (
  select md5(row_to_json(c.*)::text) as content, count(*) as alike
  from public.chats c
  left join public.workspaces w on w.id = c.workspace_id
  where not exists (
      select from pg_catalog.pg_index i
      where i.indrelid = 'public.chats'::regclass and i.indisunique and i.indisvalid and i.indimmediate
        and i.indpred is null and i.indexprs is null
        and not exists (
          select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) n (attnum)
          join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = n.attnum
          where not a.attnotnull)
    )
    and (w.id is null and (c.workspace_id is not null or nullif(current_setting('rethread.null_workspace', true), '') is null)
      or w.id is not null and not exists (select from auth.users u where u.id = c.user_id or u.id = w.owner_id))
  group by 1
  having count(*) > 1
) x
order by 1
