--! title: Each person sees and changes only their own chats with helpers
--! fix: The matrix in the report shows who has access by mistake, and by which operation: correct its policy,
--!   or what bypasses it.
--! kind: access
--! after: 001_create_chat_tables

insert into auth.users (id) values
  ('a0000000-7e57-4000-8000-000000000001'), ('a0000000-7e57-4000-8000-000000000003');
insert into public.projects (id, user_id) values
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003');
-- any helper that the track knows
insert into public.chat_sessions (id, user_id, project_id, helper, thread_id)
select x.id::uuid, x.user_id::uuid as user_id, x.project_id::uuid as project_id, h.helper, x.thread
from (values
  ('c0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'probe-owner'),
  ('c0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003', 'probe-outsider')
) as x (id, user_id, project_id, thread)
cross join (select coalesce((
  select substring(pg_get_constraintdef(c.oid) from '''\{?"?([^'',}"]+)') from pg_catalog.pg_constraint c
  where c.conname = 'chat_sessions_helper_known' and pg_get_constraintdef(c.oid) not like '%~%'), 'planner') as helper) h;
insert into public.chat_messages (id, session_id, role, content) values
  ('d0000000-7e57-4000-8000-000000000001', 'c0000000-7e57-4000-8000-000000000001', 'user', 'probe: owner'),
  ('d0000000-7e57-4000-8000-000000000003', 'c0000000-7e57-4000-8000-000000000003', 'user', 'probe: outsider');

select $access${
  "personas": {
    "owner": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000001", "role": "authenticated" } },
    "outsider": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000003", "role": "authenticated" } },
    "anon": { "role": "anon", "claims": { "role": "anon" } },
    "service": { "role": "service_role", "claims": { "role": "service_role" } }
  },
  "tables": [
    {
      "table": "public.chat_sessions",
      "row": { "id": "c0000000-7e57-4000-8000-000000000001" },
      "touch": "title",
      "move": { "project_id": "b0000000-7e57-4000-8000-000000000003", "user_id": "a0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select id, title, last_message_preview from public.chat_sessions order by last_message_at desc limit 50",
      "sees": "user_id::text = current_setting('rethread.persona')"
    },
    {
      "table": "public.chat_messages",
      "row": { "id": "d0000000-7e57-4000-8000-000000000001" },
      "touch": "content",
      "move": { "session_id": "c0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.chat_messages where session_id = 'c0000000-7e57-4000-8000-000000000001' order by created_at",
      "sees": "session_id in (select s.id from public.chat_sessions s where s.user_id::text = current_setting('rethread.persona'))"
    }
  ],
  "calls": [
    {
      "name": "write a message into the owner's chat",
      "sql": "insert into public.chat_messages (session_id, role, content) values ('c0000000-7e57-4000-8000-000000000001', 'user', 'probe')",
      "may": ["owner", "service"]
    },
    {
      "name": "open their own chat in the owner's project",
      "sql": "insert into public.chat_sessions (user_id, project_id, helper) select s.user_id, 'b0000000-7e57-4000-8000-000000000001', s.helper from public.chat_sessions s where s.user_id = (select auth.uid())",
      "may": ["owner"],
      "personas": ["owner", "outsider"]
    },
    {
      "name": "take over the owner's chat by its thread",
      "sql": "insert into public.chat_sessions (user_id, helper, thread_id) select s.user_id, s.helper, 'probe-owner' from public.chat_sessions s where s.user_id = (select auth.uid()) on conflict (thread_id) do update set title = 'taken'",
      "may": [],
      "personas": ["outsider"]
    }
  ]
}$access$::json as access;
