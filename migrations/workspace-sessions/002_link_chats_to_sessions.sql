--! title: Give messages a session_id, and fill it in every message that the old application writes
--! phase: expand

-- The quarantine for messages without a session. rethread creates it before its first step; a file that is
-- pasted into psql needs it too.
create schema if not exists rethread_archive;
create table if not exists rethread_archive.quarantine (
  id bigint generated always as identity primary key,
  track text not null,
  migration text not null,
  relation text not null,
  key text not null,
  reason text not null,
  original jsonb not null,
  run bigint,
  at timestamptz not null default clock_timestamp(),
  unique (relation, key, migration)
);
revoke all on rethread_archive.quarantine from public, anon, authenticated, service_role;

-- What the backfill collects before it creates the legacy sessions.
create table chat_private.legacy_parts (
  workspace_id uuid not null,
  author_id uuid,
  slot bigint not null,
  first_at timestamptz,
  -- null for a session that the dual write has begun
  last_at timestamptz,
  opening text collate "C"
);
create index legacy_parts_workspace_id on chat_private.legacy_parts (workspace_id, slot);
-- a publication of all tables refuses deletions from a table without replica identity
alter table chat_private.legacy_parts replica identity full;

-- The session of each message's group, to be looked up. Computing a hash for every message takes a tenth more
-- time.
create table chat_private.legacy_sessions (
  workspace_id uuid not null,
  author_id uuid not null,
  slot bigint not null,
  session_id uuid not null references public.chat_sessions (id) on delete cascade,
  -- what we have called the session; null for its further slots
  title text,
  primary key (workspace_id, author_id, slot)
);
create index legacy_sessions_session_id on chat_private.legacy_sessions (session_id);
revoke all on chat_private.legacy_parts, chat_private.legacy_sessions from public, anon, authenticated, service_role;

-- Messages that did not get their session, or did not update its time, together with the application's
-- statement, and why. Rows are only appended, because statements write them that must not wait. The backfill
-- 005 processes messages without a session; the next message corrects times.
create table chat_private.behind (
  message text not null,
  session_id uuid,
  operation text not null,
  sqlstate text not null,
  at timestamptz not null default clock_timestamp()
);
-- a publication of all tables includes it and needs a replica identity
alter table chat_private.behind replica identity full;
create index behind_message on chat_private.behind (message);
create index behind_touch on chat_private.behind (session_id) where operation = 'touch';
revoke all on chat_private.behind from public, anon, authenticated, service_role;

-- Notes for 007 that the session of a message does not exist, before 007 takes its id away. True.
create function chat_private.note_lost(message text, session uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into chat_private.behind (message, session_id, operation, sqlstate) values (message, session, 'lost', '00000');
  return true;
end
$$;
revoke all on function chat_private.note_lost(text, uuid) from public;

-- Whether the application's statement has used so much of the time that its statement_timeout gives it.
-- When half of it is used, the triggers put off the rest of their work. What the server cancels because all
-- is used (a tenth is for what came before the statement's own clock) does not fail the statement, which
-- would have been in time without them; it cancels once. Whoever cancels a statement themselves is obeyed.
create function chat_private.has_used_time(share numeric) returns boolean
language sql
as $$
  select current_setting('statement_timeout')::interval > '0'
    and clock_timestamp() - statement_timestamp() >= share::float8 * current_setting('statement_timeout')::interval
$$;
revoke all on function chat_private.has_used_time(numeric) from public;

-- The search_path under which functions of ours write tables of the application, whose triggers may name
-- their objects without a schema: that of the session that migrates, without schemas in which others may
-- create now, or have created a function, an operator, or what hides a table or type of a later schema.
create function chat_private.application_schemas() returns text[]
language sql immutable parallel safe
as $$ select '{}'::text[] $$;
-- locks: none
do $schemas$
begin
  execute format($f$
    create or replace function chat_private.application_schemas() returns text[]
    language sql immutable parallel safe
    as $body$ select %L::text[] $body$ $f$, array(
      select s.name from unnest(current_schemas(false)) with ordinality s (name, n) where s.name !~ '^pg_' order by s.n));
end
$schemas$;
create function chat_private.application_path() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select concat_ws(', ', 'pg_catalog', string_agg(quote_ident(n.nspname), ', ' order by s.n), 'pg_temp')
  from unnest(chat_private.application_schemas()) with ordinality as s (name, n)
  join pg_catalog.pg_namespace n on n.nspname = s.name
  where not exists (
    select from (
      select n.nspowner as role
      union select a.grantee from aclexplode(n.nspacl) a where a.privilege_type = 'CREATE'
      -- the server's own objects have lower numbers: an index leaves them out
      union select p.proowner from pg_catalog.pg_proc p where p.oid >= 16384 and p.pronamespace = n.oid
      union select o.oprowner from pg_catalog.pg_operator o where o.oid >= 16384 and o.oprnamespace = n.oid
      -- a table has a type of its name too; without both schemas the name is found in neither
      union select case when l.n > s.n then t.typowner else h.typowner end
      from pg_catalog.pg_type t
      join pg_catalog.pg_type h on h.typname = t.typname
      join pg_catalog.pg_namespace m on m.oid = h.typnamespace
      join unnest(chat_private.application_schemas()) with ordinality as l (name, n) on l.name = m.nspname and l.n <> s.n
      where cardinality(chat_private.application_schemas()) > 1 and t.oid >= 16384 and t.typnamespace = n.oid) w
    where not exists (
      select from pg_catalog.pg_roles r
      where r.oid = w.role and (r.rolsuper or r.rolname in (current_user, 'pg_database_owner')
        or r.oid = (select d.datdba from pg_catalog.pg_database d where d.datname = current_database()))))
$$;
revoke all on function chat_private.application_schemas(), chat_private.application_path() from public;

-- Which legacy session a message goes to. Where pauses end sessions: the last one before it, if that was
-- in use no longer ago than the pause, else one that starts within the pause after it, else a new one. So
-- a message with an old time joins the session of that time, and never makes one of two.
create function chat_private.legacy_session_of(workspace_id uuid, author_id uuid, at timestamptz) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  started uuid := chat_private.legacy_session_id(workspace_id, author_id, at);
  timeless uuid := chat_private.legacy_session_id(workspace_id, author_id, null);
  home uuid := chat_private.session_workspace(workspace_id);
  pause interval := chat_private.legacy_pause();
begin
  if pause is null or started = timeless then
    return started;
  end if;
  return coalesce(
    (select s.id from public.chat_sessions s
     where s.workspace_id = home and substr(s.id::text, 15, 1) = '8' and s.id <> timeless
       and s.created_at <= at and s.updated_at >= at - pause and s.deleted_at is null
     order by s.created_at desc limit 1),
    (select s.id from public.chat_sessions s
     where s.workspace_id = home and substr(s.id::text, 15, 1) = '8' and s.id <> timeless
       and s.created_at > at and s.created_at <= at + pause and s.deleted_at is null
     order by s.created_at limit 1),
    started);
end
$$;
revoke all on function chat_private.legacy_session_of(uuid, uuid, timestamptz) from public;

-- The id of a legacy session, or another one that is recognized as well where a session of another workspace
-- has it: that of a workspace which got another key, before a new workspace got its former key.
create function chat_private.free_legacy_id(legacy uuid, home uuid) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  free uuid := legacy;
begin
  for k in 0 .. 15 loop
    exit when not exists (select from public.chat_sessions s where s.id = free and s.workspace_id <> home);
    free := chat_private.legacy_id_from(home, 'eeeeeeeeeee' || to_hex(k));
  end loop;
  return free;
end
$$;
revoke all on function chat_private.free_legacy_id(uuid, uuid) from public;

-- Of a session whose workspace is another now, nothing is left in what the backfill has collected for the
-- former one. If that one got another key, it is not there any more: neither are its messages.
create function chat_private.leave_workspace() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  delete from chat_private.legacy_sessions l where l.session_id = new.id and l.workspace_id <> new.workspace_id;
  delete from chat_private.legacy_parts p
  where p.workspace_id = old.workspace_id and not exists (select from public.workspaces w where w.id = old.workspace_id);
  return null;
exception
  -- what stays only matters to a later workspace with the same key
  when query_canceled or assert_failure or others then
    if sqlstate = '57014' then
      if not chat_private.has_used_time(0.9) then
        raise;
      end if;
    end if;
    return null;
end
$$;
revoke all on function chat_private.leave_workspace() from public;

-- Dual write: the old application does not know sessions, so the database fills them in. It only changes the
-- message and its legacy session. A session of one author becomes the workspace owner's when another user
-- writes in it, as in the backfill. A session that ends with a pause stays with its first author.
create function chat_private.make_legacy_session(workspace_id uuid, author_id uuid, at timestamptz, opening text default null) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
#variable_conflict use_variable
declare
  legacy uuid := chat_private.legacy_session_of(workspace_id, author_id, at);
  home uuid := chat_private.session_workspace(workspace_id);
  called text := substr(opening, 17);
  -- a session that somebody has moved to another workspace is not this one's
  owner_id uuid := (select s.user_id from public.chat_sessions s where s.id = legacy and s.workspace_id = home);
begin
  if owner_id is not null and chat_private.legacy_pause() is not null then
    -- beside the title a time is written: who changes that alone is stamped
    update public.chat_sessions s
    set created_at = least(s.created_at, at),
        title = case when s.title = 'Legacy Chat' then coalesce(called, s.title) else s.title end,
        updated_at = greatest(s.updated_at + interval '1 microsecond', at)
    where s.id = legacy and s.workspace_id = home
      and (s.created_at > at or s.title = 'Legacy Chat' and called <> s.title);
    return legacy;
  end if;
  if owner_id is null then
    legacy := chat_private.free_legacy_id(legacy, home);
    owner_id := (select s.user_id from public.chat_sessions s where s.id = legacy and s.workspace_id = home);
  end if;
  if owner_id is null and chat_private.legacy_pause() is not null then
    -- two that write at once begin one session
    perform pg_advisory_xact_lock(hashtextextended('rethread:legacy:' || home::text, 0));
    if chat_private.free_legacy_id(chat_private.legacy_session_of(workspace_id, author_id, at), home) <> legacy then
      return chat_private.make_legacy_session(workspace_id, author_id, at, opening);
    end if;
  end if;
  if owner_id = author_id or owner_id is not null and author_id is null then
    return legacy;
  end if;
  if owner_id is not null then
    update public.chat_sessions s
    set user_id = o.id
    from public.workspaces w
    join auth.users o on o.id = w.owner_id
    where s.id = legacy and s.workspace_id = home and w.id = home and s.user_id <> o.id;
    return legacy;
  end if;
  insert into public.chat_sessions (id, workspace_id, user_id, title, created_at, updated_at)
  select legacy, w.id, coalesce(a.id, o.id), coalesce(called, 'Legacy Chat'), coalesce(at, now()), coalesce(at, now())
  from public.workspaces w
  left join auth.users a on a.id = author_id
  left join auth.users o on o.id = w.owner_id
  where w.id = home and coalesce(a.id, o.id) is not null
  on conflict (id) do nothing;
  if found and chat_private.legacy_pause() is not null then
    -- the backfill finds it: older messages, up to the pause before it, are of the same session
    insert into chat_private.legacy_parts (workspace_id, author_id, slot, first_at, opening)
    values (home, author_id, chat_private.legacy_slot(at), at, opening);
    insert into chat_private.legacy_sessions (workspace_id, author_id, slot, session_id, title)
    values (home, chat_private.legacy_author(author_id), chat_private.legacy_slot(at), legacy, coalesce(called, 'Legacy Chat'))
    on conflict on constraint legacy_sessions_pkey do nothing;
  end if;
  return (select s.id from public.chat_sessions s where s.id = legacy and s.workspace_id = home);
end
$$;
revoke all on function chat_private.make_legacy_session(uuid, uuid, timestamptz, text) from public;

-- For the backfill: creates a legacy session. If the dual write has created it already, sets its times, its
-- owner and its title to those of the whole. A title that a user has given stays.
create function chat_private.put_legacy_session(
  id uuid, workspace_id uuid, owner_id uuid, first_at timestamptz, last_at timestamptz, title text, called text[])
returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  put_legacy_session.id := chat_private.free_legacy_id(put_legacy_session.id, put_legacy_session.workspace_id);
  insert into public.chat_sessions as s (id, workspace_id, user_id, title, created_at, updated_at)
  values (put_legacy_session.id, put_legacy_session.workspace_id, owner_id, put_legacy_session.title, coalesce(first_at, now()), coalesce(last_at, now()))
  on conflict (id) do update
  set created_at = least(s.created_at, excluded.created_at),
      -- beside the title a time is written: who changes that alone is stamped
      updated_at = greatest(s.updated_at + case when s.title = excluded.title then interval '0' else interval '1 microsecond' end, excluded.updated_at),
      title = case when s.title = any (called) then excluded.title else s.title end,
      user_id = excluded.user_id
  where s.workspace_id = excluded.workspace_id and (excluded.created_at < s.created_at or excluded.updated_at > s.updated_at);
  if not exists (select from public.chat_sessions s where s.id = put_legacy_session.id and s.workspace_id = put_legacy_session.workspace_id) then
    raise exception 'session % has the id of the legacy session of workspace %, and is of another workspace: move it back', put_legacy_session.id, put_legacy_session.workspace_id
      using errcode = 'unique_violation';
  end if;
  return put_legacy_session.id;
end
$$;
revoke all on function chat_private.put_legacy_session(uuid, uuid, uuid, timestamptz, timestamptz, text, text[]) from public;

-- Whether a message of another workspace than before keeps its session. Then not the message has moved: the
-- key of its workspace changes, and foreign keys carry the change to messages and to sessions, in any order.
create function chat_private.goes_along(session uuid, workspace_id uuid, workspace uuid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from public.chat_sessions s
    where s.id = goes_along.session and (s.workspace_id = goes_along.workspace
      or s.workspace_id = goes_along.workspace_id and not exists (select from public.workspaces w where w.id = goes_along.workspace_id)))
$$;
revoke all on function chat_private.goes_along(uuid, uuid, uuid) from public;

-- Never fails the application's statement, and waits only for a moment: a message that cannot get its session
-- now is left to the backfill. The names of its triggers sort last, because a trigger of the application may
-- change the author or workspace of a message, or refuse it.
create function chat_private.fill_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  if chat_private.has_used_time(0.5) then
    raise lock_not_available;
  end if;
  if tg_op = 'UPDATE' and chat_private.goes_along(new.session_id, old.workspace_id, new.workspace_id) then
    return new;
  end if;
  new.session_id := chat_private.make_legacy_session(new.workspace_id, new.user_id, new.created_at,
    chat_private.legacy_opening(new.created_at, new.role::text, new.message::text));
  return new;
exception
  when query_canceled or assert_failure or others then
    if sqlstate = '57014' then
      if not chat_private.has_used_time(0.9) then
        raise;
      end if;
    end if;
    begin
      insert into chat_private.behind (message, operation, sqlstate)
      values (coalesce(new.id::text, ''), tg_op, sqlstate);
    exception
      when assert_failure or others then
        raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
    end;
    new.session_id := null;
    return new;
end
$$;
revoke all on function chat_private.fill_session() from public;

-- A message that moves to another workspace, by a statement that chooses no session, moves to that
-- workspace's legacy session. If that fails it is left without a session. It is an AFTER trigger, because a
-- BEFORE UPDATE trigger would make the server lock every updated row. It names no columns, because a column
-- that a trigger changes does not count as updated. After an INSERT, a message gets its session here if a
-- trigger with a later name has filled in the workspace. A message that could not get one before is left to
-- the backfill.
create function chat_private.move_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  first uuid;
begin
  if tg_op = 'INSERT' and exists (select from chat_private.behind b where b.message = new.id::text) then
    return null;
  end if;
  begin
    if chat_private.has_used_time(0.5) then
      raise lock_not_available;
    end if;
    perform set_config('search_path', chat_private.application_path(), true);
    if tg_op = 'UPDATE' and chat_private.goes_along(new.session_id, old.workspace_id, new.workspace_id) then
      return null;
    end if;
    update public.chats c
    set session_id = chat_private.make_legacy_session(new.workspace_id, new.user_id, new.created_at,
      chat_private.legacy_opening(new.created_at, new.role::text, new.message::text))
    where c.id = new.id and c.session_id is not distinct from new.session_id
      and c.workspace_id is not distinct from new.workspace_id
    returning c.session_id into first;
    -- no other trigger brings its first session up to date
    if new.session_id is null and first is not null then
      perform chat_private.catch_up(first);
    end if;
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (message, session_id, operation, sqlstate)
        values (coalesce(new.id::text, ''), new.session_id, tg_op, sqlstate);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
      begin
        perform set_config('search_path', chat_private.application_path(), true);
        update public.chats c
        set session_id = null
        where c.id = new.id and c.session_id is not distinct from new.session_id
          and c.workspace_id is not distinct from new.workspace_id;
      exception
        -- a trigger of the application refuses this too: the message stays, and is noted
        when query_canceled or assert_failure or others then
          if sqlstate = '57014' then
            if not chat_private.has_used_time(0.9) then
              raise;
            end if;
          end if;
      end;
  end;
  return null;
exception
  when query_canceled or assert_failure or others then
    if sqlstate = '57014' then
      if not chat_private.has_used_time(0.9) then
        raise;
      end if;
    end if;
    return null;
end
$$;
revoke all on function chat_private.move_session() from public;

-- Sets the time of a session that is behind to that of its newest message.
create function chat_private.catch_up(session uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  update public.chat_sessions s
  set updated_at = n.newest
  from (select max(c.created_at) as newest from public.chats c where c.session_id = session) n
  where s.id = session and s.updated_at < n.newest;
end
$$;
revoke all on function chat_private.catch_up(uuid) from public;

-- For a restore: a message that moved to another workspace while it had no session gets the legacy session of
-- that workspace, as if it moved now. Then the times are set. Most sessions need neither: they are found
-- before the search_path changes, after which each query would be planned again. A legacy session that was
-- made again before the restore may have the time of a message that is back in the session of its writer.
create function chat_private.settle_session(session uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  others uuid[];
  other uuid;
begin
  update public.chat_sessions s
  set updated_at = n.newest
  from (select max(c.created_at) as newest from public.chats c where c.session_id = session) n
  where s.id = session and n.newest < s.updated_at and chat_private.is_made_again(s.id, s.workspace_id, s.user_id)
    and exists (
      select from public.chat_sessions o join public.chats c on c.session_id = o.id
      where o.workspace_id = s.workspace_id and o.id <> s.id and c.created_at = s.updated_at);
  if not exists (
    select from public.chats c join public.chat_sessions s on s.id = c.session_id
    where s.id = session and (c.workspace_id <> s.workspace_id or c.created_at > s.updated_at)
  ) then
    return;
  end if;
  perform set_config('search_path', chat_private.application_path(), true);
  -- made first and not in a WITH, which no table takes that has a rule of the application
  others := array(
    select distinct chat_private.make_legacy_session(c.workspace_id, c.user_id, c.created_at,
      chat_private.legacy_opening(c.created_at, c.role::text, c.message::text))
    from public.chats c
    join public.chat_sessions s on s.id = c.session_id
    where s.id = session and c.workspace_id <> s.workspace_id);
  update public.chats c
  set session_id = coalesce(
    chat_private.make_legacy_session(c.workspace_id, c.user_id, c.created_at,
      chat_private.legacy_opening(c.created_at, c.role::text, c.message::text)), c.session_id)
  from public.chat_sessions s
  where s.id = session and c.session_id = s.id and c.workspace_id <> s.workspace_id;
  foreach other in array array_remove(others, session) loop
    perform chat_private.catch_up(other);
  end loop;
  perform chat_private.catch_up(session);
end
$$;
revoke all on function chat_private.settle_session(uuid) from public;

-- How many times this transaction has written a session. After many times, old versions of the row slow each
-- further write. Only the last fifty sessions are counted.
create function chat_private.times_written(session uuid) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  counts jsonb := coalesce(nullif(current_setting('rethread.touched', true), ''), '{}')::jsonb;
  n int := coalesce((counts ->> session::text)::int, 0) + 1;
begin
  if (select count(*) from jsonb_object_keys(counts)) >= 50 then
    counts := '{}';
  end if;
  perform set_config('rethread.touched', (counts || jsonb_build_object(session, n))::text, true);
  return n;
end
$$;
revoke all on function chat_private.times_written(uuid) from public;

-- Makes a session's time at least that of its newest message. One update of one row for a message, and none
-- if the session is new enough. Like the dual write it fails no statement. A session that stays locked, or
-- that one transaction writes more than 500 times, is corrected by the next message of another transaction,
-- in any session.
create function chat_private.touch_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  late uuid;
  n int;
  newest timestamptz;
begin
  -- a restore brings the sessions back as they were
  if coalesce(current_setting('rethread.restoring', true), '') = 'on' then
    return null;
  end if;
  if chat_private.has_used_time(0.5) then
    raise lock_not_available;
  end if;
  newest := coalesce(new.created_at, now());
  if exists (select from public.chat_sessions s where s.id = new.session_id and s.updated_at < newest) then
    n := chat_private.times_written(new.session_id);
    if n <= 500 then
      update public.chat_sessions s
      set updated_at = newest
      where s.id = new.session_id and s.updated_at < newest;
    elsif n = 501 then
      insert into chat_private.behind (message, session_id, operation, sqlstate)
      values (coalesce(new.id::text, ''), new.session_id, 'touch', '55P03');
    end if;
  end if;
  for late in
    select b.session_id from chat_private.behind b
    where b.operation = 'touch' and b.sqlstate in ('55P03', '40P01', '40001', '57014') and b.at < now()
    limit 3 for update skip locked
  loop
    perform from public.chat_sessions s where s.id = late for no key update skip locked;
    if found then
      perform chat_private.catch_up(late);
      delete from chat_private.behind b where b.session_id = late and b.operation = 'touch' and b.at < now();
    end if;
  end loop;
  return null;
exception
  when query_canceled or assert_failure or others then
    if sqlstate = '57014' then
      if not chat_private.has_used_time(0.9) then
        raise;
      end if;
    end if;
    begin
      insert into chat_private.behind (message, session_id, operation, sqlstate)
      values (coalesce(new.id::text, ''), new.session_id, 'touch', sqlstate);
    exception
      when assert_failure or others then
        raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
    end;
    return null;
end
$$;
revoke all on function chat_private.touch_session() from public;

-- A user may only choose a session of their own, in the message's workspace, whatever older policies on
-- messages allow. With the argument `legacy`, also a session that the database could have chosen, in a
-- workspace that they may use and to which the message was not just moved. Checked for roles to which the
-- policies of sessions apply, with the writer's rights: it sees what they see.
create function chat_private.guard_session() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  if tg_nargs > 0 then
    if (new.session_id = chat_private.legacy_session_id(new.workspace_id, new.user_id, new.created_at)
        or chat_private.legacy_pause() is not null
          and chat_private.is_legacy_session(new.session_id, chat_private.session_workspace(new.workspace_id), new.user_id))
      and (tg_op = 'INSERT' or new.workspace_id is not distinct from old.workspace_id)
      and chat_private.can_use_workspace(chat_private.session_workspace(new.workspace_id)) then
      return new;
    end if;
  end if;
  if not exists (
    select from public.chat_sessions s
    where s.id = new.session_id and s.workspace_id = new.workspace_id and s.user_id = (select auth.uid())
  ) then
    raise exception 'new row violates the rule that the session of a message is one of its writer''s in the same workspace'
      using errcode = 'insufficient_privilege', schema = 'public', table = 'chats', column = 'session_id';
  end if;
  return new;
end
$$;
revoke all on function chat_private.guard_session() from public;

-- A session outlives its owner's account if it is not only theirs: a legacy session, or one with messages of
-- others. It goes to the workspace's owner, else to the first of its authors. If nobody is left, or the
-- workspace is deleted, messages that may be without a session stay without one, so that the old application
-- loses none that it would have kept. If a trigger of the application prevents that, neither does the
-- statement fail nor is a message deleted: the session stays without its workspace or account, and the
-- contract phase waits for it.
create function chat_private.keep_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
as $$
#variable_conflict use_variable
declare
  kept boolean;
  legacy boolean;
  workspace_owner uuid;
  heir uuid;
begin
  kept := exists (select from auth.users u where u.id = old.user_id);
  legacy := chat_private.is_legacy_session(old.id, old.workspace_id, old.user_id);
  select w.owner_id into workspace_owner from public.workspaces w where w.id = old.workspace_id;
  if found and kept then
    -- somebody deletes the session itself, with its messages where the foreign key is there: the backfill
    -- that makes legacy sessions does not bring it back
    if exists (
      select from pg_catalog.pg_constraint k where k.conrelid = 'public.chats'::regclass and k.confrelid = tg_relid) then
      delete from chat_private.legacy_parts p
      using chat_private.legacy_sessions l
      where l.session_id = old.id and p.workspace_id = l.workspace_id and p.slot = l.slot
        and chat_private.legacy_author(p.author_id) = l.author_id;
    end if;
    return old;
  end if;
  if found then
    if legacy then
      heir := (select u.id from auth.users u where u.id = workspace_owner);
    end if;
    -- where the foreign key stands so does the index that finds the messages
    if heir is null and (legacy or exists (
      select from pg_catalog.pg_constraint k where k.conrelid = 'public.chats'::regclass and k.confrelid = tg_relid)) then
      heir := (
        select c.user_id from public.chats c join auth.users u on u.id = c.user_id
        where c.session_id = old.id and c.user_id <> old.user_id
        order by c.created_at limit 1);
      if heir is not null then
        heir := coalesce((select u.id from auth.users u where u.id = workspace_owner), heir);
      end if;
    end if;
    if heir is not null then
      update public.chat_sessions s set user_id = heir where s.id = old.id;
      return null;
    end if;
    if not legacy then
      return old;
    end if;
  end if;
  if exists (
    select from pg_catalog.pg_attribute a
    join pg_catalog.pg_constraint k on k.conrelid = a.attrelid and k.confrelid = tg_relid and a.attnum = any (k.conkey)
    where a.attrelid = 'public.chats'::regclass and a.attname = 'session_id' and not a.attnotnull
  ) then
    perform set_config('search_path', chat_private.application_path(), true);
    update public.chats c set session_id = null where c.session_id = old.id;
    if exists (select from public.chats c where c.session_id = old.id) then
      raise exception 'a trigger of the application kept a message in session %', old.id using errcode = 'triggered_action_exception';
    end if;
  end if;
  return old;
exception
  when query_canceled or assert_failure or others then
    if sqlstate = '57014' then
      if not chat_private.has_used_time(0.9) then
        raise;
      end if;
    end if;
    begin
      insert into chat_private.behind (message, session_id, operation, sqlstate)
      values ('', old.id, 'release', sqlstate);
    exception
      when assert_failure or others then
        raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
    end;
    return null;
end
$$;
revoke all on function chat_private.keep_session() from public;

create trigger rethread_leave_workspace
  after update of workspace_id on public.chat_sessions
  for each row when (new.workspace_id <> old.workspace_id)
  execute function chat_private.leave_workspace();

create trigger rethread_keep_session
  before delete on public.chat_sessions
  for each row execute function chat_private.keep_session();

-- The key of a message in the quarantine: its primary key, which has several columns if messages are
-- partitioned, else a unique index. Columns are separated by commas. A comma or backslash in a value has a
-- backslash before it.
-- locks: none
do $key$
begin
  execute format($f$
    create function chat_private.message_key(c public.chats) returns text
    language sql stable
    as $$ select pg_catalog.concat_ws(',', %s) $$ $f$, coalesce((
      select string_agg(
        case i.indnkeyatts when 1 then format('c.%I', a.attname)
          else format('pg_catalog.regexp_replace(c.%I::text, %L, %L, %L)', a.attname, E'([,\\\\])', E'\\\\\\1', 'g') end, ', ' order by k.n)
      from (
        select i.indrelid, i.indkey, i.indnkeyatts from pg_catalog.pg_index i
        where i.indrelid = 'public.chats'::regclass and i.indisunique and i.indisvalid and i.indimmediate
          and i.indpred is null and i.indexprs is null
          and not exists (
            select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) n (attnum)
            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = n.attnum
            where not a.attnotnull)
        order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1) i
      cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where k.n <= i.indnkeyatts), 'pg_catalog.md5(pg_catalog.row_to_json(c)::text)'));
end
$key$;

alter table public.chats add column session_id uuid;

create trigger zzz_rethread_fill_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is null)
  execute function chat_private.fill_session();

create trigger rethread_fill_session_after_insert
  after insert on public.chats
  for each row when (new.session_id is null and new.workspace_id is not null)
  execute function chat_private.move_session();

create trigger rethread_move_session_on_update
  after update on public.chats
  for each row when (new.workspace_id is distinct from old.workspace_id and new.session_id is not distinct from old.session_id)
  execute function chat_private.move_session();

-- A message that moves to another partition is deleted and inserted, and no UPDATE trigger fires afterwards.
-- locks: public.chats SHARE ROW EXCLUSIVE
do $parted$
begin
  if (select c.relkind from pg_catalog.pg_class c where c.oid = 'public.chats'::regclass) = 'p' then
    create trigger zzz_rethread_fill_session_on_update
      before update on public.chats
      for each row when (new.workspace_id is distinct from old.workspace_id and new.session_id is not distinct from old.session_id)
      execute function chat_private.fill_session();
    -- that trigger has given the message its session before, and this one brings a first session up to date
    create trigger rethread_touch_first_session_on_update
      after update on public.chats
      for each row when (new.session_id is not null and old.session_id is null and new.workspace_id is distinct from old.workspace_id)
      execute function chat_private.touch_session();
  end if;
end
$parted$;

create trigger rethread_check_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is not null and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.guard_session('legacy');

create trigger rethread_check_session_on_update
  after update of session_id on public.chats
  for each row when (new.session_id is not null and new.session_id is distinct from old.session_id and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.guard_session('legacy');

create trigger update_chat_session_on_message
  after insert on public.chats
  for each row when (new.session_id is not null)
  execute function chat_private.touch_session();

-- Not for the backfill, which gives a message its first session.
create trigger update_chat_session_on_change
  after update on public.chats
  for each row when (new.session_id is not null and old.session_id is not null
    and (new.created_at is distinct from old.created_at or new.session_id <> old.session_id))
  execute function chat_private.touch_session();
