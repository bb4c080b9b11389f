-- fault
create table shares (token text primary key, session_id uuid not null references chat_sessions (id) on delete cascade);
-- fix
alter table shares drop constraint shares_session_id_fkey, add constraint shares_session_id_fkey foreign key (session_id) references conversations (id) on delete cascade;
-- fault
create materialized view titles as select title from chat_sessions;
-- fix
drop materialized view titles;
-- fault
create view titles as select title from chat_sessions;
-- fix
drop view titles;
-- fault
alter table shares enable row level security;
create policy own on shares using (exists (select from chat_sessions s where s.id = session_id));
-- fix
drop policy own on shares;
-- fault
create function may_share(session uuid) returns boolean language plpgsql security definer set search_path = '' as $$
begin
  return exists (select from public.chat_sessions s where s.id = session);
end
$$;
create policy shared on shares for select using (may_share(session_id));
-- fix
create or replace function may_share(session uuid) returns boolean language plpgsql security definer set search_path = '' as $$
begin
  return exists (select from public.conversations c where c.id = session);
end
$$;
-- fault
create function count_shares() returns trigger language plpgsql as $$ begin update "chat_sessions" set title = title; return null; end $$;
create trigger count_shares after insert on shares for each statement execute function count_shares();
-- fix
drop table shares;
drop function count_shares(), may_share(uuid);
