-- A multi-tenant chat whose messages stand as a JSON array in each session. demo.messages says how
-- many, twenty in a session.
create table public.tenants (id uuid primary key default gen_random_uuid(), name text not null);
create table public.tenant_users (
  tenant_id uuid not null references public.tenants (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null default 'user' check (role in ('admin', 'user', 'viewer')),
  unique (tenant_id, user_id)
);
create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid constraint chat_sessions_tenant_fkey references public.tenants (id) on delete cascade,
  user_id uuid constraint chat_sessions_user_fkey references auth.users (id) on delete cascade,
  title text,
  messages jsonb default '[]',
  metadata jsonb default '{}',
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
create index chat_sessions_by_user on public.chat_sessions (user_id, updated_at desc);
alter table public.tenant_users enable row level security;
create policy tenant_users_own on public.tenant_users for select to authenticated using (user_id = (select auth.uid()));
alter table public.chat_sessions enable row level security;
create policy chat_sessions_own on public.chat_sessions for all to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create function public.touch_updated_at() returns trigger language plpgsql as $$
begin
  if new.updated_at = old.updated_at then
    new.updated_at = now();
  end if;
  return new;
end
$$;
create trigger chat_sessions_touch before update on public.chat_sessions
  for each row execute function public.touch_updated_at();

do $$
declare
  messages int := coalesce(nullif(current_setting('demo.messages', true), ''), '2000')::int;
  sessions int := greatest(10, messages / 20);
  people int := greatest(10, sessions / 5);
begin
  insert into auth.users (id, email) select md5('user ' || n)::uuid, 'person' || n || '@example.com' from generate_series(1, people) n;
  insert into public.tenants (id, name) select md5('tenant ' || n)::uuid, 'Tenant ' || n from generate_series(1, greatest(3, people / 10)) n;
  insert into public.tenant_users (tenant_id, user_id, role)
  select md5('tenant ' || (n % greatest(3, people / 10) + 1))::uuid, md5('user ' || n)::uuid, case when n % 7 = 0 then 'admin' when n % 11 = 0 then 'viewer' else 'user' end
  from generate_series(1, people) n;
  insert into public.chat_sessions (id, tenant_id, user_id, title, messages, created_at, updated_at)
  select md5('session ' || n)::uuid, md5('tenant ' || ((n % people + 1) % greatest(3, people / 10) + 1))::uuid, md5('user ' || (n % people + 1))::uuid, 'Chat ' || n,
    (select jsonb_agg(jsonb_build_object('role', case when i % 2 = 1 then 'user' else 'assistant' end,
        'content', 'session ' || n || ', message ' || i, 'timestamp', to_char(timestamptz '2025-01-01 00:00+00' + n * interval '1 hour' + i * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) order by i)
      from generate_series(1, 20) i),
    timestamptz '2025-01-01 00:00+00' + n * interval '1 hour', timestamptz '2025-01-01 00:20+00' + n * interval '1 hour'
  from generate_series(1, sessions) n;
end
$$;

-- The awkward sessions, by name.
insert into auth.users (id, email) values (md5('user of no tenant')::uuid, 'alone@example.com');
insert into public.chat_sessions (id, tenant_id, user_id, title, messages, created_at, updated_at)
select md5('awkward ' || a.name)::uuid, case when a.name = 'no tenant' then null else md5('tenant 1')::uuid end,
  case a.name when 'no user' then null when 'user without membership' then md5('user of no tenant')::uuid else md5('user 3')::uuid end,
  case a.name when 'no title' then null when 'a long title' then repeat('long ', 80) else a.name end, a.messages::jsonb, '2025-03-01 00:00+00', '2025-03-02 00:00+00'
from (values
  ('null array', null),
  ('empty array', '[]'),
  ('json null', 'null'),
  ('scalar', '"hello"'),
  ('object', '{"role": "user", "content": "not in an array"}'),
  ('array of null', '[null]'),
  ('no role', '[{"content": "who says so?"}, {"role": "user", "content": "I do"}]'),
  ('unknown role', '[{"role": "narrator", "content": "meanwhile"}, {"role": "user", "content": "go on"}]'),
  ('tool call', '[{"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "call_1", "content": "42"}]'),
  ('content parts', '[{"role": "user", "content": [{"type": "text", "text": "first part"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, {"type": "text", "text": "second part"}]}]'),
  ('exported tree', '[{"id": "node-1", "author": {"role": "user"}, "role": "user", "content": {"content_type": "text", "parts": ["from an export"]}, "create_time": 1735689600.25}]'),
  ('whole export', '{"title": "An export", "create_time": 1735689600.1, "current_node": "answer-2", "mapping": {
    "root": {"id": "root", "message": null, "parent": null, "children": ["rules"]},
    "rules": {"id": "rules", "message": {"id": "rules", "author": {"role": "system"}, "content": {"content_type": "text", "parts": [""]}, "create_time": null}, "parent": "root", "children": ["question"]},
    "answer-2": {"id": "answer-2", "message": {"id": "answer-2", "author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["the second try"]}, "create_time": 1735689700.5}, "parent": "question", "children": []},
    "question": {"id": "question", "message": {"id": "question", "author": {"role": "user"}, "content": {"content_type": "multimodal_text", "parts": ["what is this?", {"asset_pointer": "file-1"}]}, "create_time": 1735689600.25}, "parent": "rules", "children": ["answer-1", "answer-2"]},
    "answer-1": {"id": "answer-1", "message": {"id": "answer-1", "author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["the first try"]}, "create_time": 1735689650}, "parent": "question", "children": []}}}'),
  ('nodes of an export', '[{"id": "n1", "message": {"id": "n1", "author": {"role": "user"}, "content": {"content_type": "text", "parts": ["asked"]}, "create_time": 1735689600}, "parent": null, "children": ["n2"]}, {"id": "n2", "message": {"id": "n2", "author": {"role": "tool", "name": "browser"}, "content": {"content_type": "text", "parts": ["looked up"]}, "create_time": 1735689610}, "parent": "n1", "children": []}]'),
  ('epoch seconds', '[{"role": "user", "content": "s", "timestamp": 1735689600}]'),
  ('epoch milliseconds', '[{"role": "user", "content": "ms", "timestamp": 1735689600123}]'),
  ('unparsable time', '[{"role": "user", "content": "one", "timestamp": "yesterday"}, {"role": "assistant", "content": "two", "timestamp": "2025-13-45T00:00:00Z"}]'),
  ('no time', '[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]'),
  ('out of order', '[{"role": "user", "content": "first", "timestamp": "2025-01-02T00:00:00Z"}, {"role": "assistant", "content": "second", "timestamp": "2025-01-01T00:00:00Z"}]'),
  ('twice the same', '[{"role": "user", "content": "again", "timestamp": "2025-01-02T00:00:00Z"}, {"role": "user", "content": "again", "timestamp": "2025-01-02T00:00:00Z"}]'),
  ('more keys', '[{"id": "msg_1", "role": "user", "content": "hello", "model": "m", "usage": {"tokens": 3}}]'),
  ('a long title', '[{"role": "user", "content": "its title has 400 characters"}]'),
  ('no title', '[{"role": "user", "content": "untitled"}]'),
  ('no tenant', '[{"role": "user", "content": "of no tenant"}]'),
  ('no user', '[{"role": "user", "content": "of no user"}]'),
  ('user without membership', '[{"role": "user", "content": "of nobody here"}]')
) as a (name, messages);
-- one content of 10 MB, unless the setting demo.large says otherwise (in tens of characters)
insert into public.chat_sessions (id, tenant_id, user_id, title, messages, created_at, updated_at)
values (md5('awkward ten megabytes')::uuid, md5('tenant 1')::uuid, md5('user 3')::uuid, 'ten megabytes',
  jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('0123456789', coalesce(nullif(current_setting('demo.large', true), ''), '1048576')::int))), '2025-03-01 00:00+00', '2025-03-02 00:00+00');

analyze public.chat_sessions;
