-- A chat database as it stands before sessions: all messages of a workspace are one conversation.
-- The settings demo.messages and demo.workspaces say how many; the awkward rows come on top and are
-- the same in every database.
create function public.update_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end
$$;

create table public.workspaces (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  owner_id uuid references auth.users (id) on delete cascade,
  updated_at timestamptz not null default now()
);
create trigger update_workspaces_updated_at before update on public.workspaces
  for each row execute function public.update_updated_at();

create table public.chats (
  id uuid primary key default gen_random_uuid(),
  workspace_id uuid,
  user_id uuid,
  role text,
  message text,
  created_at timestamptz default now()
);

do $$
declare
  messages int := coalesce(nullif(current_setting('demo.messages', true), ''), '2000')::int;
  people int := greatest(10, messages / 400);
  rooms int := coalesce(nullif(current_setting('demo.workspaces', true), '')::int, greatest(8, messages / 500));
begin
  insert into auth.users (id, email)
  select md5('user ' || n)::uuid, 'person' || n || '@example.com' from generate_series(1, people) n;

  insert into public.workspaces (id, name, owner_id)
  select md5('workspace ' || n)::uuid, 'Workspace ' || n, md5('user ' || (n % people + 1))::uuid
  from generate_series(1, rooms) n;

  -- skewed: a few workspaces hold most of the messages; one in six has several authors
  insert into public.chats (id, workspace_id, user_id, role, message, created_at)
  select
    md5('message ' || n)::uuid,
    md5('workspace ' || w)::uuid,
    md5('user ' || case when w % 6 = 0 and n % 3 = 0 then (w + 7) % people + 1 else w % people + 1 end)::uuid,
    case when n % 2 = 1 then 'user' else 'assistant' end,
    repeat('Something that was said in workspace ' || w || ', message ' || n || '. ', 1 + n % 4),
    timestamptz '2025-01-01 00:00+00' + n * interval '37 seconds'
  from generate_series(1, messages) n
  cross join lateral (
    select 1 + floor(power(((hashint8(n)::bigint & 2147483647) % 10000) / 10000.0, 3) * (rooms - 3))::int as w
  ) pick;
end
$$;

-- The awkward rows, by name:
-- messages of no workspace
insert into public.chats (id, workspace_id, user_id, role, message, created_at)
select md5('awkward no workspace ' || n)::uuid, null, md5('user 1')::uuid, 'user', 'Who am I talking to?', timestamptz '2025-02-01 00:00+00'
from generate_series(1, 5) n;
-- messages of a workspace that was deleted
insert into public.chats (id, workspace_id, user_id, role, message, created_at)
select md5('awkward deleted workspace ' || n)::uuid, md5('workspace that was deleted')::uuid, md5('user 2')::uuid, 'user', 'Is anybody here?', timestamptz '2025-02-02 00:00+00'
from generate_series(1, 3) n;
-- messages without an author, without a time, of an author whose account is gone, of an
-- unknown role, without text
insert into public.chats (id, workspace_id, user_id, role, message, created_at) values
  (md5('awkward no author')::uuid, md5('workspace 1')::uuid, null, 'assistant', 'Said by nobody.', timestamptz '2025-02-03 00:00+00'),
  (md5('awkward no time')::uuid, md5('workspace 2')::uuid, md5('user 3')::uuid, 'user', 'Said at no time.', null),
  (md5('awkward author gone')::uuid, md5('workspace 3')::uuid, md5('user who left')::uuid, 'user', 'I have left.', timestamptz '2025-02-04 00:00+00'),
  (md5('awkward role')::uuid, md5('workspace 4')::uuid, md5('user 5')::uuid, 'tool', '{"result": 42}', timestamptz '2025-02-05 00:00+00'),
  (md5('awkward empty')::uuid, md5('workspace 4')::uuid, md5('user 5')::uuid, null, null, timestamptz '2025-02-05 00:01+00');
-- a workspace whose messages have no time at all
insert into public.workspaces (id, name, owner_id) values
  (md5('workspace of no time')::uuid, 'No time', md5('user 4')::uuid),
  (md5('workspace of nobody')::uuid, 'Nobody', null),
  (md5('workspace without messages')::uuid, 'Empty', md5('user 6')::uuid);
insert into public.chats (id, workspace_id, user_id, role, message, created_at) values
  (md5('awkward timeless')::uuid, md5('workspace of no time')::uuid, md5('user 4')::uuid, 'user', 'When?', null),
-- a workspace without an owner: its one author owns the session; a message of nobody in it
  (md5('awkward ownerless')::uuid, md5('workspace of nobody')::uuid, md5('user 7')::uuid, 'user', 'Mine now.', timestamptz '2025-02-06 00:00+00');
-- a workspace without an owner whose author is gone too: nobody could own the session
insert into public.workspaces (id, name, owner_id) values (md5('workspace of ghosts')::uuid, 'Ghosts', null);
insert into public.chats (id, workspace_id, user_id, role, message, created_at) values
  (md5('awkward ghost')::uuid, md5('workspace of ghosts')::uuid, md5('user who left')::uuid, 'user', 'Boo.', timestamptz '2025-02-07 00:00+00');

analyze public.chats;
analyze public.workspaces;
