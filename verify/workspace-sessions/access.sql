--! title: Each person sees and changes only their own sessions and messages
--! fix: The matrix in the report shows who has access by mistake, and by which operation: correct its policy,
--!   or what bypasses it.
--! kind: access
--! after: 011_follow_the_session

insert into auth.users (id) values
  ('a0000000-7e57-4000-8000-000000000001'), ('a0000000-7e57-4000-8000-000000000002'), ('a0000000-7e57-4000-8000-000000000003');
insert into public.workspaces (id, owner_id) values
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003');
insert into public.chat_sessions (id, workspace_id, user_id, title) values
  ('c0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'probe: owner'),
  ('c0000000-7e57-4000-8000-000000000002', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000002', 'probe: member'),
  ('c0000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003', 'probe: outsider');
-- the member is one because they have written in the workspace
insert into public.chats (id, workspace_id, user_id, role, message, session_id) values
  ('d0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'user', 'probe: owner', 'c0000000-7e57-4000-8000-000000000001'),
  ('d0000000-7e57-4000-8000-000000000002', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000002', 'user', 'probe: member', 'c0000000-7e57-4000-8000-000000000002'),
  ('d0000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003', 'user', 'probe: outsider', 'c0000000-7e57-4000-8000-000000000003');

select $access${
  "personas": {
    "owner": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000001", "role": "authenticated" } },
    "member": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000002", "role": "authenticated" } },
    "outsider": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000003", "role": "authenticated" } },
    "nobody": { "role": "authenticated", "claims": { "role": "authenticated" } },
    "anon": { "role": "anon", "claims": { "role": "anon" } },
    "service": { "role": "service_role", "claims": { "role": "service_role" } }
  },
  "tables": [
    {
      "table": "public.chat_sessions",
      "row": { "id": "c0000000-7e57-4000-8000-000000000001" },
      "touch": "title",
      "move": { "workspace_id": "b0000000-7e57-4000-8000-000000000003", "user_id": "a0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.chat_sessions order by updated_at desc limit 50",
      "sees": "user_id::text = current_setting('rethread.persona')"
    },
    {
      "table": "public.chats",
      "row": { "id": "d0000000-7e57-4000-8000-000000000001" },
      "touch": "message",
      "move": { "workspace_id": "b0000000-7e57-4000-8000-000000000003", "session_id": "c0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.chats where session_id = 'c0000000-7e57-4000-8000-000000000001' order by created_at",
      "sees": "session_id in (select s.id from public.chat_sessions s where s.user_id::text = current_setting('rethread.persona'))"
    }
  ],
  "calls": [
    {
      "name": "write a message into the owner's session",
      "sql": "insert into public.chats (workspace_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000001', 'user', 'probe', 'c0000000-7e57-4000-8000-000000000001')",
      "may": ["owner", "service"]
    },
    {
      "name": "write their own message into the owner's session",
      "sql": "insert into public.chats (workspace_id, user_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000001', (select auth.uid()), 'user', 'probe', 'c0000000-7e57-4000-8000-000000000001')",
      "may": ["owner", "service"]
    },
    {
      "name": "write a message in the owner's name into the owner's session",
      "sql": "insert into public.chats (workspace_id, user_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'user', 'probe', 'c0000000-7e57-4000-8000-000000000001')",
      "may": ["owner", "service"]
    },
    {
      "name": "move their own message into the owner's session",
      "sql": "update public.chats set workspace_id = 'b0000000-7e57-4000-8000-000000000001', session_id = 'c0000000-7e57-4000-8000-000000000001' where user_id = (select auth.uid())",
      "may": ["owner"],
      "personas": ["owner", "member", "outsider"]
    },
    {
      "name": "open a session in the owner's workspace in the owner's name",
      "sql": "insert into public.chat_sessions (workspace_id, user_id) values ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001')",
      "may": ["owner", "service"]
    },
    {
      "name": "open their own session in a workspace that they may use",
      "sql": "insert into public.chat_sessions (workspace_id, user_id) values ('b0000000-7e57-4000-8000-000000000001', (select auth.uid()))",
      "may": ["owner", "member"],
      "personas": ["owner", "member", "outsider", "anon"]
    }
  ]
}$access$::json as access;
