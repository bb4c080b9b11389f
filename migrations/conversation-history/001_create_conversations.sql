--! title: Create conversations and messages, closed to everybody but their owners
--! phase: expand
--! requires: table public.tenants, table public.tenant_users, column public.tenant_users.role any, table public.chat_sessions,
--!   column public.chat_sessions.messages jsonb|json, column public.chat_sessions.tenant_id uuid, column public.chat_sessions.user_id uuid,
--!   column public.chat_sessions.id uuid, column public.chat_sessions.title text|varchar, column public.chat_sessions.metadata jsonb,
--!   column public.chat_sessions.created_at timestamptz, column public.chat_sessions.updated_at timestamptz,
--!   column public.tenants.id uuid, column public.tenant_users.tenant_id uuid, column public.tenant_users.user_id uuid,
--!   table auth.users, column auth.users.id uuid, function auth.uid(), role authenticated, role service_role, role anon

create schema if not exists chat_private;
revoke all on schema chat_private from public;
grant usage on schema chat_private to authenticated, service_role;

create table public.conversations (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null,
  user_id uuid not null,
  -- text: applications take titles from the first message, and a longer one must not fail the
  -- old application's statement
  title text not null default 'New Conversation',
  metadata jsonb default '{}',
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);

create table public.messages (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null,
  role varchar(20) not null constraint messages_role_known check (role in ('user', 'assistant', 'system')),
  content text not null,
  metadata jsonb default '{}',
  created_at timestamptz default now()
);

create index idx_conversations_tenant_id on public.conversations (tenant_id);
create index idx_conversations_user_recent on public.conversations (user_id, updated_at desc);
create index idx_messages_conversation_created on public.messages (conversation_id, created_at);

-- The role of the current user in a tenant; null if they are no member. It is a function, because a policy of
-- tenant_users that reads tenant_users would recurse.
create function chat_private.tenant_role(tenant uuid) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select t.role::text from public.tenant_users t where t.tenant_id = tenant_role.tenant and t.user_id = (select auth.uid())
$$;
revoke all on function chat_private.tenant_role(uuid) from public;
grant execute on function chat_private.tenant_role(uuid) to authenticated, service_role;

alter table public.conversations enable row level security;
alter table public.messages enable row level security;

create policy conversations_select on public.conversations for select to authenticated
  using (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null
    or chat_private.tenant_role(tenant_id) = 'admin');
create policy conversations_insert on public.conversations for insert to authenticated
  with check (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null);
create policy conversations_update on public.conversations for update to authenticated
  using (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null)
  with check (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null);
create policy conversations_delete on public.conversations for delete to authenticated
  using (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null);

create policy messages_select on public.messages for select to authenticated
  using (exists (select from public.conversations c where c.id = messages.conversation_id));
create policy messages_insert on public.messages for insert to authenticated
  with check (exists (select from public.conversations c where c.id = messages.conversation_id and c.user_id = (select auth.uid())));
create policy messages_update on public.messages for update to authenticated
  using (exists (select from public.conversations c where c.id = messages.conversation_id and c.user_id = (select auth.uid())))
  with check (exists (select from public.conversations c where c.id = messages.conversation_id and c.user_id = (select auth.uid())));
create policy messages_delete on public.messages for delete to authenticated
  using (exists (select from public.conversations c where c.id = messages.conversation_id and c.user_id = (select auth.uid())));

revoke all on public.conversations, public.messages from public, anon, authenticated;
grant select, insert, update, delete on public.conversations, public.messages to authenticated, service_role;

alter table public.messages
  add constraint messages_conversation_id_fkey foreign key (conversation_id) references public.conversations (id) on delete cascade;
-- Last, because these block writes to the tables that they lead to until the commit.
alter table public.conversations
  add constraint conversations_tenant_id_fkey foreign key (tenant_id) references public.tenants (id) on delete cascade on update cascade;
alter table public.conversations
  add constraint conversations_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade on update cascade;
