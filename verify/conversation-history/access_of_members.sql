--! title: Each person sees and changes only their own conversations, in tenants of which nobody is an admin, and nobody can add themselves
--! fix: The matrix in the report shows who has access by mistake, and by which operation: correct its policy,
--!   or what bypasses it.
--! kind: access
--! after: 001_create_conversations
--! without: tenant_users.role

insert into auth.users (id) values
  ('a0000000-7e57-4000-8000-000000000001'), ('a0000000-7e57-4000-8000-000000000002'), ('a0000000-7e57-4000-8000-000000000003');
insert into public.tenants (id) values
  ('b0000000-7e57-4000-8000-000000000001'), ('b0000000-7e57-4000-8000-000000000003');
insert into public.tenant_users (tenant_id, user_id) values
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001'),
  ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000002'),
  ('b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003');
insert into public.conversations (id, tenant_id, user_id, title) values
  ('c0000000-7e57-4000-8000-000000000001', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000001', 'probe: owner'),
  ('c0000000-7e57-4000-8000-000000000002', 'b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000002', 'probe: member'),
  ('c0000000-7e57-4000-8000-000000000003', 'b0000000-7e57-4000-8000-000000000003', 'a0000000-7e57-4000-8000-000000000003', 'probe: outsider');
insert into public.messages (id, conversation_id, role, content) values
  ('d0000000-7e57-4000-8000-000000000001', 'c0000000-7e57-4000-8000-000000000001', 'user', 'probe: owner'),
  ('d0000000-7e57-4000-8000-000000000002', 'c0000000-7e57-4000-8000-000000000002', 'user', 'probe: member'),
  ('d0000000-7e57-4000-8000-000000000003', 'c0000000-7e57-4000-8000-000000000003', 'user', 'probe: outsider');

select $access${
  "personas": {
    "owner": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000001", "role": "authenticated" } },
    "member": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000002", "role": "authenticated" } },
    "outsider": { "role": "authenticated", "claims": { "sub": "a0000000-7e57-4000-8000-000000000003", "role": "authenticated" } },
    "anon": { "role": "anon", "claims": { "role": "anon" } },
    "service": { "role": "service_role", "claims": { "role": "service_role" } }
  },
  "tables": [
    {
      "table": "public.conversations",
      "row": { "id": "c0000000-7e57-4000-8000-000000000001" },
      "touch": "title",
      "move": { "tenant_id": "b0000000-7e57-4000-8000-000000000003", "user_id": "a0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.conversations where user_id = (select auth.uid()) order by updated_at desc limit 50",
      "sees": "exists (select from public.tenant_users t where t.tenant_id = conversations.tenant_id and t.user_id = conversations.user_id and t.user_id::text = current_setting('rethread.persona'))"
    },
    {
      "table": "public.messages",
      "row": { "id": "d0000000-7e57-4000-8000-000000000001" },
      "touch": "content",
      "move": { "conversation_id": "c0000000-7e57-4000-8000-000000000003" },
      "may": { "select": ["owner", "service"], "insert": ["owner", "service"], "update": ["owner", "service"], "delete": ["owner", "service"], "move": ["service"] },
      "reads": "select * from public.messages where conversation_id = 'c0000000-7e57-4000-8000-000000000001' order by created_at",
      "sees": "exists (select from public.conversations c join public.tenant_users t on t.tenant_id = c.tenant_id and t.user_id = c.user_id where c.id = messages.conversation_id and t.user_id::text = current_setting('rethread.persona'))"
    }
  ],
  "calls": [
    {
      "name": "add themselves to the owner's tenant",
      "sql": "insert into public.tenant_users (tenant_id, user_id) values ('b0000000-7e57-4000-8000-000000000001', 'a0000000-7e57-4000-8000-000000000003')",
      "may": ["service"]
    },
    {
      "name": "write a message into the owner's conversation",
      "sql": "insert into public.messages (conversation_id, role, content) values ('c0000000-7e57-4000-8000-000000000001', 'user', 'probe')",
      "may": ["owner", "service"]
    },
    {
      "name": "open their own conversation in the owner's tenant",
      "sql": "insert into public.conversations (tenant_id, user_id) values ('b0000000-7e57-4000-8000-000000000001', (select auth.uid()))",
      "may": ["owner", "member"],
      "personas": ["owner", "member", "outsider", "anon"]
    }
  ]
}$access$::json as access;
