--! title: Keep chat_sessions and conversations in step, whichever application writes
--! phase: expand

-- The setting role_map adds to this: 'bot=assistant, person=user'. What it does not know goes to the quarantine.
-- locks: none
do $settings$
declare
  map jsonb := '{"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant", "tool": "assistant", "function": "assistant", "system": "system", "developer": "system"}';
  pair text;
begin
  foreach pair in array regexp_split_to_array(coalesce(nullif(current_setting('rethread.role_map', true), ''), ''), '\s*,\s*') loop
    if pair <> '' then
      if pair !~ '^\S+=(user|assistant|system)$' then
        raise exception 'setting role_map holds "%"; it is a list such as bot=assistant, person=user', pair;
      end if;
      map := map || jsonb_build_object(lower(split_part(pair, '=', 1)), split_part(pair, '=', 2));
    end if;
  end loop;
  execute format($f$
    create function chat_private.message_role(role text) returns text
    language sql immutable parallel safe
    as $body$ select %L::jsonb ->> lower(role) $body$ $f$, map);
end
$settings$;

-- A time as applications write it: ISO text, epoch seconds, epoch milliseconds. Null when it is none; the original stays in metadata.
create function chat_private.message_time(value jsonb) returns timestamptz
language plpgsql immutable parallel safe
set timezone = 'UTC'
as $$
declare
  said text := value #>> '{}';
begin
  if said is null or jsonb_typeof(value) not in ('string', 'number') then
    return null;
  elsif said ~ '^\d{1,15}(\.\d+)?$' then
    return to_timestamp(case when said::numeric >= 100000000000 then said::numeric / 1000 else said::numeric end);
  elsif said ~ '^\d{4}-\d{2}-\d{2}' then
    return said::timestamptz;
  end if;
  return null;
exception
  when datetime_field_overflow or invalid_datetime_format or invalid_text_representation or numeric_value_out_of_range then
    return null;
end
$$;

-- The text of a content that is not simply text: its parts, in order.
create function chat_private.content_text(content jsonb) returns text
language sql immutable parallel safe
as $$
  select case jsonb_typeof(content)
    when 'string' then content #>> '{}'
    when 'array' then (
      select coalesce(string_agg(coalesce(
          case jsonb_typeof(p.part) when 'string' then p.part #>> '{}' end,
          p.part ->> 'text', p.part -> 'text' ->> 'value', ''), E'\n' order by p.n), '')
      from jsonb_array_elements(content) with ordinality as p (part, n))
    when 'object' then coalesce(chat_private.content_text(content -> 'parts'), content ->> 'text', '')
    when 'null' then ''
    else coalesce(content #>> '{}', '') end
$$;

-- The elements of a messages array: what each becomes, or the reason why it can't be a message. Takes json, because
-- jsonb could not hold all that a json column holds.
create function chat_private.elements(session_id uuid, messages json, started timestamptz)
returns table (n bigint, id uuid, role text, content text, metadata jsonb, created_at timestamptz, reason text, original text)
language sql stable parallel safe
as $$
  with element as (
    select e.n, e.value::text as original,
      -- \u0000 has no place in text or jsonb
      case when strpos(e.value::text, '\u0000') > 0 and e.value::text ~ '(^|[^\\])(\\\\)*\\u0000' then null else e.value::jsonb end as j
    from json_array_elements(case when json_typeof(messages) = 'array' then messages else '[]'::json end) with ordinality as e (value, n)
  ),
  read as (
    select x.n, x.original, x.j,
      case when jsonb_typeof(x.j) = 'object' then x.j ->> 'role' end as said_role,
      coalesce(
        chat_private.message_time(x.j -> 'timestamp'), chat_private.message_time(x.j -> 'created_at'),
        chat_private.message_time(x.j -> 'createdAt'), chat_private.message_time(x.j -> 'create_time')) as said_at
    from element x
  ),
  judged as (
    select r.*,
      case
        when r.j is null then 'it holds \u0000, which PostgreSQL can''t store'
        when jsonb_typeof(r.j) = 'null' then 'it is null'
        when jsonb_typeof(r.j) <> 'object' then 'it is no object but ' || jsonb_typeof(r.j)
        when r.said_role is null then 'it has no role'
        when chat_private.message_role(r.said_role) is null then format('its role is %L', r.said_role)
      end as reason
    from read r
  )
  select
    d.n,
    case
      when d.j ->> 'rethread_id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then (d.j ->> 'rethread_id')::uuid
      else md5('rethread:message:' || session_id || ':' || d.n)::uuid end,
    chat_private.message_role(d.said_role),
    chat_private.content_text(d.j -> 'content'),
    case when d.reason is null then (d.j - 'role' - 'content' - 'rethread_id')
      || case when chat_private.message_role(d.said_role) is distinct from d.said_role then jsonb_build_object('original_role', d.j -> 'role') else '{}' end
      || case when jsonb_typeof(d.j -> 'content') = 'string' then '{}'
        when d.j ? 'content' then jsonb_build_object('original_content', d.j -> 'content')
        else jsonb_build_object('original_content_missing', true) end end,
    -- the order of the array is the order of the times: where it is not, by a microsecond
    max(coalesce(d.said_at, started, 'epoch') - d.n * interval '1 microsecond') over (order by d.n) + d.n * interval '1 microsecond',
    d.reason,
    d.original
  from judged d
  order by d.n
$$;

-- A message as an element of the array again: what was there before, when nobody has changed it.
create function chat_private.element_of(m public.messages, made_here boolean) returns jsonb
language sql stable parallel safe
as $$
  select (coalesce(m.metadata, '{}') - 'original_role' - 'original_content' - 'original_content_missing')
    || jsonb_build_object('role', coalesce(
        case when chat_private.message_role(m.metadata ->> 'original_role') = m.role then m.metadata -> 'original_role' end, to_jsonb(m.role)))
    || case
      when m.metadata ? 'original_content_missing' and m.content = '' then '{}'
      when m.metadata ? 'original_content' and chat_private.content_text(m.metadata -> 'original_content') = m.content
      then jsonb_build_object('content', m.metadata -> 'original_content')
      else jsonb_build_object('content', m.content) end
    || case when made_here then jsonb_build_object('rethread_id', m.id, 'timestamp', m.created_at) else '{}' end
$$;

-- Writes the array of one session anew from its messages. Elements that are no messages stay where they stand; messages that
-- the new application has written come last. Touches nothing when nothing has changed.
create function chat_private.rebuild_session(session uuid) returns void
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
declare
  fresh public.chat_sessions.messages%type;
  changed boolean;
begin
  with old as (
    select e.*
    from public.chat_sessions s cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) e
    where s.id = session
  ),
  item as (
    select o.n, null::timestamptz as at, o.id,
      case when o.reason is not null then o.original
        when m.id is not null then chat_private.element_of(m, o.original::jsonb ? 'rethread_id')::text end as element,
      o.reason is null and (m.id is null
        or (chat_private.element_of(m, false) - 'timestamp') is distinct from (o.original::jsonb - 'rethread_id' - 'timestamp')) as differs
    from old o left join public.messages m on m.id = o.id and m.conversation_id = session
    union all
    select null, m.created_at, m.id, chat_private.element_of(m, true)::text, true
    from public.messages m
    where m.conversation_id = session and not exists (select from old o where o.id = m.id)
  )
  select '[' || coalesce(string_agg(i.element, ', ' order by i.n nulls last, i.at, i.id) filter (where i.element is not null), '') || ']',
    bool_or(i.differs)
  into fresh, changed
  from item i;
  if changed then
    update public.chat_sessions s set messages = fresh where s.id = session;
  end if;
end
$$;

-- The old application has written a session: bring its conversation and messages up to date. Never fails its statement.
create function chat_private.follow_session() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  perform set_config('rethread.in_step', 'on', true);
  if tg_op = 'DELETE' then
    delete from public.conversations c where c.id = old.id;
  elsif exists (select from public.tenants t where t.id = new.tenant_id) and exists (select from auth.users u where u.id = new.user_id) then
    insert into public.conversations as c (id, tenant_id, user_id, title, metadata, created_at, updated_at)
    values (new.id, new.tenant_id, new.user_id, coalesce(new.title, 'New Conversation'), new.metadata, new.created_at, new.updated_at)
    on conflict (id) do update
    set tenant_id = excluded.tenant_id, user_id = excluded.user_id, title = excluded.title, metadata = excluded.metadata, updated_at = excluded.updated_at;
    if tg_op = 'UPDATE' then
      delete from public.messages m
      using chat_private.elements(old.id, old.messages::json, old.created_at) gone
      where m.id = gone.id and m.conversation_id = old.id
        and gone.id not in (select e.id from chat_private.elements(new.id, new.messages::json, new.created_at) e where e.reason is null);
    end if;
    insert into public.messages as m (id, conversation_id, role, content, metadata, created_at)
    select e.id, new.id, e.role, e.content, e.metadata, e.created_at
    from chat_private.elements(new.id, new.messages::json, new.created_at) e
    where e.reason is null
    on conflict (id) do update
    set role = excluded.role, content = excluded.content, metadata = excluded.metadata
    where (m.role, m.content) is distinct from (excluded.role, excluded.content)
      or m.metadata - 'timestamp' is distinct from excluded.metadata - 'timestamp';
    insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
    select 'conversation-history', '005_set_aside_elements', 'public.chat_sessions', new.id || ':' || e.n, e.reason, to_jsonb(e.original)
    from chat_private.elements(new.id, new.messages::json, new.created_at) e
    where e.reason is not null
    on conflict do nothing;
  end if;
  perform set_config('rethread.in_step', '', true);
  return null;
end
$$;
revoke all on function chat_private.follow_session() from public;

-- The new application has written a conversation: the old one finds it in chat_sessions.
create function chat_private.follow_conversation() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  perform set_config('rethread.in_step', 'on', true);
  if tg_op = 'DELETE' then
    delete from public.chat_sessions s where s.id = old.id;
  elsif tg_op = 'INSERT' then
    insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
    values (new.id, new.tenant_id, new.user_id, new.title, '[]', new.metadata, new.created_at, new.updated_at)
    on conflict (id) do nothing;
  else
    update public.chat_sessions s
    set title = case when new.title = old.title then s.title else new.title end, metadata = new.metadata, updated_at = new.updated_at
    where s.id = new.id;
  end if;
  perform set_config('rethread.in_step', '', true);
  return null;
end
$$;
revoke all on function chat_private.follow_conversation() from public;

create function chat_private.follow_message() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  perform set_config('rethread.in_step', 'on', true);
  perform chat_private.rebuild_session(coalesce(new.conversation_id, old.conversation_id));
  perform set_config('rethread.in_step', '', true);
  return null;
end
$$;
revoke all on function chat_private.follow_message() from public;
revoke all on function chat_private.rebuild_session(uuid) from public;

create trigger rethread_follow_conversation after insert or update or delete on public.conversations
  for each row execute function chat_private.follow_conversation();
create trigger rethread_follow_message after insert or update or delete on public.messages
  for each row execute function chat_private.follow_message();
create trigger rethread_follow_session after insert or update or delete on public.chat_sessions
  for each row execute function chat_private.follow_session();
