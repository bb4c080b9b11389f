/**
 * What people's own migrations did to the databases that the tracks start from, in the order in which they
 * were pasted: the same idea as the track, under other names, with other types and wider policies.
 */
export const byHand: Record<string, string[]> = {
  'workspace-sessions': [
    `create table chat_sessions (
       id uuid default gen_random_uuid() primary key,
       workspace_id uuid references workspaces (id) on delete cascade not null,
       user_id uuid references auth.users (id) on delete cascade not null,
       title varchar(200) default 'New Chat' not null,
       created_at timestamptz default now(),
       updated_at timestamptz default now(),
       deleted_at timestamptz
     );
     create index idx_chat_sessions_workspace_id on chat_sessions (workspace_id);
     create index idx_chat_sessions_user_id on chat_sessions (user_id);
     create index idx_chat_sessions_created_at on chat_sessions (created_at desc);
     create index idx_chat_sessions_active on chat_sessions (workspace_id, deleted_at) where deleted_at is null;
     create trigger update_chat_sessions_updated_at before update on chat_sessions
       for each row execute function update_updated_at();`,
    `alter table chat_sessions enable row level security;
     create policy "Members can view sessions" on chat_sessions for select using (true);
     create policy "Users can create sessions" on chat_sessions for insert with check (auth.uid() = user_id);
     create policy "Users can update sessions" on chat_sessions for update using (auth.uid() = user_id);
     create policy "Users can delete sessions" on chat_sessions for delete using (auth.uid() = user_id);`,
    `alter table chats add column session_id uuid references chat_sessions (id) on delete cascade;
     create index idx_chats_session_id on chats (session_id);
     create index idx_chats_session_created on chats (session_id, created_at);`,
    `insert into chat_sessions (workspace_id, user_id, title, created_at, updated_at)
     select w.id, w.owner_id, 'Legacy Chat', min(c.created_at), max(c.created_at)
     from chats c join workspaces w on w.id = c.workspace_id where w.owner_id is not null group by w.id, w.owner_id;
     update chats c set session_id = s.id from chat_sessions s where s.workspace_id = c.workspace_id;`,
    `delete from chats where session_id is null;
     alter table chats alter column session_id set not null;`,
  ],
  'conversation-history': [
    `alter table chat_sessions rename to conversations;
     alter table conversations alter column title set default 'New Conversation';
     create table messages (
       id uuid primary key default gen_random_uuid(),
       conversation_id uuid not null references conversations (id),
       role varchar(20) check (role in ('user', 'assistant', 'system')),
       content text not null,
       metadata jsonb default '{}',
       created_at timestamp with time zone default now()
     );`,
    `insert into messages (conversation_id, role, content, created_at)
     select c.id, coalesce(e ->> 'role', 'user'), e ->> 'content', c.created_at
     from conversations c cross join jsonb_array_elements(case jsonb_typeof(c.messages) when 'array' then c.messages else '[]' end) e
     where jsonb_typeof(e) = 'object' and e ->> 'role' in ('user', 'assistant', 'system') and e ->> 'content' is not null;`,
    `alter table conversations drop column messages;
     alter table messages enable row level security;
     create policy "Users see their messages" on messages for select
       using (conversation_id in (select id from conversations where user_id = auth.uid()));`,
  ],
  'helper-chats': [
    `create table chat_sessions (
       id uuid primary key default gen_random_uuid(),
       user_id uuid not null references auth.users (id) on delete cascade,
       project_id uuid references projects (id) on delete cascade,
       helper text not null,
       thread_id text,
       title text default 'New Chat',
       last_message_preview text,
       last_message_at timestamptz,
       created_at timestamptz default now(),
       updated_at timestamptz default now()
     );
     create table chat_messages (
       id uuid primary key default gen_random_uuid(),
       session_id uuid not null references chat_sessions (id) on delete cascade,
       role text not null check (role in ('user', 'assistant')),
       content text not null,
       tool_calls jsonb,
       created_at timestamptz default now()
     );
     insert into chat_sessions (id, user_id, helper)
     select gen_random_uuid(), id, 'planner' from auth.users order by id limit 3;
     insert into chat_messages (session_id, role, content) select id, 'user', 'What was said before' from chat_sessions;`,
    `create function update_chat_session_timestamp() returns trigger language plpgsql as $$
     begin
       update chat_sessions set updated_at = now(), last_message_at = now() where id = new.session_id;
       return new;
     end $$;
     create trigger update_chat_session_on_message after insert on chat_messages
       for each row execute function update_chat_session_timestamp();
     alter table chat_sessions enable row level security;
     alter table chat_messages enable row level security;
     create policy "own sessions" on chat_sessions using (auth.uid() = user_id);
     create policy "own messages" on chat_messages
       using (session_id in (select id from chat_sessions where user_id = auth.uid()));`,
  ],
  'codebase-sessions': [
    `create table codebase_chat_sessions (
       id uuid primary key default gen_random_uuid(),
       session_id text unique not null,
       user_id uuid references auth.users (id) on delete set null,
       repo text,
       current_file text,
       conversation_history jsonb default '[]',
       context_cache jsonb default '{}',
       last_activity timestamptz default now(),
       created_at timestamptz default now(),
       updated_at timestamptz default now()
     );
     insert into codebase_chat_sessions (session_id, user_id)
     select 'chat-1705622400000-' || row_number() over (order by id), id from auth.users order by id limit 3;`,
    `create index idx_codebase_chat_sessions_session_id on codebase_chat_sessions (session_id);
     create index idx_codebase_chat_sessions_user_id on codebase_chat_sessions (user_id);
     create index idx_codebase_chat_sessions_last_activity on codebase_chat_sessions (last_activity);
     alter table codebase_chat_sessions enable row level security;
     create policy "Users can view their own sessions" on codebase_chat_sessions for select
       using (auth.uid() = user_id or user_id is null);
     create policy "Anyone can insert sessions" on codebase_chat_sessions for insert with check (true);
     create policy "Anyone can delete sessions" on codebase_chat_sessions for delete using (true);`,
  ],
  'trip-sessions': [
    `create type session_status as enum ('active', 'paused', 'completed', 'archived');
     create table chat_sessions (
       id uuid primary key default gen_random_uuid(),
       conversation_id uuid not null references conversations (id) on delete cascade,
       request_id uuid references requests (id) on delete set null,
       iso_agent_id uuid not null references iso_agents (id) on delete cascade,
       status session_status not null default 'active',
       avinode_trip_id text,
       avinode_rfp_id text,
       primary_quote_id uuid references quotes (id) on delete set null,
       proposal_id uuid references proposals (id) on delete set null,
       session_started_at timestamptz not null default now(),
       last_activity_at timestamptz not null default now(),
       session_ended_at timestamptz,
       current_step text,
       workflow_state jsonb default '{}',
       message_count integer default 0,
       quotes_expected_count integer default 0,
       quotes_received_count integer default 0,
       metadata jsonb default '{}',
       created_at timestamptz not null default now(),
       updated_at timestamptz not null default now()
     );
     create index idx_chat_sessions_trip on chat_sessions (avinode_trip_id) where avinode_trip_id is not null;
     insert into chat_sessions (conversation_id, request_id, iso_agent_id)
     select c.id, r.id, r.iso_agent_id from conversations c join requests r on r.id = c.request_id
     where r.iso_agent_id is not null order by c.id limit 5;`,
    `create function touch_session() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
     create trigger update_chat_sessions_updated_at before update on chat_sessions
       for each row execute function touch_session();
     alter table chat_sessions enable row level security;
     create policy "Agents see their sessions" on chat_sessions for select
       using (iso_agent_id in (select id from iso_agents where clerk_user_id = auth.jwt() ->> 'sub'));
     drop table chatkit_sessions cascade;`,
  ],
}
