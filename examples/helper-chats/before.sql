-- An application with helpers whose chats live in the browser only: projects and users, no sessions yet.
-- The setting demo.messages says how large: a project for every hundred.
create table public.projects (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references auth.users (id) on delete cascade,
  name text not null,
  created_at timestamptz not null default now()
);

do $$
declare
  size int := greatest(10, coalesce(nullif(current_setting('demo.messages', true), ''), '2000')::int / 100);
begin
  insert into auth.users (id, email)
  select md5('user ' || n)::uuid, 'person' || n || '@example.com' from generate_series(1, size) n;
  insert into public.projects (id, user_id, name)
  select md5('project ' || n)::uuid, md5('user ' || (n % size + 1))::uuid, 'Project ' || n from generate_series(1, size) n;
end
$$;

-- awkward: a project that nobody owns
insert into public.projects (id, user_id, name) values (md5('project of nobody')::uuid, null, 'Nobody''s');

analyze public.projects;
