--! title: While both applications run, nobody can write into sessions of others, even if older policies on messages allow it
--! fix: The matrix in the report shows who has access by mistake, and by which operation: correct its policy,
--!   or what bypasses it.
--! kind: access
--! after: 002_link_chats_to_sessions
--! until: 011_follow_the_session

insert into auth.users (id) values
  ('a0000000-7e57-4000-8000-000000000001'), ('a0000000-7e57-4000-8000-000000000002'), ('a0000000-7e57-4000-8000-000000000003');
insert into public.workspaces (id, owner_id) values
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('b0000000-7e57-4000-8000-000000000002', 'a0000000-7e57-4000-8000-000000000001'),
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
-- and one that gets its session from the database: the legacy session of the owner's workspace
insert into public.chats (id, workspace_id, user_id, role, message) values
  ('d0000000-7e57-4000-8000-000000000004', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'user', 'probe: old application');

-- Who may read, write and delete messages is decided by the application's own rule; to which session a
-- message may go is not. So only personas are tried that must be refused.
select replace(replace($access${
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
    }
  ],
  "calls": [
    {
      "name": "write their own message into the owner's session",
      "sql": "insert into public.chats (workspace_id, user_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000001', (select auth.uid()), 'user', 'probe', 'c0000000-7e57-4000-8000-000000000001')",
      "may": [],
      "personas": ["member", "outsider", "nobody", "anon"]
    },
    {
      "name": "write a message in the owner's name into the owner's session",
      "sql": "insert into public.chats (workspace_id, user_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'user', 'probe', 'c0000000-7e57-4000-8000-000000000001')",
      "may": [],
      "personas": ["member", "outsider", "nobody", "anon"]
    },
    {
      "name": "write their own message into the legacy session of the owner's workspace",
      "sql": "insert into public.chats (workspace_id, user_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000001', (select auth.uid()), 'user', 'probe', '%legacy%')",
      "may": [],
      "personas": ["outsider", "nobody", "anon"]
    },
    {
      "name": "write a message of their own workspace into the owner's session",
      "sql": "insert into public.chats (workspace_id, user_id, role, message, session_id) values ('b0000000-7e57-4000-8000-000000000003', (select auth.uid()), 'user', 'probe', 'c0000000-7e57-4000-8000-000000000001')",
      "may": [],
      "personas": ["outsider", "nobody", "anon"]
    },
    {
      "name": "move their own message into the owner's session",
      "sql": "update public.chats set workspace_id = 'b0000000-7e57-4000-8000-000000000001', session_id = 'c0000000-7e57-4000-8000-000000000001' where user_id = (select auth.uid())",
      "may": [],
      "personas": ["member", "outsider"]
    },
    {
      "name": "move their own message into the owner's session, without changing its workspace",
      "sql": "update public.chats set session_id = 'c0000000-7e57-4000-8000-000000000001' where user_id = (select auth.uid())",
      "may": [],
      "personas": ["member", "outsider"]
    },
    {
      "name": "move their own message into the legacy session of the owner's workspace",
      "sql": "update public.chats set workspace_id = 'b0000000-7e57-4000-8000-000000000001', session_id = '%legacy%' where user_id = (select auth.uid())",
      "may": [],
      "personas": ["outsider"]
    },
    {
      "name": "use the id that the legacy session of the owner's other workspace will have",
      "sql": "insert into public.chat_sessions (id, workspace_id, user_id) values ('%to come%', 'b0000000-7e57-4000-8000-000000000003', (select auth.uid()))",
      "may": [],
      "personas": ["outsider", "nobody", "anon"]
    },
    {
      "name": "open their own session in a workspace that they may use",
      "sql": "insert into public.chat_sessions (workspace_id, user_id) values ('b0000000-7e57-4000-8000-000000000001', (select auth.uid()))",
      "may": ["owner", "member"],
      "personas": ["owner", "member", "outsider", "anon"]
    }
  ]
}$access$,
  -- where the trigger is off, which the check `triggers` says, it is another session of the owner's
  '%legacy%', coalesce((select c.session_id::text from public.chats c where c.id = 'd0000000-7e57-4000-8000-000000000004'), 'c0000000-7e57-4000-8000-000000000001')),
  '%to come%', chat_private.legacy_session_id('b0000000-7e57-4000-8000-000000000002', 'a0000000-7e57-4000-8000-000000000001')::text)::json as access;
