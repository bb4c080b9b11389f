--! title: Keep chat_sessions and conversations in step, whichever application writes
--! phase: expand

-- The setting role_map adds to this: 'bot=assistant, person=user'. What it does not
-- know goes to the quarantine.
-- locks: none
do $settings$
declare
  map jsonb := '{"user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "ai": "assistant", "model": "assistant", "bot": "assistant", "gpt": "assistant", "chatgpt": "assistant", "tool": "assistant", "function": "assistant", "system": "system", "developer": "system"}';
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

-- What makes message ids unguessable: nobody can choose in advance the id that somebody else's message will
-- get. It outlives a rollback, so that a repeated migrate makes the same ids.
create schema if not exists rethread_archive;
-- What can't be a message goes there. The tool has made it before its first step; a file that is pasted into
-- psql needs it too.
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
create table if not exists rethread_archive.message_keys (track text primary key, secret text not null);
revoke all on rethread_archive.message_keys from public, anon, authenticated, service_role;
insert into rethread_archive.message_keys (track, secret)
values ('conversation-history', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''))
on conflict (track) do nothing;

-- Sessions whose other side could not be written together with the application's statement, and why.
-- Appended only: it is written by statements that must not wait. The next write to the session brings it up
-- to date, or the backfill 006.
create table chat_private.behind (
  session_id uuid not null,
  -- whose the row was that somebody wrote or deleted: nothing of anybody else's is changed for it later
  tenant_id uuid,
  user_id uuid,
  written_by text not null check (written_by in ('old application', 'new application')),
  operation text not null,
  sqlstate text not null,
  at timestamptz not null default clock_timestamp(),
  caught_up_at timestamptz
);
-- a publication of all tables has it too, and wants to name the rows that are changed
alter table chat_private.behind replica identity full;
create index behind_session_id on chat_private.behind (session_id);
-- From when on the time of a conversation follows its messages: older ones keep what they had.
create table chat_private.times_kept (since timestamptz not null);
insert into chat_private.times_kept (since) values (clock_timestamp());
revoke all on chat_private.behind, chat_private.times_kept from public, anon, authenticated, service_role;

-- The seal of an id that is written into an element. Without it, or in another session, the id is the text of
-- a user and counts for nothing.
create function chat_private.seal(secret text, session_id uuid, id text) returns text
language sql immutable parallel safe
as $$ select left(encode(sha256(convert_to(secret || ':seal:' || session_id || ':' || id, 'UTF8')), 'hex'), 32) $$;

-- The id of an element by its place in the array or its node in the tree.
create function chat_private.place_id(secret text, session_id uuid, key text) returns text
language sql immutable parallel safe
as $$ select md5(secret || ':message:' || session_id || ':' || key)::uuid::text $$;

-- The same where that id belongs to an element which has moved: the first of its numbered forms that is free.
create function chat_private.free_place_id(secret text, session_id uuid, key text, taken jsonb) returns text
language plpgsql immutable parallel safe
set search_path = ''
as $$
declare
  id text;
begin
  for k in 1 .. 2000000000 loop
    id := chat_private.place_id(secret, session_id, key || ':' || k);
    exit when not taken ? id;
  end loop;
  return id;
end
$$;

-- A date and time in ISO form; null when it is none. Without a zone it is UTC. Not for parallel plans, like
-- what calls it: before PostgreSQL 17 no error may be caught in them.
create function chat_private.iso_time(said text) returns timestamptz
language plpgsql immutable
set search_path = ''
set timezone = 'UTC'
as $$
begin
  return said::timestamptz;
exception
  when others then
    return null;
end
$$;

-- A time as applications write it: ISO text, epoch seconds, epoch milliseconds. Null when it is none; the
-- original stays in metadata.
create function chat_private.message_time(value jsonb) returns timestamptz
language sql immutable
as $$
  select case
    when value is null or jsonb_typeof(value) not in ('string', 'number') then null
    when value #>> '{}' ~ '^\d{1,15}(\.\d{1,20})?$' then
      to_timestamp(((value #>> '{}')::numeric / case when (value #>> '{}')::numeric >= 100000000000 then 1000 else 1 end)::float8)
    when value #>> '{}' ~ '^\d{4}-\d{2}-\d{2}' then chat_private.iso_time(value #>> '{}') end
$$;

-- The text of a content that is not simply text: its parts, in order. '' when there is none.
create function chat_private.content_text(content jsonb) returns text
language sql immutable parallel safe
as $$
  select case jsonb_typeof(content)
    when 'string' then content #>> '{}'
    when 'array' then (
      select coalesce(string_agg(coalesce(
          case jsonb_typeof(p.part) when 'string' then p.part #>> '{}' end,
          case jsonb_typeof(p.part -> 'text') when 'string' then p.part ->> 'text' end,
          p.part -> 'text' ->> 'value',
          -- the result of a tool keeps its text one level further down
          case when jsonb_typeof(p.part -> 'content') in ('string', 'array') then chat_private.content_text(p.part -> 'content') end,
          ''), E'\n' order by p.n), '')
      from jsonb_array_elements(content) with ordinality as p (part, n)
      -- what a model thinks and where a step begins is shown to nobody
      where coalesce(p.part ->> 'type', '') not in ('thinking', 'redacted_thinking', 'reasoning', 'think', 'step-start'))
    when 'object' then coalesce(chat_private.content_text(content -> 'parts'), content ->> 'text', '')
    when 'null' then ''
    else coalesce(content #>> '{}', '') end
$$;

-- Who says it. Applications and exports write it as role, author.role, isCreatedByUser, from, sender or
-- type, or in a class name.
create function chat_private.element_role(body jsonb) returns text
language sql immutable parallel safe
as $$
  select coalesce(
    body ->> 'role',
    body -> 'author' ->> 'role',
    case body ->> 'isCreatedByUser' when 'true' then 'user' when 'false' then 'assistant' end,
    case jsonb_typeof(body -> 'from') when 'string' then body ->> 'from' end,
    case jsonb_typeof(body -> 'sender') when 'string' then body ->> 'sender' end,
    case jsonb_typeof(body -> 'author') when 'string' then body ->> 'author' end,
    case when chat_private.message_role(body ->> 'type') is not null then body ->> 'type' end,
    case when jsonb_typeof(body -> 'kwargs') = 'object' and jsonb_typeof(body -> 'id') = 'array'
      then lower(regexp_replace(body -> 'id' ->> -1, '(Message)?(Chunk)?$', '')) end)
$$;

-- What it says: the first of the usual places that holds text. '' when none does.
create function chat_private.element_text(body jsonb) returns text
language sql immutable parallel safe
as $$
  select case when jsonb_typeof(body -> 'content') = 'string' and body ->> 'content' <> '' then body ->> 'content' else coalesce(
    nullif(chat_private.content_text(body -> 'content'), ''),
    nullif(chat_private.content_text(body -> 'parts'), ''),
    case jsonb_typeof(body -> 'text') when 'string' then nullif(body ->> 'text', '') when 'object' then nullif(body -> 'text' ->> 'value', '') end,
    case jsonb_typeof(body -> 'message') when 'string' then nullif(body ->> 'message', '') end,
    case jsonb_typeof(body -> 'value') when 'string' then nullif(body ->> 'value', '') end,
    case jsonb_typeof(body -> 'body') when 'string' then nullif(body ->> 'body', '') end,
    nullif(chat_private.content_text(body -> 'data' -> 'content'), ''),
    nullif(chat_private.content_text(body -> 'kwargs' -> 'content'), ''),
    '') end
$$;

-- True for an element without text that has text somewhere, in a place that nobody told us of: it must not
-- become a blank message. Calls of tools, pictures and files are no text.
create function chat_private.hides_text(body jsonb) returns boolean
language sql immutable parallel safe
as $$
  select not body ?| '{tool_calls,toolCalls,tool_call_id,function_call,functionCall,toolInvocations,attachments,experimental_attachments,files,images}'
    and jsonb_typeof(body -> 'content') is distinct from 'array' and jsonb_typeof(body -> 'content') is distinct from 'object'
    and jsonb_typeof(body -> 'parts') is distinct from 'array'
    and jsonb_path_exists(
      body - '{role,author,sender,from,type,id,lc,name,model,provider,timestamp,time,ts,date,created_at,createdAt,create_time,updated_at,updatedAt,update_time,status,content,parts,text,message,value,metadata,usage,parent,children,parentMessageId,messageId,conversationId,isCreatedByUser,finish_reason,stop_reason,rethread_id,rethread_seal,rethread_at}'::text[],
      '$.** ? (@.type() == "string" && @ != "")')
$$;

-- Why the text of a JSON value can't be read: \u0000, or one half of a character that is written as two, as
-- applications leave it that cut a text in the middle of one. Null where it can.
create function chat_private.why_unreadable(value text) returns text
language sql immutable parallel safe
as $$
  select case
    when strpos(value, '\u') = 0 then null
    when replace(value, '\\', '') ~ '\\u0000' then 'it holds \u0000, which PostgreSQL can''t store'
    when replace(value, '\\', '') ~* '\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}'
    then 'it holds half of a character (one of a pair such as \ud83d\ude00), which PostgreSQL can''t store' end
$$;

-- True where a session keeps its messages in a form that is understood: an array, nothing yet, or an exported
-- tree, an object with a mapping of nodes, each with its message, its parent and its children. A tree of
-- which a part can't be read is not: none of it could be.
create function chat_private.keeps_messages(messages json) returns boolean
language sql immutable parallel safe
as $$
  select case
    when json_typeof(messages) in ('array', 'null') then true
    when json_typeof(messages) = 'object' and chat_private.why_unreadable(messages::text) is null
    then coalesce(json_typeof(messages -> 'mapping') = 'object', false)
    when messages is not null then false end
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
returns table (n bigint, key text, id uuid, role text, content text, metadata jsonb, created_at timestamptz, reason text, original text, is_sealed boolean)
language sql stable
as $$
  with known as materialized (select k.secret from rethread_archive.message_keys k where k.track = 'conversation-history'),
  element as materialized (
    select e.n, e.key, e.is_current, e.value::text as original,
      case when chat_private.why_unreadable(e.value::text) is null then e.value::jsonb end as j
    from (
      select a.n, a.n::text as key, a.value, true as is_current
      from json_array_elements(case when json_typeof(messages) = 'array' then messages else '[]'::json end) with ordinality as a (value, n)
      union all
      select t.n, t.key, t.value, t.is_current from chat_private.tree_nodes(messages) t
      where json_typeof(messages) = 'object' and chat_private.keeps_messages(messages)
    ) e
  ),
  -- ids that the database itself has written into elements of this session; of an element that was
  -- doubled the first keeps its id
  sealed as materialized (
    select distinct on (x.j ->> 'rethread_id') x.n, x.j ->> 'rethread_id' as id
    from element x
    where jsonb_typeof(x.j) = 'object' and x.j ? 'rethread_seal'
      and x.j ->> 'rethread_seal' = chat_private.seal((select k.secret from known k), session_id, x.j ->> 'rethread_id')
    order by x.j ->> 'rethread_id', x.n
  ),
  -- looked up in one value, not joined: a planner that expects few of them would
  -- compare each element with all
  taken as materialized (
    select coalesce(jsonb_object_agg(w.id, true), '{}') as ids, coalesce(jsonb_object_agg(w.n, w.id), '{}') as by_place from sealed w
  ),
  read as (
    select x.n, x.key, x.is_current, x.original, x.j, b.body,
      chat_private.element_role(b.body) as said_role,
      chat_private.element_text(b.body) as said,
      coalesce(
        chat_private.message_time(x.j -> 'rethread_at'), chat_private.message_time(b.body -> 'timestamp'), chat_private.message_time(b.body -> 'created_at'),
        chat_private.message_time(b.body -> 'createdAt'), chat_private.message_time(b.body -> 'create_time'), chat_private.message_time(b.body -> 'time'),
        chat_private.message_time(b.body -> 'ts'), chat_private.message_time(b.body -> 'date')) as said_at
    from element x
    -- exports wrap the message in a node
    cross join lateral (
      select case when jsonb_typeof(x.j) = 'object' then
        case when jsonb_typeof(x.j -> 'message') = 'object' and not x.j ? 'role' then x.j -> 'message' else x.j end end as body
    ) b
  ),
  judged as (
    select r.*,
      case
        when r.j is null then chat_private.why_unreadable(r.original)
        when jsonb_typeof(r.j) = 'null' then 'it is null'
        when jsonb_typeof(r.j) <> 'object' then 'it is no object but ' || jsonb_typeof(r.j)
        when not r.is_current then 'it is on a branch that the conversation has left'
        when r.said_role is null then 'it has no role'
        when chat_private.message_role(r.said_role) is null then format('its role is %L', left(r.said_role, 40))
        when r.said = '' and chat_private.hides_text(r.body) then 'its text is in no place that is known'
      end as reason,
      -- as an application writes it today: a role and a content of its own
      r.j ->> 'role' is not null and r.said = chat_private.content_text(r.j -> 'content') as is_plain
    from read r
  )
  select
    d.n,
    d.key,
    coalesce(
      (select t.by_place from taken t) ->> d.n::text,
      case when not (select t.ids from taken t) ? p.id then p.id
        else chat_private.free_place_id((select k.secret from known k), session_id, d.key, (select t.ids from taken t)) end)::uuid,
    chat_private.message_role(d.said_role),
    d.said,
    case when d.reason is not null then null
      when not d.is_plain then jsonb_build_object('original_element', d.j - '{rethread_id,rethread_seal,rethread_at}'::text[])
      else (d.j - '{role,content,rethread_id,rethread_seal,rethread_at}'::text[])
        || case when chat_private.message_role(d.said_role) is distinct from d.said_role then jsonb_build_object('original_role', d.j -> 'role') else '{}' end
        || case when jsonb_typeof(d.j -> 'content') = 'string' then '{}'
          when d.j ? 'content' then jsonb_build_object('original_content', d.j -> 'content')
          else jsonb_build_object('original_content_missing', true) end end,
    -- the order of the array is the order of the times: where it is not, by a microsecond
    max(coalesce(d.said_at, started, 'epoch') - d.n * interval '1 microsecond') over (order by d.n) + d.n * interval '1 microsecond',
    d.reason,
    d.original,
    (select t.by_place from taken t) ? d.n::text
  from judged d
  cross join lateral (select chat_private.place_id((select k.secret from known k), session_id, d.key) as id) p
  order by d.n
$$;

-- An element with the role and the content of today where they are others than it says: in the place where it
-- says them, and where every reader looks first.
create function chat_private.restated_element(element jsonb, role text, content text) returns jsonb
language sql immutable parallel safe
as $$
  select case when b.path = '{}' then b.body else jsonb_set(element, b.path, b.body) end
  from (
    select p.path,
      case when chat_private.message_role(chat_private.element_role(p.body)) = role then '{}'
        when jsonb_typeof(p.body -> 'author') = 'object' and not p.body ? 'role' then jsonb_build_object('author', p.body -> 'author' || jsonb_build_object('role', role))
        else jsonb_build_object('role', role) end as said_role,
      case when chat_private.element_text(p.body) = content then '{}'
        when jsonb_typeof(p.body -> 'content') = 'object'
        then jsonb_build_object('content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array(content)))
        else jsonb_build_object('content', content)
          || case when jsonb_typeof(p.body -> 'parts') = 'array' then jsonb_build_object('parts', jsonb_build_array(jsonb_build_object('type', 'text', 'text', content))) else '{}' end
          || case when jsonb_typeof(p.body -> 'text') = 'string' then jsonb_build_object('text', content) else '{}' end
          || case when jsonb_typeof(p.body -> 'message') = 'string' then jsonb_build_object('message', content) else '{}' end
          || case when jsonb_typeof(p.body -> 'value') = 'string' then jsonb_build_object('value', content) else '{}' end end as said,
      p.body as was
    from (
      select case when w.wrapped then '{message}' else '{}' end::text[] as path, case when w.wrapped then element -> 'message' else element end as body
      from (select jsonb_typeof(element -> 'message') = 'object' and not element ? 'role' as wrapped) w
    ) p
  ) x
  cross join lateral (select x.path, x.was || x.said_role || x.said as body) b
$$;

-- A message as an element of the array again: what was there before, when nobody has changed it. `marked`:
-- with its id and time, for which its place does not stand; `timed`: with the time as its own.
create function chat_private.element_of(m public.messages, marked boolean, timed boolean) returns jsonb
language sql stable parallel safe
as $$
  select case
    when m.metadata ? 'original_element' then chat_private.restated_element(m.metadata -> 'original_element', m.role, m.content)
    else (coalesce(m.metadata, '{}') - 'original_role' - 'original_content' - 'original_content_missing')
      || jsonb_build_object('role', coalesce(
          case when chat_private.message_role(m.metadata ->> 'original_role') = m.role then m.metadata -> 'original_role' end, to_jsonb(m.role)))
      || case
        when m.metadata ? 'original_content_missing' and m.content = '' then '{}'
        when m.metadata ? 'original_content' and chat_private.content_text(m.metadata -> 'original_content') = m.content
        then jsonb_build_object('content', m.metadata -> 'original_content')
        else jsonb_build_object('content', m.content) end end
    || case when not marked then '{}' else (
        select jsonb_build_object('rethread_id', m.id, 'rethread_seal', chat_private.seal(k.secret, m.conversation_id, m.id::text),
          case when timed and not coalesce(m.metadata ? 'timestamp', false) then 'timestamp' else 'rethread_at' end, m.created_at)
        from rethread_archive.message_keys k where k.track = 'conversation-history') end
$$;

-- The nodes of an exported tree, from the session's messages: an edit reaches its node, a deletion empties
-- it, and what the new application has written hangs on the current node. Null when nothing has changed.
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
    select e.key, e.original::jsonb as node, m.id, chat_private.restated_element(e.original::jsonb, m.role, m.content) as element
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
    select m.id::text as key, m.role, m.content, extract(epoch from m.created_at) as at, chat_private.seal(k.secret, session, m.id::text) as seal
    from public.messages m
    cross join rethread_archive.message_keys k
    where m.conversation_id = session and k.track = 'conversation-history'
      and m.id not in (select e.id from chat_private.elements(session, messages, started) e where e.reason is null)
    order by m.created_at, m.id
  loop
    leaf := tree ->> 'current_node';
    if tree -> 'mapping' ? leaf then
      tree := jsonb_set(tree, array['mapping', leaf, 'children'], coalesce(tree -> 'mapping' -> leaf -> 'children', '[]') || to_jsonb(said.key));
    end if;
    tree := jsonb_set(tree, array['mapping', said.key], jsonb_build_object(
      'id', said.key, 'rethread_id', said.key, 'rethread_seal', said.seal, 'parent', leaf, 'children', '[]'::jsonb,
      'message', jsonb_build_object('id', said.key, 'author', jsonb_build_object('role', said.role), 'create_time', said.at,
        'content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array(said.content)))));
    tree := jsonb_set(tree, '{current_node}', to_jsonb(said.key));
  end loop;
  return nullif(tree, messages::jsonb);
end
$$;

-- Writes what one session keeps from its messages. Elements that are no messages stay where they are;
-- messages that the new application has written come last; an element that moves up takes its id along.
-- Touches nothing when nothing has changed, and no session of another tenant or user than its conversation.
-- The session's row is locked before anything is read: two writers of one session come one after the other.
create function chat_private.rebuild_session(session uuid) returns void
language plpgsql
set search_path = ''
as $$
declare
  kept record;
  fresh public.chat_sessions.messages%type;
  changed boolean;
begin
  select s.messages::json as messages, s.created_at as started into kept
  from public.chat_sessions s
  where s.id = session
    and exists (select from public.conversations c where c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id)
  for no key update;
  if not found then
    return;
  end if;
  if json_typeof(kept.messages) = 'object' and chat_private.keeps_messages(kept.messages) then
    fresh := chat_private.rebuilt_tree(session, kept.messages, kept.started);
    changed := fresh is not null;
  elsif json_typeof(kept.messages) = 'object'
    and (case when chat_private.why_unreadable(kept.messages::text) is null then kept.messages -> 'mapping' is not null else true end) then
    return;
  else
    with old as materialized (
      select e.n, e.id, e.reason, e.original, e.is_sealed, case when e.reason is null then e.original::jsonb ? 'timestamp' end as timed
      from chat_private.elements(session, kept.messages, kept.started) e
    ),
    item as (
      select o.n, null::timestamptz as at, o.id, o.original, o.reason, o.is_sealed, o.timed, m
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
        else chat_private.element_of(p.m, p.is_sealed or p.n <> p.place, p.timed)::text end, ', ' order by p.place), '') || ']',
      -- one is gone, one is new, or one says something else
      count(*) <> (select count(*) from old) or bool_or(p.reason is null and (p.original is null
        or (chat_private.element_of(p.m, false, false) - 'timestamp')
          is distinct from (p.original::jsonb - '{rethread_id,rethread_seal,rethread_at,timestamp}'::text[])))
    into fresh, changed
    from placed p;
  end if;
  if changed then
    update public.chat_sessions s set messages = fresh where s.id = session;
  end if;
end
$$;

-- Whether two values of the old column say the same: json has no comparison of its own.
create function chat_private.same_messages(a jsonb, b jsonb) returns boolean
language sql immutable parallel safe
as $$ select a is not distinct from b $$;
create function chat_private.same_messages(a json, b json) returns boolean
language sql immutable parallel safe
as $$ select a::text is not distinct from b::text $$;

-- The old application has changed what a session keeps: its messages follow. `before` is null for a session
-- that is new. An element that the new application wrote (it is sealed) goes only when the write does nothing
-- but leave elements out, and a minute after it was written: a writer that had read the array before would
-- delete what it never saw. True when some were kept. Never waits for a message: one that another transaction
-- is changing is left to that transaction, which comes to this session next.
create function chat_private.merge_messages(session uuid, before json, messages json, started timestamptz) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  kept boolean;
begin
  -- `is_message` and not `reason is null`, of which the planner expects so few that it would
  -- compare each element with all
  with a as materialized (select e.*, e.reason is null as is_message from chat_private.elements(session, messages, started) e),
  b as materialized (
    select e.id, e.reason is null as is_message, e.original, e.is_sealed from chat_private.elements(session, before, started) e where before is not null
  ),
  fresh as materialized (
    select a.*, b.id is null as is_new
    from a left join b on b.id = a.id and b.is_message
    where b.id is null or a.original is distinct from b.original
  ),
  gone as materialized (
    select b.id, b.is_sealed from b where b.is_message and not exists (select from a where a.id = b.id and a.is_message)
  ),
  pure as (select not exists (select from fresh) as leaves_out_only),
  leaving as materialized (
    select m.id from public.messages m join gone g on g.id = m.id cross join pure
    where m.conversation_id = session
      and (not g.is_sealed or pure.leaves_out_only and m.created_at < clock_timestamp() - interval '1 minute')
    for update of m skip locked
  ),
  removed as (delete from public.messages m using leaving l where m.id = l.id),
  edited as materialized (
    select m.id, f.role, f.content, f.metadata
    from public.messages m join fresh f on f.id = m.id
    where m.conversation_id = session and f.is_message
      and ((m.role, m.content) is distinct from (f.role::varchar, f.content)
        or m.metadata - 'timestamp' is distinct from f.metadata - 'timestamp')
    for no key update of m skip locked
  ),
  changed as (
    update public.messages m set role = e.role, content = e.content, metadata = e.metadata from edited e where m.id = e.id
  ),
  added as (
    insert into public.messages (id, conversation_id, role, content, metadata, created_at)
    select f.id, session, f.role, f.content, f.metadata, f.created_at
    from fresh f
    where f.is_message and f.is_new and not exists (select from public.messages m where m.id = f.id)
    on conflict (id) do nothing
  ),
  aside as (
    insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
    select 'conversation-history', '005_set_aside_elements', 'public.chat_sessions', session || ':' || f.key, f.reason, to_jsonb(f.original)
    from fresh f
    where not f.is_message
    on conflict do nothing
  )
  select exists (
    select from gone g join public.messages m on m.id = g.id
    where m.conversation_id = session and g.is_sealed and not exists (select from leaving l where l.id = g.id)) into kept;
  return kept;
end
$$;

-- The time of a conversation is never before its newest message. False when somebody holds the conversation.
create function chat_private.touch_conversation(session uuid) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  perform from public.conversations c where c.id = session for no key update skip locked;
  if not found then
    return not exists (select from public.conversations c where c.id = session);
  end if;
  update public.conversations c
  set updated_at = n.newest
  from (
    select max(m.created_at) as newest from public.messages m
    where m.conversation_id = session and m.created_at > (select k.since from chat_private.times_kept k)
  ) n
  where c.id = session and coalesce(c.updated_at, '-infinity') < n.newest;
  return true;
end
$$;

-- A session that is behind, brought up to date: first what the old application wrote, then what the new one
-- did. It sets in_step itself: a query may call it before whatever else it does, and triggers that answered
-- it would take the lines away that the query is about to change. A setting of the function would do, but
-- only a superuser may give it one.
create function chat_private.catch_up(session uuid) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  kept record;
  old_wrote boolean;
  new_wrote boolean;
  secret text;
  outer_step text := coalesce(current_setting('rethread.in_step', true), '');
  in_time boolean;
begin
  perform set_config('rethread.in_step', 'on', true);
  select s.id, s.tenant_id, s.user_id, s.messages::json as messages, s.created_at into kept
  from public.chat_sessions s where s.id = session for no key update;
  select coalesce(bool_or(b.written_by = 'old application'), false), coalesce(bool_or(b.written_by = 'new application' and b.operation <> 'touch'), false)
  into old_wrote, new_wrote
  from chat_private.behind b where b.session_id = session and b.caught_up_at is null;
  if kept.id is null then
    delete from public.conversations c
    where c.id = session and exists (
      select from chat_private.behind b
      where b.session_id = c.id and b.written_by = 'old application' and b.operation = 'DELETE' and b.caught_up_at is null
        and b.tenant_id = c.tenant_id and b.user_id = c.user_id);
    insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
    select c.id, c.tenant_id, c.user_id, c.title, '[]', c.metadata, c.created_at, c.updated_at
    from public.conversations c where c.id = session;
  elsif not exists (select from public.conversations c where c.id = session) then
    delete from public.chat_sessions s
    where s.id = session and exists (
      select from chat_private.behind b
      where b.session_id = s.id and b.written_by = 'new application' and b.operation = 'DELETE' and b.caught_up_at is null
        and b.tenant_id = s.tenant_id and b.user_id = s.user_id);
    -- where one is left, the backfill gives it its conversation
    perform set_config('rethread.in_step', outer_step, true);
    return true;
  elsif not exists (
    select from public.conversations c where c.id = session and c.tenant_id = kept.tenant_id and c.user_id = kept.user_id
  ) then
    -- somebody else's conversation has its id: the backfill 003 says so
    perform set_config('rethread.in_step', outer_step, true);
    return true;
  elsif old_wrote then
    select k.secret into secret from rethread_archive.message_keys k where k.track = 'conversation-history';
    -- an element that is no longer there: its message has the id of a place
    delete from public.messages m
    using (
      select chat_private.place_id(secret, session, n::text)::uuid as id
      from generate_series(1, (select count(*) from public.messages x where x.conversation_id = session)
        + coalesce(case json_typeof(kept.messages) when 'array' then json_array_length(kept.messages) end, 0)) n
    ) p
    where m.id = p.id and m.conversation_id = session
      and m.id not in (select e.id from chat_private.elements(session, kept.messages, kept.created_at) e where e.reason is null);
    if not new_wrote then
      update public.messages m set role = e.role, content = e.content, metadata = e.metadata
      from chat_private.elements(session, kept.messages, kept.created_at) e
      where m.id = e.id and m.conversation_id = session and e.reason is null
        and ((m.role, m.content) is distinct from (e.role::varchar, e.content)
          or m.metadata - 'timestamp' is distinct from e.metadata - 'timestamp');
    end if;
    insert into public.messages (id, conversation_id, role, content, metadata, created_at)
    select e.id, session, e.role, e.content, e.metadata, e.created_at
    from chat_private.elements(session, kept.messages, kept.created_at) e
    where e.reason is null and not exists (select from public.messages m where m.id = e.id)
    on conflict (id) do nothing;
  end if;
  perform chat_private.rebuild_session(session);
  in_time := chat_private.touch_conversation(session);
  perform set_config('rethread.in_step', outer_step, true);
  return in_time;
end
$$;

-- The old application has written a session: bring its conversation and messages up to date. Never fails its
-- statement: what can't be done now is behind, and done later. Changes only a conversation of the same tenant
-- and user as the row that was written.
create function chat_private.follow_session() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  kept boolean := false;
  merged boolean := false;
  session uuid := case tg_op when 'DELETE' then old.id else new.id end;
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  begin
    perform set_config('rethread.in_step', 'on', true);
    if tg_op = 'DELETE' or tg_op = 'UPDATE' and old.id <> session then
      delete from public.conversations c where c.id = old.id and c.tenant_id = old.tenant_id and c.user_id = old.user_id;
    end if;
    if tg_op <> 'DELETE' and exists (select from public.tenants t where t.id = new.tenant_id) and exists (select from auth.users u where u.id = new.user_id) then
      insert into public.conversations (id, tenant_id, user_id, title, metadata, created_at, updated_at)
      values (session, new.tenant_id, new.user_id, coalesce(new.title, 'New Conversation'), new.metadata, new.created_at, new.updated_at)
      on conflict (id) do nothing;
      if not found and tg_op = 'UPDATE' then
        update public.conversations c
        set tenant_id = new.tenant_id, user_id = new.user_id, title = coalesce(new.title, 'New Conversation'), metadata = new.metadata, updated_at = greatest(new.updated_at, c.updated_at)
        from (
          select k.id from public.conversations k
          where k.id = session and k.tenant_id = old.tenant_id and k.user_id = old.user_id
          for no key update skip locked
        ) k
        where c.id = k.id
          and (c.tenant_id, c.user_id, c.title, c.metadata, c.updated_at)
            is distinct from (new.tenant_id, new.user_id, coalesce(new.title, 'New Conversation'), new.metadata, greatest(new.updated_at, c.updated_at));
      end if;
      if exists (select from public.conversations c where c.id = session and c.tenant_id = new.tenant_id and c.user_id = new.user_id) then
        if tg_op = 'INSERT' or old.id <> session then
          kept := chat_private.merge_messages(session, null, new.messages::json, new.created_at);
          merged := true;
        elsif not chat_private.same_messages(old.messages, new.messages) then
          kept := chat_private.merge_messages(session, coalesce(old.messages::json, 'null'), new.messages::json, new.created_at);
          merged := true;
        end if;
        if exists (select from chat_private.behind b where b.session_id = session and b.caught_up_at is null) then
          perform chat_private.catch_up(session);
          delete from chat_private.behind b where b.session_id = session;
        elsif kept then
          perform chat_private.rebuild_session(session);
        end if;
        if merged and not chat_private.touch_conversation(session) then
          insert into chat_private.behind (session_id, written_by, operation, sqlstate)
          values (session, 'old application', 'touch', '55P03');
        end if;
      end if;
    end if;
    perform set_config('rethread.in_step', '', true);
  exception
    when others then
      insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
      values (session, coalesce(new.tenant_id, old.tenant_id), coalesce(new.user_id, old.user_id), 'old application', tg_op, sqlstate);
  end;
  return null;
end
$$;
revoke all on function chat_private.follow_session() from public;

-- An id that is a session's of somebody else is taken, as it will be when the backfill has made
-- that session's conversation.
create function chat_private.guard_conversation_id() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  if exists (
    select from public.chat_sessions s
    where s.id = new.id and (s.tenant_id, s.user_id) is distinct from (new.tenant_id, new.user_id)
  ) then
    raise exception 'duplicate key value violates unique constraint "conversations_pkey"'
      using errcode = 'unique_violation', schema = 'public', table = 'conversations', constraint = 'conversations_pkey';
  end if;
  return new;
end
$$;
revoke all on function chat_private.guard_conversation_id() from public;

-- The new application has written a conversation: the old one finds it in chat_sessions.
create function chat_private.follow_conversation() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  begin
    perform set_config('rethread.in_step', 'on', true);
    -- with an account or a tenant that is deleted goes the conversation; its session is the old
    -- application's, whose own foreign keys decide
    if tg_op = 'DELETE' and exists (select from auth.users u where u.id = old.user_id) and exists (select from public.tenants t where t.id = old.tenant_id)
      or tg_op = 'UPDATE' and old.id <> new.id then
      delete from public.chat_sessions s where s.id = old.id and s.tenant_id = old.tenant_id and s.user_id = old.user_id;
    end if;
    if tg_op = 'INSERT' or tg_op = 'UPDATE' and old.id <> new.id then
      insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
      values (new.id, new.tenant_id, new.user_id, new.title, '[]', new.metadata, new.created_at, new.updated_at)
      on conflict (id) do nothing;
    elsif tg_op = 'UPDATE' then
      update public.chat_sessions s
      set tenant_id = new.tenant_id, user_id = new.user_id, title = case when new.title = old.title then s.title else new.title end,
        metadata = new.metadata, updated_at = new.updated_at
      where s.id = new.id and s.tenant_id = old.tenant_id and s.user_id = old.user_id;
    end if;
    perform set_config('rethread.in_step', '', true);
  exception
    when others then
      insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
      values (coalesce(new.id, old.id), coalesce(new.tenant_id, old.tenant_id), coalesce(new.user_id, old.user_id),
        'new application', tg_op, sqlstate);
  end;
  return null;
end
$$;
revoke all on function chat_private.follow_conversation() from public;

-- The new application has written messages of some conversations, one statement: each array is written once.
-- Messages that are only added are appended to it, whatever its length.
create function chat_private.follow_messages() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  session uuid;
  sessions uuid[];
  added jsonb;
  newest timestamptz;
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  if tg_op = 'INSERT' then
    sessions := array(select distinct n.conversation_id from new_rows n order by 1);
  elsif tg_op = 'DELETE' then
    -- with a conversation goes its session as well
    sessions := array(select distinct o.conversation_id from old_rows o join public.conversations c on c.id = o.conversation_id order by 1);
  else
    sessions := array(select n.conversation_id from new_rows n union select o.conversation_id from old_rows o order by 1);
  end if;
  foreach session in array sessions loop
    begin
      perform set_config('rethread.in_step', 'on', true);
      -- first the session, whose writer before us may have left it behind
      perform from public.chat_sessions s where s.id = session for no key update;
      if exists (select from chat_private.behind b where b.session_id = session and b.caught_up_at is null) then
        perform chat_private.catch_up(session);
        delete from chat_private.behind b where b.session_id = session;
      elsif tg_op = 'INSERT' and exists (
        select from public.chat_sessions s
        join public.conversations c on c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id
        where s.id = session and pg_typeof(s.messages) = 'jsonb'::regtype and jsonb_typeof(s.messages::jsonb) = 'array'
      ) then
        -- read beforehand: where the row has changed while we waited for it, the server evaluates the SET
        -- clause a second time, and by then the transition table has been read to its end
        select jsonb_agg(chat_private.element_of(m, true, true) order by m.created_at, m.id), max(m.created_at) into added, newest
        from public.messages m where m.conversation_id = session and m.id in (select n.id from new_rows n where n.conversation_id = session);
        update public.chat_sessions s
        set messages = s.messages::jsonb || added, updated_at = greatest(s.updated_at, newest)
        where s.id = session and added is not null;
      else
        perform chat_private.rebuild_session(session);
      end if;
      perform set_config('rethread.in_step', '', true);
    exception
      when others then
        insert into chat_private.behind (session_id, written_by, operation, sqlstate)
        values (session, 'new application', tg_op || ' of messages', sqlstate);
    end;
  end loop;
  return null;
end
$$;
revoke all on function chat_private.follow_messages() from public;

-- The new application has written messages: their conversations are as new as they are, by one update of one
-- row for each conversation of a statement. It goes on when the old application is gone.
create function chat_private.touch_conversations() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  touched record;
begin
  if 'on' in (coalesce(current_setting('rethread.in_step', true), ''), coalesce(current_setting('rethread.restoring', true), '')) then
    return null;
  end if;
  for touched in select n.conversation_id as session, max(n.created_at) as newest from new_rows n group by 1 order by 1 loop
    begin
      -- the session has got its time with its array
      perform set_config('rethread.in_step', 'on', true);
      update public.conversations c
      set updated_at = touched.newest
      where c.id = touched.session and coalesce(c.updated_at, '-infinity') < touched.newest;
      perform set_config('rethread.in_step', '', true);
    exception
      when others then
        insert into chat_private.behind (session_id, written_by, operation, sqlstate)
        values (touched.session, 'new application', 'touch', sqlstate);
    end;
  end loop;
  return null;
end
$$;
revoke all on function chat_private.touch_conversations() from public;

-- Nothing of this is for the application to call.
revoke all on function
  chat_private.elements(uuid, json, timestamptz), chat_private.element_of(public.messages, boolean, boolean), chat_private.rebuilt_tree(uuid, json, timestamptz),
  chat_private.rebuild_session(uuid), chat_private.touch_conversation(uuid), chat_private.merge_messages(uuid, json, json, timestamptz), chat_private.catch_up(uuid) from public;

create trigger rethread_guard_conversation_id before insert or update of id on public.conversations
  for each row execute function chat_private.guard_conversation_id();
create trigger rethread_follow_conversation after insert or update or delete on public.conversations
  for each row execute function chat_private.follow_conversation();
create trigger rethread_follow_added_messages after insert on public.messages
  referencing new table as new_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_changed_messages after update on public.messages
  referencing old table as old_rows new table as new_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_deleted_messages after delete on public.messages
  referencing old table as old_rows for each statement execute function chat_private.follow_messages();
create trigger update_conversation_on_message after insert on public.messages
  referencing new table as new_rows for each statement execute function chat_private.touch_conversations();
create trigger update_conversation_on_change after update on public.messages
  referencing new table as new_rows for each statement execute function chat_private.touch_conversations();
create trigger rethread_follow_session after insert or update or delete on public.chat_sessions
  for each row execute function chat_private.follow_session();
