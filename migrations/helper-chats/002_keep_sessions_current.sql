--! title: Let every message bring its session up to date
--! phase: expand

-- By the message's own time and never backwards, so that importing history clobbers nothing.
create function chat_private.update_chat_session() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  -- a restore brings the sessions back as they were
  if coalesce(current_setting('rethread.restoring', true), '') = 'on' then
    return null;
  end if;
  update public.chat_sessions s
  set updated_at = greatest(s.updated_at, new.created_at),
      last_message_preview = case
        when s.last_message_at is null or new.created_at >= s.last_message_at then left(new.content, 100)
        else s.last_message_preview end,
      last_message_at = greatest(s.last_message_at, new.created_at),
      title = case
        when s.title = 'New Chat' and new.role = 'user' and new.content ~ '\S'
        then left(regexp_replace(btrim(new.content, E' \t\r\n'), '\s+', ' ', 'g'), 60)
        else s.title end
  where s.id = new.session_id;
  return null;
end
$$;
revoke all on function chat_private.update_chat_session() from public;

create trigger update_chat_session_on_message
  after insert on public.chat_messages
  for each row execute function chat_private.update_chat_session();

-- The setting max_sessions_per_user; without it there is no limit and no trigger.
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
    set search_path = ''
    set row_security = off
    as $body$
    begin
      perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(new.user_id::text, 0));
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
