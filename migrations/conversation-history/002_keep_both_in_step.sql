--! title: Keep chat_sessions and conversations in step, whichever application writes
--! phase: expand

-- The setting role_map adds to this: 'bot=assistant, person=user'. What it does not
-- know goes to the quarantine.
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

-- A time as applications write it: ISO text, epoch seconds, epoch milliseconds. Null when it is none; the
-- original stays in metadata.
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

-- True where a session keeps its messages in a form that is understood: an array, nothing yet, or an exported
-- tree, an object with a mapping of nodes, each with its message, its parent and its children. A tree that
-- holds \u0000 is not: none of it could be read.
create function chat_private.keeps_messages(messages json) returns boolean
language sql immutable parallel safe
as $$
  select json_typeof(messages) in ('array', 'null') or json_typeof(messages) = 'object'
    and coalesce(json_typeof(messages -> 'mapping') = 'object', false) and strpos(messages::text, '\u0000') = 0
$$;

-- The nodes of an exported tree that say something: from the root to the current node, then those
-- of branches that were left.
create function chat_private.tree_nodes(tree json) returns table (n bigint, key text, value json, is_current boolean)
language sql immutable parallel safe
as $$
  with recursive node as (
    select e.key, e.value, row_number() over () as n
    from json_each(case when json_typeof(tree -> 'mapping') = 'object' then tree -> 'mapping' else '{}' end) e
  ),
  path (key, depth) as (
    select coalesce(
        (select o.key from node o where o.key = tree ->> 'current_node'),
        (select o.key from node o order by o.n desc limit 1)), 0
    union all
    select o.value ->> 'parent', p.depth + 1 from path p join node o on o.key = p.key where o.value ->> 'parent' is not null
  ) cycle key set is_cycle using trail
  -- numbered before the silent ones go, so that a node which falls silent moves no other
  select * from (
    select row_number() over (order by p.depth desc nulls last, o.n), o.key, o.value, p.key is not null
    from node o left join path p on p.key = o.key and not p.is_cycle
  ) x
  where json_typeof(x.value -> 'message') = 'object'
$$;

-- The elements of what a session keeps: what each becomes, or the reason why it can't be a message.
-- `key` is its place in the array or its node in the tree. Takes json, because jsonb could not hold all
-- that a json column holds.
create function chat_private.elements(session_id uuid, messages json, started timestamptz)
returns table (n bigint, key text, id uuid, role text, content text, metadata jsonb, created_at timestamptz, reason text, original text)
language sql stable parallel safe
as $$
  with element as (
    select e.n, e.key, e.is_current, e.value::text as original,
      -- \u0000 has no place in text or jsonb
      case when strpos(e.value::text, '\u0000') > 0 and e.value::text ~ '(^|[^\\])(\\\\)*\\u0000' then null else e.value::jsonb end as j
    from (
      select a.n, a.n::text as key, a.value, true as is_current
      from json_array_elements(case when json_typeof(messages) = 'array' then messages else '[]'::json end) with ordinality as a (value, n)
      union all
      select t.n, t.key, t.value, t.is_current from chat_private.tree_nodes(messages) t
      where json_typeof(messages) = 'object' and chat_private.keeps_messages(messages)
    ) e
  ),
  -- ids that are written in the elements, for those whose place no longer tells
  written as (
    select array_agg(x.j ->> 'rethread_id') filter (where x.j ? 'rethread_id') as ids from element x where jsonb_typeof(x.j) = 'object'
  ),
  read as (
    select x.n, x.key, x.is_current, x.original, x.j, b.body, b.nested,
      case when jsonb_typeof(x.j) = 'object' then coalesce(b.body ->> 'role', b.body -> 'author' ->> 'role') end as said_role,
      coalesce(
        chat_private.message_time(x.j -> 'rethread_at'), chat_private.message_time(b.body -> 'timestamp'), chat_private.message_time(b.body -> 'created_at'),
        chat_private.message_time(b.body -> 'createdAt'), chat_private.message_time(b.body -> 'create_time')) as said_at
    from element x
    -- exports wrap the message in a node, and its role in an author
    cross join lateral (
      select case when jsonb_typeof(x.j -> 'message') = 'object' and not x.j ? 'role' then x.j -> 'message' else x.j end as body,
        jsonb_typeof(x.j) = 'object' and not x.j ? 'role' and (jsonb_typeof(x.j -> 'message') = 'object' or jsonb_typeof(x.j -> 'author') = 'object') as nested
    ) b
  ),
  judged as (
    select r.*,
      case
        when r.j is null then 'it holds \u0000, which PostgreSQL can''t store'
        when jsonb_typeof(r.j) = 'null' then 'it is null'
        when jsonb_typeof(r.j) <> 'object' then 'it is no object but ' || jsonb_typeof(r.j)
        when not r.is_current then 'it is on a branch that the conversation has left'
        when r.said_role is null then 'it has no role'
        when chat_private.message_role(r.said_role) is null then format('its role is %L', r.said_role)
      end as reason
    from read r
  )
  select
    d.n,
    d.key,
    case
      when d.j ->> 'rethread_id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then (d.j ->> 'rethread_id')::uuid
      when w.ids is null or md5('rethread:message:' || session_id || ':' || d.key)::uuid::text <> all (w.ids)
      then md5('rethread:message:' || session_id || ':' || d.key)::uuid
      -- its place was another's before, who keeps the id of that place
      else (
        select md5('rethread:message:' || session_id || ':' || d.key || ':' || k)::uuid
        from generate_series(1, cardinality(w.ids) + 1) k
        where md5('rethread:message:' || session_id || ':' || d.key || ':' || k)::uuid::text <> all (w.ids)
        order by k limit 1) end,
    chat_private.message_role(d.said_role),
    chat_private.content_text(d.body -> 'content'),
    case when d.reason is not null then null
      when d.nested then jsonb_build_object('original_element', d.j - 'rethread_id' - 'rethread_at')
      else (d.j - 'role' - 'content' - 'rethread_id' - 'rethread_at')
        || case when chat_private.message_role(d.said_role) is distinct from d.said_role then jsonb_build_object('original_role', d.j -> 'role') else '{}' end
        || case when jsonb_typeof(d.j -> 'content') = 'string' then '{}'
          when d.j ? 'content' then jsonb_build_object('original_content', d.j -> 'content')
          else jsonb_build_object('original_content_missing', true) end end,
    -- the order of the array is the order of the times: where it is not, by a microsecond
    max(coalesce(d.said_at, started, 'epoch') - d.n * interval '1 microsecond') over (order by d.n) + d.n * interval '1 microsecond',
    d.reason,
    d.original
  from judged d cross join written w
  order by d.n
$$;

-- A node or element of an export, with the role and the content of today where they are others than it says.
create function chat_private.nested_element(element jsonb, role text, content text) returns jsonb
language sql immutable parallel safe
as $$
  select jsonb_set(
    case when chat_private.content_text(b.body -> 'content') = content then b.element
      else jsonb_set(b.element, b.path || '{content}', case jsonb_typeof(b.body -> 'content')
        when 'object' then jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array(content)) else to_jsonb(content) end) end,
    b.path || b.said,
    case when chat_private.message_role(b.body #>> b.said) = role then b.body #> b.said else to_jsonb(role) end)
  from (
    select element, p.path, p.body, case when p.body ? 'role' then '{role}' else '{author,role}' end::text[] as said
    from (
      select case when jsonb_typeof(element -> 'message') = 'object' then '{message}' else '{}' end::text[] as path,
        case when jsonb_typeof(element -> 'message') = 'object' then element -> 'message' else element end as body
    ) p
  ) b
$$;

-- A message as an element of the array again: what was there before, when nobody has changed it. `marked`:
-- with its id and time, for which its place does not stand; `timed`: with the time as its own.
create function chat_private.element_of(m public.messages, marked boolean, timed boolean) returns jsonb
language sql stable parallel safe
as $$
  select case
    when m.metadata ? 'original_element' then chat_private.nested_element(m.metadata -> 'original_element', m.role, m.content)
    else (coalesce(m.metadata, '{}') - 'original_role' - 'original_content' - 'original_content_missing')
      || jsonb_build_object('role', coalesce(
          case when chat_private.message_role(m.metadata ->> 'original_role') = m.role then m.metadata -> 'original_role' end, to_jsonb(m.role)))
      || case
        when m.metadata ? 'original_content_missing' and m.content = '' then '{}'
        when m.metadata ? 'original_content' and chat_private.content_text(m.metadata -> 'original_content') = m.content
        then jsonb_build_object('content', m.metadata -> 'original_content')
        else jsonb_build_object('content', m.content) end end
    || case when not marked then '{}'
      when timed and not coalesce(m.metadata ? 'timestamp', false) then jsonb_build_object('rethread_id', m.id, 'timestamp', m.created_at)
      else jsonb_build_object('rethread_id', m.id, 'rethread_at', m.created_at) end
$$;

-- The nodes of an exported tree anew from the session's messages: an edit reaches its node, a
-- deletion empties it, and what the new application has written hangs on the current node. Null
-- when nothing has changed.
create function chat_private.rebuilt_tree(session uuid, messages json, started timestamptz) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  tree jsonb;
  said record;
  leaf text;
begin
  tree := messages;
  for said in
    select e.key, e.original::jsonb as node, m.id, chat_private.nested_element(e.original::jsonb, m.role, m.content) as element
    from chat_private.elements(session, messages, started) e
    left join public.messages m on m.id = e.id and m.conversation_id = session
    where e.reason is null
  loop
    if said.id is null then
      tree := jsonb_set(tree, array['mapping', said.key, 'message'], 'null');
    elsif said.element is distinct from said.node then
      tree := jsonb_set(tree, array['mapping', said.key], said.element);
    end if;
  end loop;
  for said in
    select m.id::text as key, m.role, m.content, extract(epoch from m.created_at) as at
    from public.messages m
    where m.conversation_id = session and m.id not in (select e.id from chat_private.elements(session, messages, started) e where e.reason is null)
    order by m.created_at, m.id
  loop
    leaf := tree ->> 'current_node';
    if tree -> 'mapping' ? leaf then
      tree := jsonb_set(tree, array['mapping', leaf, 'children'], coalesce(tree -> 'mapping' -> leaf -> 'children', '[]') || to_jsonb(said.key));
    end if;
    tree := jsonb_set(tree, array['mapping', said.key], jsonb_build_object(
      'id', said.key, 'rethread_id', said.key, 'parent', leaf, 'children', '[]'::jsonb,
      'message', jsonb_build_object('id', said.key, 'author', jsonb_build_object('role', said.role), 'create_time', said.at,
        'content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array(said.content)))));
    tree := jsonb_set(tree, '{current_node}', to_jsonb(said.key));
  end loop;
  return nullif(tree, messages::jsonb);
end
$$;

-- Writes what one session keeps anew from its messages. Elements that are no messages stay where they stand;
-- messages that the new application has written come last; an element that moves up takes its id along.
-- Touches nothing when nothing has changed.
create function chat_private.rebuild_session(session uuid) returns void
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
declare
  kept record;
  fresh public.chat_sessions.messages%type;
  changed boolean;
begin
  select s.messages::json as messages, s.created_at as started into kept from public.chat_sessions s where s.id = session;
  if json_typeof(kept.messages) = 'object' and chat_private.keeps_messages(kept.messages) then
    fresh := chat_private.rebuilt_tree(session, kept.messages, kept.started);
    changed := fresh is not null;
  elsif json_typeof(kept.messages) = 'object' and kept.messages -> 'mapping' is not null then
    return;
  else
    with old as (
      select e.n, e.id, e.reason, e.original, case when e.reason is null then e.original::jsonb ? 'rethread_id' end as marked,
        case when e.reason is null then e.original::jsonb ?& '{rethread_id,timestamp}' end as timed
      from chat_private.elements(session, kept.messages, kept.started) e
    ),
    item as (
      select o.n, null::timestamptz as at, o.id, o.original, o.reason, o.marked, o.timed, m
      from old o left join public.messages m on m.id = o.id and m.conversation_id = session
      union all
      select null, m.created_at, m.id, null, null, true, true, m
      from public.messages m
      where m.conversation_id = session and not exists (select from old o where o.id = m.id)
    ),
    placed as (
      select i.*, row_number() over (order by i.n nulls last, i.at, i.id) as place
      from item i where i.reason is not null or (i.m).id is not null
    )
    select
      '[' || coalesce(string_agg(case when p.reason is not null then p.original
        else chat_private.element_of(p.m, p.marked or p.n <> p.place, p.timed)::text end, ', ' order by p.place), '') || ']',
      -- one is gone, one is new, or one says something else
      count(*) <> (select count(*) from old) or bool_or(p.reason is null and (p.original is null
        or (chat_private.element_of(p.m, false, false) - 'timestamp') is distinct from (p.original::jsonb - 'rethread_id' - 'rethread_at' - 'timestamp')))
    into fresh, changed
    from placed p;
  end if;
  if changed then
    update public.chat_sessions s set messages = fresh where s.id = session;
  end if;
end
$$;

-- The old application has written a session: bring its conversation and messages up to date.
-- Never fails its statement.
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
    select 'conversation-history', '005_set_aside_elements', 'public.chat_sessions', new.id || ':' || e.key, e.reason, to_jsonb(e.original)
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
