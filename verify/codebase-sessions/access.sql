--! title: Each person sees and changes only their own sessions; nobody sees a session without an owner
--! fix: The matrix in the report shows who has access by mistake, and by which operation: correct its policy,
--!   or what bypasses it.
--! kind: access
--! after: 001_create_codebase_chat_sessions

insert into auth.users (id) values
  ('a0000000-7e57-4000-8000-000000000001'), ('a0000000-7e57-4000-8000-000000000003');
insert into public.codebase_chat_sessions (id, session_id, user_id, repo) values
  ('c0000000-7e57-4000-8000-000000000001', 'chat-1-probeowner', 'a0000000-7e57-4000-8000-000000000001', 'probe'),
  ('c0000000-7e57-4000-8000-000000000002', 'chat-1-probeownerless', null, 'probe'),
  ('c0000000-7e57-4000-8000-000000000003', 'chat-1-probeoutsider', 'a0000000-7e57-4000-8000-000000000003', 'probe');

select $access${
  "personas": {
    "owner": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000001", "role": "authenticated" } },
    "outsider": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000003", "role": "authenticated" } },
    "anon": { "role": "anon", "claims": { "role": "anon" } },
    "service": { "role": "service_role", "claims": { "role": "service_role" } }
  },
  "tables": [
    {
      "table": "public.codebase_chat_sessions",
      "row": { "id": "c0000000-7e57-4000-8000-000000000001" },
      "touch": "repo",
      "move": { "user_id": "a0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.codebase_chat_sessions where session_id = 'chat-1-probeowner'",
      "sees": "user_id::text = current_setting('rethread.persona')"
    }
  ],
  "calls": [
    {
      "name": "read a session without an owner",
      "sql": "select from public.codebase_chat_sessions where session_id = 'chat-1-probeownerless'",
      "may": ["service"]
    },
    {
      "name": "claim a session without an owner",
      "sql": "update public.codebase_chat_sessions set user_id = (select auth.uid()) where session_id = 'chat-1-probeownerless'",
      "may": ["service"]
    },
    {
      "name": "take over the owner's session by the application's upsert",
      "sql": "insert into public.codebase_chat_sessions (session_id, user_id) values ('chat-1-probeowner', 'a0000000-7e57-4000-8000-000000000003') on conflict (session_id) do update set user_id = excluded.user_id",
      "may": ["service"]
    }
  ]
}$access$::json as access;
