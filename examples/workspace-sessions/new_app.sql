-- What the new application does: opens sessions of its own and talks in them; and one person
-- renames a legacy session.
with room as (select w.id, w.owner_id from public.workspaces w where w.owner_id is not null order by w.id limit 3),
made as (
  insert into public.chat_sessions (workspace_id, user_id, title)
  select id, owner_id, 'A fresh start' from room returning id, workspace_id, user_id
)
insert into public.chats (workspace_id, user_id, role, message, session_id)
select m.workspace_id, m.user_id, 'user', 'A first message in a session of its own', m.id
from made m cross join generate_series(1, coalesce(nullif(current_setting('demo.writes', true), ''), '1000')::int * 7 / 20);
update public.chat_sessions set title = 'Everything before spring'
where id = (select id from public.chat_sessions where title = 'Legacy Chat' order by id limit 1);
