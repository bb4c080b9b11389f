-- A code assistant that keeps its chats in memory: only users are in the database.
-- demo.messages says how many.
insert into auth.users (id, email)
select md5('user ' || n)::uuid, 'person' || n || '@example.com'
from generate_series(1, greatest(10, coalesce(nullif(current_setting('demo.messages', true), ''), '2000')::int / 100)) n;

-- what such an application has beside its chats
create table public.repositories (id uuid primary key default gen_random_uuid(), name text not null unique);
insert into public.repositories (id, name) select md5('repo ' || n)::uuid, 'org/repo-' || n from generate_series(1, 20) n;
analyze public.repositories;
