--! title: Bring a session up to date with every message
--! phase: expand

-- Sessions whose time, preview or title could not be changed together with the application's statement, and
-- why. Rows are only appended, because statements write them that must not wait. The next message of the
-- session brings it up to date, or the backfill 003.
create table chat_private.behind (
  session_id uuid not null,
  operation text not null,
  sqlstate text not null,
  at timestamptz not null default clock_timestamp(),
  caught_up_at timestamptz
);
-- a publication of all tables includes it and needs a replica identity
alter table chat_private.behind replica identity full;
create index behind_session_id on chat_private.behind (session_id);
revoke all on chat_private.behind from public, anon, authenticated, service_role;
-- chats that were stored before this table existed
insert into chat_private.behind (session_id, operation, sqlstate)
select k.session_id, 'DELETE of projects', k.sqlstate from chat_private.kept_chats k;

-- The title that a first message gives its session; null if it gives none.
create function chat_private.title_of(content text) returns text
language sql immutable parallel safe
as $$
  select substring(left(regexp_replace(btrim(content, E' \t\r\n'), E'\\s+', ' ', 'g'), 60) from E'^.*\\S.*$')
$$;

-- Inserts kept rows as they were, by the columns that they had. New columns get their defaults, and generated
-- columns are computed again.
create function chat_private.put_back(target regclass, originals jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set timezone = 'UTC'
as $$
declare
  columns text;
  typed text;
begin
  if originals = '[]' then
    return;
  end if;
  select string_agg(format('%I', a.attname), ', '),
    string_agg(format('(r ->> %L)::%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ')
  into columns, typed
  from pg_catalog.pg_attribute a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and originals -> 0 ? a.attname::text;
  execute format(
    'insert into %s (%s) overriding system value select %s from pg_catalog.jsonb_array_elements($1) r on conflict (id) do nothing',
    target, columns, typed)
  using originals;
end
$$;
revoke all on function chat_private.put_back(regclass, jsonb) from public;

-- Computes time, preview and title from the existing messages. The session is locked first, so that the
-- messages of an earlier holder of the lock are seen. A stored chat is restored first.
create function chat_private.catch_up(session uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  put_by record;
  restoring text := coalesce(current_setting('rethread.restoring', true), '');
begin
  delete from chat_private.kept_chats k where k.session_id = session returning k.original, k.messages into put_by;
  if found then
    perform set_config('rethread.restoring', 'on', true);
    perform chat_private.put_back('public.chat_sessions', jsonb_build_array(put_by.original));
    perform chat_private.put_back('public.chat_messages', put_by.messages);
    perform set_config('rethread.restoring', restoring, true);
  end if;
  perform from public.chat_sessions s where s.id = session for no key update;
  update public.chat_sessions s
  set updated_at = greatest(s.updated_at, n.created_at),
      last_message_at = n.created_at,
      last_message_preview = left(n.content, 100),
      title = case when s.title = 'New Chat' then coalesce(n.title, s.title) else s.title end
  from (
    select max(m.created_at) as created_at, (array_agg(m.content))[1] as content, (
        select chat_private.title_of(f.content) from public.chat_messages f
        where f.session_id = session and f.role = 'user' and chat_private.title_of(f.content) is not null
        order by f.created_at, f.id limit 1) as title
    from (
      select x.created_at, x.content from public.chat_messages x
      where x.session_id = session order by x.created_at desc, x.id desc limit 1
    ) m
  ) n
  where s.id = session
    and (s.last_message_at, s.last_message_preview) is distinct from (n.created_at, left(n.content, 100));
  return true;
end
$$;
revoke all on function chat_private.catch_up(uuid) from public;

-- For a restore: a session is brought up to date whose newest message is of another time than it says,
-- because messages have come or gone meanwhile. What people wrote into any other session stays as it is.
create function chat_private.settle_session(session uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from public.chat_sessions s
    where s.id = session and s.last_message_at is distinct from (
      select max(m.created_at) from public.chat_messages m where m.session_id = s.id)
  ) then
    perform chat_private.catch_up(session);
  end if;
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

-- Uses the message's own time and never goes backwards, so that an import of old messages changes nothing.
-- After an edit or deletion of the newest message, the one before is used. One update of one row for each
-- session and statement. Never fails the application's statement: what cannot be done now is recorded in
-- behind and done later. So is what a transaction does with a session after 500 statements.
create function chat_private.update_chat_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  session uuid;
  sessions uuid[];
  turn int := 0;
  newest record;
  named text;
  written int;
begin
  -- a restore brings the sessions back as they were
  if coalesce(current_setting('rethread.restoring', true), '') = 'on' then
    return null;
  end if;
  -- the block that handles errors is entered once for each session, and begins with the list of them
  loop
    turn := turn + 1;
    begin
      if turn > 1 then
        null;
      elsif tg_op = 'INSERT' then
        sessions := array(select distinct n.session_id from new_rows n order by 1);
      elsif tg_op = 'DELETE' then
        sessions := array(select distinct o.session_id from old_rows o order by 1);
      else
        sessions := array(
          select x.session_id from (
            (select session_id, content, created_at from new_rows except all select session_id, content, created_at from old_rows)
            union all
            (select session_id, content, created_at from old_rows except all select session_id, content, created_at from new_rows)
          ) x
          group by 1 order by 1);
      end if;
      session := sessions[turn];
      exit when session is null;
      if chat_private.has_used_time(0.5) then
        raise lock_not_available;
      end if;
      written := chat_private.times_written(session);
      if written > 500 then
        if written = 501 then
          insert into chat_private.behind (session_id, operation, sqlstate) values (session, tg_op, '55P03');
        end if;
        exit when turn >= cardinality(sessions);
        continue;
      end if;
      if exists (select from chat_private.behind b where b.session_id = session and b.caught_up_at is null) then
        perform chat_private.catch_up(session);
        delete from chat_private.behind b where b.session_id = session;
      elsif tg_op = 'INSERT' then
        -- read beforehand: where the row has changed while we waited for it, the server evaluates the SET
        -- clause a second time, and by then the transition table has been read to its end
        select n.created_at, n.content into newest
        from new_rows n where n.session_id = session order by n.created_at desc limit 1;
        named := (
          select chat_private.title_of(n.content) from new_rows n
          where n.session_id = session and n.role = 'user' and chat_private.title_of(n.content) is not null
          order by n.created_at limit 1);
        update public.chat_sessions s
        set updated_at = greatest(s.updated_at, newest.created_at),
            last_message_preview = case
              when s.last_message_at is null or newest.created_at >= s.last_message_at then left(newest.content, 100)
              else s.last_message_preview end,
            last_message_at = greatest(s.last_message_at, newest.created_at),
            title = case when s.title = 'New Chat' then coalesce(named, s.title) else s.title end
        where s.id = session;
      else
        perform chat_private.catch_up(session);
      end if;
    exception
      when query_canceled or assert_failure or others then
        if sqlstate = '57014' then
          if not chat_private.has_used_time(0.9) then
            raise;
          end if;
        end if;
        begin
          insert into chat_private.behind (session_id, operation, sqlstate) values (session, tg_op, sqlstate);
        exception
          when assert_failure or others then
            raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
        end;
    end;
    exit when turn >= coalesce(cardinality(sessions), 0);
  end loop;
  return null;
end
$$;
revoke all on function chat_private.update_chat_session() from public;

create trigger update_chat_session_on_message
  after insert on public.chat_messages
  referencing new table as new_rows
  for each statement execute function chat_private.update_chat_session();
create trigger update_chat_session_on_edit
  after update on public.chat_messages
  referencing old table as old_rows new table as new_rows
  for each statement execute function chat_private.update_chat_session();
create trigger update_chat_session_on_deletion
  after delete on public.chat_messages
  referencing old table as old_rows
  for each statement execute function chat_private.update_chat_session();

-- The setting max_sessions_per_user. Without it there is no limit and no trigger.
-- locks: none
do $settings$
declare
  most text := nullif(current_setting('rethread.max_sessions_per_user', true), '');
begin
  if most is null then
    return;
  end if;
  execute format($f$
    create function chat_private.limit_chat_sessions() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set jit = off
    set row_security = off
    as $body$
    begin
      perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('rethread:sessions:' || new.user_id::text, 0));
      if (select count(*) from public.chat_sessions s where s.user_id = new.user_id) >= %1$s then
        raise exception 'a user may have at most %1$s chat sessions' using errcode = 'check_violation', hint = 'Delete a session first.';
      end if;
      return new;
    end
    $body$ $f$, most::int);
  revoke all on function chat_private.limit_chat_sessions() from public;
  create trigger limit_chat_sessions before insert on public.chat_sessions
    for each row execute function chat_private.limit_chat_sessions();
end
$settings$;
