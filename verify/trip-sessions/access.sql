--! title: Each agent sees and changes only their own sessions, and cannot link them to data of others
--! fix: The matrix in the report shows who has access by mistake, and by which operation: correct its policy,
--!   or what bypasses it.
--! kind: access
--! after: 017_create_chat_sessions

insert into public.iso_agents (id, clerk_user_id) values
  ('a0000000-7e57-4000-8000-000000000001', 'probe_owner'), ('a0000000-7e57-4000-8000-000000000003', 'probe_outsider');
insert into public.requests (id, iso_agent_id) values
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003');
insert into public.conversations (id) values
  ('e0000000-7e57-4000-8000-000000000001'), ('e0000000-7e57-4000-8000-000000000003');
-- a conversation of the outsider, by its request, with a quote and a proposal
insert into public.conversations (id, request_id) values
  ('e0000000-7e57-4000-8000-000000000005', 'b0000000-7e57-4000-8000-000000000003');
insert into public.quotes (id, request_id) values ('90000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003');
insert into public.proposals (id, request_id) values ('80000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003');
insert into public.chat_sessions (id, conversation_id, request_id, iso_agent_id) values
  ('c0000000-7e57-4000-8000-000000000001', 'e0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('c0000000-7e57-4000-8000-000000000003', 'e0000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003');

select $access${
  "personas": {
    "owner": { "role": "authenticated", "claims": { "sub": "probe_owner", "role": "authenticated" } },
    "outsider": { "role": "authenticated", "claims": { "sub": "probe_outsider", "role": "authenticated" } },
    "stranger": { "role": "authenticated", "claims": { "sub": "probe_without_agent", "role": "authenticated" } },
    "anon": { "role": "anon", "claims": { "role": "anon" } },
    "service": { "role": "service_role", "claims": { "role": "service_role" } }
  },
  "tables": [
    {
      "table": "public.chat_sessions",
      "row": { "id": "c0000000-7e57-4000-8000-000000000001" },
      "touch": "current_step",
      "move": { "iso_agent_id": "a0000000-7e57-4000-8000-000000000003", "request_id": "b0000000-7e57-4000-8000-000000000003", "conversation_id": "e0000000-7e57-4000-8000-000000000005", "primary_quote_id": "90000000-7e57-4000-8000-000000000003", "proposal_id": "80000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.chat_sessions where status in ('active', 'paused') order by last_activity_at desc limit 50",
      "sees": "iso_agent_id in (select a.id from public.iso_agents a where a.clerk_user_id = current_setting('rethread.persona'))"
    }
  ],
  "calls": [
    {
      "name": "open a session for the owner on the outsider's conversation",
      "sql": "insert into public.chat_sessions (conversation_id, iso_agent_id) values ('e0000000-7e57-4000-8000-000000000005', 'a0000000-7e57-4000-8000-000000000001')",
      "may": ["service"]
    },
    {
      "name": "open a session for the owner on a conversation that another agent has a session on",
      "sql": "insert into public.chat_sessions (conversation_id, iso_agent_id) values ('e0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000001')",
      "may": ["service"]
    },
    {
      "name": "open a session for the owner on the outsider's request",
      "sql": "insert into public.chat_sessions (conversation_id, iso_agent_id, request_id) values ('e0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000003')",
      "may": ["service"]
    },
    {
      "name": "open a session for the owner on the outsider's conversation through the function",
      "sql": "select public.create_or_update_chat_session('e0000000-7e57-4000-8000-000000000005', 'a0000000-7e57-4000-8000-000000000001')",
      "may": ["service"]
    },
    {
      "name": "open a session for the outsider through the function",
      "sql": "select public.create_or_update_chat_session('e0000000-7e57-4000-8000-000000000005', 'a0000000-7e57-4000-8000-000000000003')",
      "may": ["outsider", "service"]
    },
    {
      "name": "attach the outsider's request through the function",
      "sql": "with called as materialized (select public.set_chat_session_trip('c0000000-7e57-4000-8000-000000000001', null, null, null, 'b0000000-7e57-4000-8000-000000000003')) select from called, public.chat_sessions s where s.id = 'c0000000-7e57-4000-8000-000000000001'",
      "may": ["service"]
    },
    {
      "name": "open a session for the owner",
      "sql": "insert into public.chat_sessions (conversation_id, iso_agent_id) values ('e0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001')",
      "may": ["owner", "service"]
    },
    {
      "name": "complete the owner's session through its function",
      "sql": "with called as materialized (select public.complete_chat_session('c0000000-7e57-4000-8000-000000000001')) select from called, public.chat_sessions s where s.id = 'c0000000-7e57-4000-8000-000000000001'",
      "may": ["owner", "service"]
    }
  ]
}$access$::json as access;
