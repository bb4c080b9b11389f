--! title: The foreign keys exist, are valid, and are true of the rows
--! after: 008_prove_foreign_key

-- `convalidated` is not believed: a validation under row security can pass over rows. The messages' own is
-- re-proved by `same_workspace`, which reads them all anyway.
select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated' else 'does not cascade' end as detail
from (values
  ('public.chats', 'chats_session_id_fkey'),
  ('public.chat_sessions', 'chat_sessions_workspace_id_fkey'),
  ('public.chat_sessions', 'chat_sessions_user_id_fkey')
) as w (rel, name)
left join pg_catalog.pg_constraint k
  on k.conrelid = to_regclass(w.rel) and k.conname = w.name and k.contype = 'f'
where k.conname is null or not k.convalidated or k.confdeltype <> 'c'
union all
select 'chat_sessions ' || s.id, 'its workspace does not exist'
from public.chat_sessions s
where not exists (select from public.workspaces w where w.id = s.workspace_id)
union all
select 'chat_sessions ' || s.id, 'its user does not exist'
from public.chat_sessions s
where not exists (select from auth.users u where u.id = s.user_id)
