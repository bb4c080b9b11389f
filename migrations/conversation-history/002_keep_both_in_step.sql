--! title: Keep chat_sessions and conversations in step, whichever application writes
--! phase: expand

-- The setting role_map adds to this map: 'bot=assistant, person=user'. Elements with unknown roles are
-- quarantined. Elements that are only a text have the role that text_roles gives them.
-- locks: none
do $settings$
declare
  map jsonb := '{"user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "ai": "assistant", "model": "assistant", "bot": "assistant", "gpt": "assistant", "chatgpt": "assistant", "tool": "assistant", "function": "assistant", "function_call": "assistant", "function_call_output": "assistant", "system": "system", "developer": "system"}';
  texts text := coalesce(nullif(current_setting('rethread.text_roles', true), ''), 'none');
  pair text;
begin
  foreach pair in array regexp_split_to_array(coalesce(nullif(current_setting('rethread.role_map', true), ''), ''), E'\\s*,\\s*') loop
    if pair <> '' then
      if pair !~ E'^\\S+=(user|assistant|system)$' then
        raise exception 'setting role_map holds "%"; it is a list such as bot=assistant, person=user', pair;
      end if;
      map := map || jsonb_build_object(lower(split_part(pair, '=', 1)), split_part(pair, '=', 2));
    end if;
  end loop;
  execute format($f$
    create function chat_private.message_role(role text) returns text
    language sql immutable parallel safe
    as $body$ select %L::jsonb ->> lower(role) $body$ $f$, map);
  if texts not in ('none', 'user', 'assistant', 'alternate') then
    raise exception 'setting text_roles is "%"; it is user, assistant or alternate', texts;
  end if;
  execute format($f$
    create function chat_private.text_role(n bigint) returns text
    language sql immutable parallel safe
    as $body$ select case %L when 'alternate' then case n %% 2 when 1 then 'user' else 'assistant' end when 'none' then null else %1$L end $body$ $f$, texts);
end
$settings$;

-- The secret that makes message ids unpredictable: nobody can choose the future id of another user's message.
-- It is kept after a rollback, so that a repeated migrate makes the same ids.
create schema if not exists rethread_archive;
-- The quarantine for what cannot be a message. rethread creates it before its first step; a file that is
-- pasted into psql needs it too.
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

-- Sessions whose other side could not be written together with the application's statement, and why. Rows are
-- only appended, because statements write them that must not wait. The next write to the session brings it up
-- to date, or the backfill 006. A row with the operation HEAD is for a write that changed the title, the
-- metadata or the owner.
create table chat_private.behind (
  session_id uuid not null,
  -- whose the row was that somebody wrote or deleted: nothing of anybody else's is changed for it later. Of a
  -- HEAD, whose it was before
  tenant_id uuid,
  user_id uuid,
  written_by text not null check (written_by in ('old application', 'new application')),
  operation text not null,
  sqlstate text not null,
  -- messages that the session held before the old application wrote it: those that it holds no longer go. Of
  -- the new application, messages that it has changed or deleted: the array decides nothing about them
  had uuid[],
  at timestamptz not null default clock_timestamp(),
  caught_up_at timestamptz
);
-- a publication of all tables includes it and needs a replica identity
alter table chat_private.behind replica identity full;
create index behind_session_id on chat_private.behind (session_id);

-- A session for which time has run out three times is left to the backfill: no further statement of the
-- application spends its time on it.
create function chat_private.takes_too_long(session uuid) returns boolean
language sql stable
as $$
  select count(*) >= 3 from chat_private.behind b
  where b.session_id = takes_too_long.session and b.sqlstate = '57014' and b.operation <> 'HEAD' and b.caught_up_at is null
$$;
revoke all on function chat_private.takes_too_long(uuid) from public;

-- From when on the time of a conversation follows its messages. Older conversations keep their times.
create table chat_private.times_kept (since timestamptz not null);
insert into chat_private.times_kept (since) values (clock_timestamp());
revoke all on chat_private.behind, chat_private.times_kept from public, anon, authenticated, service_role;

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

-- The seal of an id that is written into an element. Without it, or in another session, the id is the text of
-- a user and counts for nothing.
create function chat_private.seal(secret text, session_id uuid, id text) returns text
language sql immutable parallel safe
as $$ select left(encode(sha256(convert_to(secret || ':seal:' || session_id || ':' || id, 'UTF8')), 'hex'), 32) $$;

-- The id of an element by its place in the array or its node in the tree.
create function chat_private.place_id(secret text, session_id uuid, key text) returns text
language sql immutable parallel safe
as $$ select md5(secret || ':message:' || session_id || ':' || key)::uuid::text $$;

-- The same if that id belongs to an element that has moved: the first free one of its numbered forms.
create function chat_private.free_place_id(secret text, session_id uuid, key text, taken jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
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

-- A time in ISO form; null if it is none. Without a time zone it is UTC. Not parallel safe, like its callers:
-- before PostgreSQL 17, no error may be caught in a parallel worker.
create function chat_private.iso_time(said text) returns timestamptz
language plpgsql immutable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
begin
  return said::timestamptz;
exception
  when others then
    return null;
end
$$;

-- A time as applications write it: ISO text, epoch seconds, epoch milliseconds. Null if it is none. The
-- original stays in metadata.
create function chat_private.message_time(value jsonb) returns timestamptz
language sql immutable
as $$
  select case
    when value is null or jsonb_typeof(value) not in ('string', 'number') then null
    when value #>> '{}' ~ E'^\\d{1,15}(\\.\\d{1,20})?$' then
      to_timestamp(((value #>> '{}')::numeric / case when (value #>> '{}')::numeric >= 100000000000 then 1000 else 1 end)::float8)
    when value #>> '{}' ~ E'^\\d{4}-\\d{2}-\\d{2}' then chat_private.iso_time(value #>> '{}') end
$$;

-- Why the text of a JSON value cannot be read; null if it can. The causes are \u0000, and half of a surrogate
-- pair, left by applications that cut a text inside a character.
create function chat_private.why_unreadable(value text) returns text
language sql immutable parallel safe
as $$
  select case
    when strpos(value, E'\\u') = 0 then null
    when replace(value, E'\\\\', '') ~ E'\\\\u0000' then E'it holds \\u0000, which PostgreSQL can''t store'
    when replace(value, E'\\\\', '') ~* E'\\\\ud[89ab][0-9a-f]{2}(?!\\\\ud[c-f][0-9a-f]{2})|(?<!\\\\ud[89ab][0-9a-f]{2})\\\\ud[c-f][0-9a-f]{2}'
    then E'it holds half of a character (one of a pair such as \\ud83d\\ude00), which PostgreSQL can''t store' end
$$;

-- The path to the messages in a document: '{}' for an array, else a path into an object. Null if unknown. An
-- object must be readable according to why_unreadable.
create function chat_private.messages_place(messages json) returns text[]
language sql immutable parallel safe
as $$
  select case json_typeof(messages)
    when 'array' then '{}'
    when 'object' then (
      select p.place
      from (values
        -- nodes by key, which name the one before: ChatGPT's export, Open WebUI
        (1, '{mapping}'::text[], 'object'),
        (2, '{history,messages}', 'object'),
        (3, '{chat,history,messages}', 'object'),
        (4, '{messages}', 'object'),
        -- lists: LibreChat, Claude's export
        (5, '{messagesTree}', 'array'),
        (6, '{messages}', 'array'),
        (7, '{chat_messages}', 'array'),
        (8, '{history}', 'array'),
        -- a first message with its replies: Open-Assistant
        (9, '{prompt}', 'object')
      ) p (n, place, kind)
      where json_typeof(messages #> p.place) = p.kind
      order by p.n limit 1
    ) end
$$;

-- True if a session stores its messages in a known form: an array, nothing yet, or a document with a known
-- place for them. False for a document with an unreadable part: then none of it could be read.
create function chat_private.keeps_messages(messages json) returns boolean
language sql immutable parallel safe
as $$
  select case
    when json_typeof(messages) in ('array', 'null') then true
    when json_typeof(messages) = 'object' and chat_private.why_unreadable(messages::text) is null
    then chat_private.messages_place(messages) is not null
    when messages is not null then false end
$$;

-- True if messages contain their answers, in lists or beside the question in the same element.
create function chat_private.is_nested(messages json) returns boolean
language sql immutable parallel safe
as $$
  select (strpos(t.said, '"children"') > 0 or strpos(t.said, '"replies"') > 0) and t.said ~ E'"(children|replies)"\\s*:\\s*\\[\\s*\\{'
    or json_typeof(messages) = 'array' and t.said ~ E'"(question|answer|prompt|completion|query|response|output|assistant|ai|bot)"\\s*:' and exists (
      select from json_array_elements(case json_typeof(messages) when 'array' then messages else '[]' end) a (e)
      where json_typeof(a.e) = 'object' and coalesce(a.e -> 'role', a.e -> 'content', a.e -> 'type') is null
        and coalesce(a.e -> 'question', a.e -> 'answer', a.e -> 'prompt', a.e -> 'completion', a.e -> 'query', a.e -> 'instruction', a.e -> 'input', a.e -> 'chatInput', a.e -> 'user', a.e -> 'human') is not null)
  from (select messages::text as said offset 0) t
$$;

-- The messages of a document in the order of the conversation; `path` leads to each. Of nodes by key: first
-- the path from the root to the current node, then abandoned branches. Of nested messages: each before its
-- answers, down to 500 levels. An element with a question and its answer is two messages. Nodes without
-- content, and those that a deletion has emptied, are left out.
create function chat_private.session_elements(messages json, place text[], is_nested boolean)
returns table (n bigint, key text, value json, is_current boolean, path text[])
language sql immutable parallel safe
as $$
  with recursive form as materialized (
    select case
      when place is null then 'none'
      when json_typeof(messages) = 'array' then case when is_nested then 'nested' else 'list' end
      when place = '{prompt}' then 'nested'
      when json_typeof(messages #> place) = 'object' then 'nodes'
      when is_nested then 'nested'
      else 'list' end as form
  ),
  node as materialized (
    select e.key, e.value, row_number() over () as n
    from form f
    cross join json_each(case when f.form = 'nodes' then messages #> place else '{}' end) e
  ),
  -- The nodes are read once into one value. It is a subquery, so the server computes it once. A query for
  -- each node takes minutes with thousands of nodes, whether it reads the whole document, all nodes, or the
  -- path so far, as a CYCLE clause does.
  parents as materialized (
    select case when place = '{mapping}' then messages ->> 'current_node'
        else messages #>> (place[:cardinality(place) - 1] || '{currentId}') end as current_key,
      (select count(*) from node) as nodes,
      (select jsonb_object_agg(o.key, o.value ->> case when place = '{mapping}' then 'parent' else 'parentId' end) from node o) as of_key
    from form f where f.form = 'nodes'
  ),
  branch (key, depth) as (
    select case when p.of_key ? p.current_key then p.current_key else (select o.key from node o order by o.n desc limit 1) end, 0
    from parents p
    union all
    select (select p.of_key from parents p) ->> b.key, b.depth + 1
    from branch b
    where b.depth < (select p.nodes from parents p) and (select p.of_key from parents p) ->> b.key is not null
  ),
  current_branch as materialized (
    select jsonb_object_agg(x.key, x.depth) as depths
    from (select b.key, min(b.depth) as depth from branch b where b.key is not null group by 1) x
  ),
  document as materialized (select messages::jsonb as j from form f where f.form = 'nested'),
  nested (path, ranks, pair) as (
    select t.path, t.ranks, (
      select array[p.question, p.answer]
      from (values (1, 'question', 'answer'), (2, 'prompt', 'completion'), (3, 'prompt', 'response'), (4, 'query', 'response'), (5, 'question', 'response'),
        (6, 'instruction', 'output'), (7, 'input', 'output'), (8, 'chatInput', 'output'), (9, 'user', 'assistant'), (10, 'human', 'assistant'), (11, 'human', 'ai'),
        (12, 'user', 'ai'), (13, 'user', 'bot')) p (n, question, answer)
      cross join lateral (select t.value as e) x
      where place = '{}' and jsonb_typeof(x.e) = 'object' and not x.e ?| '{role,content,type,from,sender,author}'
        and (x.e ?& array[p.question, p.answer] or p.n <= 4 and x.e ?| array[p.question, p.answer])
        and not exists (
          select from unnest(array[p.question, p.answer]) k (name)
          where not (coalesce(jsonb_typeof(x.e -> k.name), 'null') in ('string', 'null') or (x.e -> k.name) ?& '{role,content}'))
      order by x.e ?& array[p.question, p.answer] desc, p.n limit 1)
    from document d
    cross join lateral (
      select place as path, '{1}'::int[] as ranks, d.j #> place as value where place = '{prompt}'
      union all
      select place || (a.i - 1)::text, array[a.i::int], a.value
      from jsonb_array_elements(case when place <> '{prompt}' then d.j #> place else '[]' end) with ordinality as a (value, i)
    ) t
    union all
    select u.path || w.path, u.ranks || w.rank, null
    from nested u
    cross join lateral (
      select array[c.name, (a.i - 1)::text] as path, a.i::int as rank
      from (values ('children'), ('replies')) c (name)
      cross join lateral (select (select d.j from document d) #> (u.path || c.name) as j offset 0) l
      cross join lateral jsonb_array_elements(case when jsonb_typeof(l.j) = 'array' then l.j else '[]' end) with ordinality as a (value, i)
      where jsonb_typeof(a.value) = 'object'
      union all
      -- the two of a pair; one that is not said yet is none
      select array[k.name], k.rank::int
      from unnest(u.pair) with ordinality as k (name, rank)
      cross join lateral (select (select d.j from document d) #> (u.path || k.name) as j) l
      where jsonb_typeof(l.j) = 'object' or l.j #>> '{}' ~ E'\\S'
    ) w
    where cardinality(u.ranks) < 500
  )
  select a.n, a.n::text, a.value, true, place || (a.n - 1)::text
  from form f
  cross join json_array_elements(case when f.form = 'list' then case when place = '{}' then messages else messages #> place end else '[]' end)
    with ordinality as a (value, n)
  -- what a deletion leaves in an array is nothing; of an array, not all need be readable
  where case when place = '{}' then true else a.value -> 'rethread_gone' is null end
  union all
  select x.n, x.key, x.value, x.is_current, place || x.key
  from (
    -- numbered before the silent nodes are removed, so that a node that becomes silent changes no number
    select row_number() over (order by w.depth desc nulls last, o.n) as n, o.key, o.value, w.depth is not null as is_current
    from node o cross join lateral (select ((select c.depths from current_branch c) ->> o.key)::int as depth offset 0) w
  ) x
  where case when place = '{mapping}' then json_typeof(x.value -> 'message') else json_typeof(x.value) end = 'object' and x.value -> 'rethread_gone' is null
  union all
  select x.n, x.key, x.value::json, true, x.path
  from (
    select row_number() over (order by u.ranks) as n,
      case when place = '{}' and cardinality(u.ranks) = 1 then u.ranks[1]::text else array_to_string(u.path, '.') end as key,
      case
        when h.is_half and jsonb_typeof(e.j) = 'string' then h.rest || jsonb_build_object(
          'role', case when u.path[cardinality(u.path)] = any ('{answer,completion,response,output,assistant,ai,bot}') then 'assistant' else 'user' end, 'content', e.j)
        -- what is too deep stays with the last that is not, which says so
        when jsonb_typeof(e.j) = 'object' and cardinality(u.ranks) < 500 then e.j - '{children,replies}'::text[]
        else e.j end as value,
      u.path
    from nested u
    cross join lateral (select (select d.j from document d) #> u.path as j offset 0) e
    -- what stands beside a pair is said of both
    cross join lateral (
      select place = '{}' and cardinality(u.path) = 2 as is_half,
        ((select d.j from document d) #> u.path[:1]) - '{children,replies,question,answer,prompt,completion,query,response,instruction,output,input,chatInput,user,assistant,human,ai,bot}'::text[] as rest
    ) h
    where u.pair is null
  ) x
  where not x.value ? 'rethread_gone'
$$;

-- What one element says. The first matching shape gives the places of the role and the text. If there is no
-- text, the usual places of all shapes are tried. `body` is the message, which some formats wrap in a node.
-- `place` is where the text was found. `hides` is why the element must be quarantined although it has a role:
-- an element with a text somewhere must not become a message without text. It calls no other function, so
-- that `rethread doctor` can run it as a query before the migration creates it.
create function chat_private.read_element(element jsonb)
returns table (shape text, body jsonb, role_path text[], role text, place text[], content text, hides text)
language sql immutable parallel safe
as $$
  select s.shape, b.body, s.role_path, r.role, t.place,
    coalesce(t.said, case jsonb_typeof(b.body -> 'content') when 'string' then b.body ->> 'content' end, ''),
    case
      when b.body @@ 'exists($.children[*] ? (@.type() == "object")) || exists($.replies[*] ? (@.type() == "object"))' then 'it holds further messages'
      when t.said is null and jsonb_typeof(b.body) = 'object' then (
        select case
          when jsonb_path_exists(h.rest, E'$.** ? (@.type() == "string" && @ like_regex "\\\\S\\\\s+\\\\S")')
            or not h.has_payload and jsonb_path_exists(h.rest, E'$.** ? (@.type() == "string" && @ like_regex "\\\\S")')
          then 'its text is in no place that is known'
          when h.has_thoughts and not h.has_payload then 'it says only what a model thought' end
        from (
          select
            b.body @? '$.**{0 to 2} ? (@.tool_calls[*] != null || @.toolCalls[*] != null || @.toolInvocations[*] != null || @.tool_call_id != null || @.call_id != null || @.function_call.name != null || @.functionCall.name != null || @.attachments[*] != null || @.experimental_attachments[*] != null || @.files[*] != null || @.images[*] != null)'
              or coalesce(bool_or(p.is_payload), false) as has_payload,
            b.body @? '$ ? (@.reasoning != null || @.reasoning_content != null || @.thinking != null)' or coalesce(bool_or(p.is_thought), false) as has_thoughts,
            jsonb_build_array(b.body - no_text.keys,
              case jsonb_typeof(b.body -> 'data') when 'object' then b.body -> 'data' else '{}' end - no_text.keys,
              case jsonb_typeof(b.body -> 'kwargs') when 'object' then b.body -> 'kwargs' else '{}' end - no_text.keys,
              jsonb_agg(p.part - no_text.keys) filter (where not p.is_payload and not p.is_thought)) as rest
          from (values ('{role,author,sender,from,type,id,uuid,_id,__v,lc,name,kind,object,model,modelName,modelIdx,models,provider,endpoint,channel,recipient,timestamp,time,ts,date,created,created_at,createdAt,created_date,create_time,updated_at,updatedAt,update_time,sent_at,status,state,lang,language,level,index,content_type,content,parts,data,kwargs,metadata,usage,annotations,example,signature,thoughtSignature,additional_kwargs,response_metadata,usage_metadata,providerMetadata,parent,children,childrenIds,parent_id,parentId,message_id,messageId,parentMessageId,message_tree_id,conversationId,conversation_id,session_id,sessionId,thread_id,threadId,run_id,assistant_id,user,user_id,userId,isCreatedByUser,finish_reason,finishReason,stop_reason,stop_sequence,reasoning,reasoning_content,reasoning_details,thinking,tool_calls,toolCalls,invalid_tool_calls,tool_call_id,call_id,function_call,functionCall,toolInvocations,arguments,attachments,experimental_attachments,files,images,rethread_id,rethread_seal,rethread_at}'::text[])) no_text (keys)
          left join lateral (
            select q.part,
              q.part @? '$ ? (@.type like_regex "think|thought|reasoning" || @.thought == true || @.content_type == "thoughts")' as is_thought,
              q.part @? '$ ? (@.type like_regex "tool|function|step|source|data-|image|file|audio|video|document|media" || @.content_type like_regex "pointer")'
                or q.part ?| '{functionCall,functionResponse,inlineData,inline_data,fileData,file_data,toolUse,asset_pointer,image,image_url,file}' as is_payload
            from jsonb_array_elements(jsonb_path_query_array(b.body, '$.content[*]') || jsonb_path_query_array(b.body, '$.content.parts[*]') || jsonb_path_query_array(b.body, '$.parts[*]')
              || jsonb_path_query_array(b.body, '$.data.content[*]') || jsonb_path_query_array(b.body, '$.kwargs.content[*]')) q (part)
            where jsonb_typeof(q.part) = 'object'
          ) p on true
          group by no_text.keys
        ) h
      ) end
  from (
    select w.body,
      -- most elements by far: recognized without looking at all shapes
      coalesce(jsonb_typeof(w.body -> 'role') = 'string' and jsonb_typeof(w.body -> 'content') = 'string' and w.body ->> 'content' ~ E'\\S'
        and not w.body ?| '{parts,author,isCreatedByUser,childrenIds,parentId}', false) as is_plain
    from (
      select case when jsonb_typeof(element -> 'message') = 'object' and not element ? 'role' then element -> 'message' else element end as body
      offset 0
    ) w
    -- both are worked out once, and not wherever they are named
    offset 0
  ) b
  cross join lateral (
    select 'role and content' as shape, '{role}'::text[] as role_path, null as role_else, '{content}'::text[] as places
    where b.is_plain
    union all
    (select x.shape, x.role_path, x.role_else, x.places
      from (values
        -- what it is called, how it is recognized, where the role is, else which, where the text is
        (1, 'text', '$.type() == "string"'::jsonpath, null::text[], null, '{""}'::text[]),
        (2, 'ChatGPT export', 'exists($.author.role)', '{author,role}', null, '{content}'),
        (3, 'LibreChat', '$.isCreatedByUser.type() == "boolean"', '{isCreatedByUser}', null, '{content,text}'),
        (4, 'AI SDK 4', '$.role != null && exists($.content) && $.parts.type() == "array"', '{role}', null, '{parts,content}'),
        (5, 'AI SDK 5', '$.role != null && exists($.parts[*].type)', '{role}', null, '{parts}'),
        (6, 'Gemini', '$.role != null && exists($.parts)', '{role}', null, '{parts}'),
        (7, 'Anthropic blocks', '$.role != null && exists($.content[*] ? (@.type like_regex "^(tool_use|tool_result|thinking|redacted_thinking|server_tool_use|document)$"))', '{role}', null, '{content}'),
        (8, 'OpenAI content parts', '$.role != null && $.content.type() == "array"', '{role}', null, '{content}'),
        (9, 'Open WebUI', '$.role != null && (exists($.childrenIds) || exists($.parentId))', '{role}', null, '{content}'),
        (10, 'Open-Assistant', '$.role != null && exists($.text) && (exists($.message_id) || exists($.parent_id) || $.role == "prompter")', '{role}', null, '{text}'),
        (11, 'role and content', '$.role != null && exists($.content)', '{role}', null, '{content,refusal}'),
        (12, 'role and text', '$.role != null', '{role}', null, '{text,message}'),
        (13, 'LangChain', 'exists($.data.content) && $.type == "chat"', '{data,role}', null, '{data.content}'),
        (14, 'LangChain', '$.data.type() == "object" && exists($.type)', '{type}', null, '{data.content}'),
        (15, 'LangChain object', 'exists($.kwargs.role) && exists($.id)', '{kwargs,role}', null, '{kwargs.content}'),
        (16, 'LangChain object', 'exists($.kwargs) && exists($.id)', '{id,-1}', null, '{kwargs.content}'),
        (17, 'ShareGPT', '$.from.type() == "string"', '{from}', null, '{value,content}'),
        (18, 'sender and text', '$.sender.type() == "string"', '{sender}', null, '{text,message,content}'),
        (19, 'author and text', '$.author.type() == "string"', '{author}', null, '{text,content}'),
        (20, 'type and content', 'exists($.type) && exists($.content)', '{type}', null, '{content}'),
        (21, 'type and text', 'exists($.type)', '{type}', null, '{text,message,output}'),
        (22, 'n8n', 'exists($.chatInput) && !exists($.output)', null, 'user', '{chatInput}'),
        (23, 'n8n', 'exists($.output) && !exists($.chatInput) && !exists($.input)', null, 'assistant', '{output}'),
        (24, 'n8n', 'exists($.input) && !exists($.output)', null, 'user', '{input}'),
        (25, 'unknown', 'exists($)', null, null, '{}')
      ) x (n, shape, fits, role_path, role_else, places)
      where not b.is_plain and b.body @@ x.fits
      order by x.n limit 1)
  ) s
  cross join lateral (
    select case jsonb_typeof(w.j)
      when 'boolean' then case when w.j = 'true' then 'user' else 'assistant' end
      else coalesce(
        -- names of classes, such as AIMessageChunk
        case when s.role_path in ('{type}', '{id,-1}') then nullif(regexp_replace(lower(w.j #>> '{}'), '(message)?(chunk)?$', ''), '') else w.j #>> '{}' end, s.role_else) end as role
    from (select b.body #> s.role_path as j) w
  ) r
  left join lateral (
    select '{content}'::text[] as place, b.body ->> 'content' as said where b.is_plain
    union all
    (select o.place, o.said
      from unnest(s.places || '{content,parts,text,message,msg,value,body,refusal,data.content,kwargs.content,data.text,output,output_text,chatInput,input}'::text[]) with ordinality as w (place, n)
      cross join lateral (select string_to_array(w.place, '.') as place) v
      cross join lateral (
        select v.place, case jsonb_typeof(c.j)
          when 'string' then c.j #>> '{}'
          when 'number' then case w.place when 'content' then c.j #>> '{}' end
          when 'boolean' then case w.place when 'content' then c.j #>> '{}' end
          else (
            -- its parts, in order, a line each; a picture leaves an empty line
            select string_agg(coalesce(l.line, ''), E'\n' order by l.n)
            from (
              select p.n, p.part, coalesce(
                case jsonb_typeof(p.part) when 'string' then p.part #>> '{}' end,
                case jsonb_typeof(p.part -> 'text') when 'string' then p.part ->> 'text' when 'object' then p.part -> 'text' ->> 'value' end,
                -- the result of a tool keeps its text one level further down
                case jsonb_typeof(p.part -> 'content')
                  when 'string' then p.part ->> 'content'
                  when 'array' then (
                    select string_agg(coalesce(case jsonb_typeof(i.item) when 'string' then i.item #>> '{}' end, case jsonb_typeof(i.item -> 'text') when 'string' then i.item ->> 'text' end, ''), E'\n' order by i.n)
                    from jsonb_array_elements(p.part -> 'content') with ordinality as i (item, n)) end,
                case jsonb_typeof(p.part -> 'refusal') when 'string' then p.part ->> 'refusal' end,
                case when p.part ->> 'type' ~ '(result|output)$' then coalesce(
                  case jsonb_typeof(p.part -> 'output') when 'string' then p.part ->> 'output' end,
                  case jsonb_typeof(p.part #> '{output,value}') when 'string' then p.part #>> '{output,value}' end,
                  case jsonb_typeof(p.part -> 'result') when 'string' then p.part ->> 'result' end) end,
                p.part -> 'executableCode' ->> 'code', p.part -> 'codeExecutionResult' ->> 'output') as line
              from jsonb_array_elements(case when jsonb_typeof(c.j) = 'array' then c.j when jsonb_typeof(c.j -> 'parts') = 'array' then c.j -> 'parts' else jsonb_build_array(c.j) end)
                with ordinality as p (part, n)
              -- what a model thinks is shown to nobody
              where c.j is not null and jsonb_typeof(c.j) <> 'null'
                and not p.part @? '$ ? (@.type like_regex "think|thought|reasoning" || @.thought == true || @.content_type == "thoughts")'
            ) l
            where l.line is not null or not l.part @? '$ ? (@.type like_regex "tool|function|step|source|data-" || exists(@.functionCall) || exists(@.functionResponse) || exists(@.toolUse))'
          ) end as said
        from (select b.body #> v.place as j) c
      ) o
      where not b.is_plain and o.said ~ E'\\S'
      order by w.n limit 1)
  ) t on true
$$;

-- The time of an element, if it has one. `body` is the message, which some formats wrap in a node.
create function chat_private.said_at(element jsonb, body jsonb) returns timestamptz
language sql immutable
as $$
  select coalesce(
    chat_private.message_time(element -> 'rethread_at'), chat_private.message_time(body -> 'timestamp'), chat_private.message_time(body -> 'created_at'),
    chat_private.message_time(body -> 'createdAt'), chat_private.message_time(body -> 'create_time'), chat_private.message_time(body -> 'created_date'),
    chat_private.message_time(body -> 'created'), chat_private.message_time(body -> 'sent_at'), chat_private.message_time(body -> 'time'),
    chat_private.message_time(body -> 'ts'), chat_private.message_time(body -> 'date'), chat_private.message_time(body #> '{metadata,createdAt}'),
    chat_private.message_time(element -> 'created_at'), chat_private.message_time(element -> 'createdAt'))
$$;

-- The elements of a session: what each becomes, or the reason why it cannot be a message. `key` is its index
-- in the array or its node in the document. Takes json, because jsonb cannot store everything that a json
-- column can. An array may be only the end of the whole: `skipped` elements come before it, with the ids
-- `held`, and the last of them has the time `latest`.
create function chat_private.elements_after(session_id uuid, messages json, started timestamptz, skipped bigint, held jsonb, latest timestamptz)
returns table (n bigint, key text, id uuid, role text, content text, metadata jsonb, created_at timestamptz, reason text, original text, is_sealed boolean, path text[])
language sql stable
as $$
  with known as materialized (select k.secret from rethread_archive.message_keys k where k.track = 'conversation-history'),
  form as materialized (
    select f.document, case when chat_private.keeps_messages(f.document) then chat_private.messages_place(f.document) end as place,
      chat_private.is_nested(f.document) and chat_private.why_unreadable(f.document::text) is null as is_nested
    from (select messages as document offset 0) f
  ),
  element as materialized (
    select e.n + skipped as n, case skipped when 0 then e.key else (e.n + skipped)::text end as key, e.is_current, e.value::text as original, e.path,
      case when chat_private.why_unreadable(e.value::text) is null then e.value::jsonb end as j
    from form f
    cross join lateral chat_private.session_elements(f.document, f.place, f.is_nested) e
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
    select coalesce(jsonb_object_agg(w.id, true), '{}') || held as ids, coalesce(jsonb_object_agg(w.n, w.id), '{}') as by_place from sealed w
  ),
  said as materialized (
    select x.*, r.shape, r.body, r.role_path, r.role, r.place, r.content, r.hides
    from element x
    left join lateral chat_private.read_element(x.j) r on x.j is not null
  ),
  read as (
    select s.*, s.content as said, case s.shape when 'text' then chat_private.text_role(s.n) else s.role end as said_role, t.said_at
    from said s
    cross join lateral (select chat_private.said_at(s.j, s.body) as said_at) t
  ),
  judged as (
    select r.*,
      case
        when r.j is null then chat_private.why_unreadable(r.original)
        when jsonb_typeof(r.j) = 'null' then 'it is null'
        when jsonb_typeof(r.j) not in ('object', 'string') then 'it is no object but ' || jsonb_typeof(r.j)
        when not r.is_current then 'it is on a branch that the conversation has left'
        when r.said_role is null then 'it has no role'
        when chat_private.message_role(r.said_role) is null then format('its role is %L', left(r.said_role, 40))
        when jsonb_typeof(r.j) = 'string' and r.said !~ E'\\S' then 'it is an empty text'
        else r.hides
      end as reason,
      -- as an application writes it today: a role and a content of its own
      r.j ->> 'role' is not null and r.role_path = '{role}' and coalesce(r.place, '{content}') = '{content}' as is_plain
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
      when not d.is_plain then jsonb_build_object('original_element', case jsonb_typeof(d.j) when 'object' then d.j - '{rethread_id,rethread_seal,rethread_at}'::text[] else d.j end)
      else (d.j - '{role,content,rethread_id,rethread_seal,rethread_at}'::text[])
        || case when chat_private.message_role(d.said_role) is distinct from d.said_role then jsonb_build_object('original_role', d.j -> 'role') else '{}' end
        || case when jsonb_typeof(d.j -> 'content') = 'string' then '{}'
          when d.j ? 'content' then jsonb_build_object('original_content', d.j -> 'content')
          else jsonb_build_object('original_content_missing', true) end end,
    -- the order of the array is the order of the times: where it is not, by a microsecond
    greatest(max(coalesce(d.said_at, started, 'epoch') - d.n * interval '1 microsecond') over (order by d.n), latest) + d.n * interval '1 microsecond',
    d.reason,
    d.original,
    (select t.by_place from taken t) ? d.n::text,
    d.path
  from judged d
  cross join lateral (select chat_private.place_id((select k.secret from known k), session_id, d.key) as id) p
  order by d.n
$$;

-- All of them.
create function chat_private.elements(session_id uuid, messages json, started timestamptz)
returns table (n bigint, key text, id uuid, role text, content text, metadata jsonb, created_at timestamptz, reason text, original text, is_sealed boolean, path text[])
language sql stable
as $$ select e.* from chat_private.elements_after(session_id, messages, started, 0, '{}', null) e $$;

-- The elements that were added at the end of an array, as an array. Null if anything else has changed, if an
-- added element has its own id, or if messages contain their answers.
create function chat_private.appended(before json, messages json) returns json
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  said text := before;
  says text := messages;
  added text;
begin
  if json_typeof(before) <> 'array' or json_typeof(messages) <> 'array' or json_array_length(before) = 0
    or right(said, 1) <> ']' or not starts_with(says, left(said, -1) || ',') then
    return null;
  end if;
  added := '[' || substr(says, length(said) + 1);
  return case when strpos(added, '"rethread_seal"') = 0 and not chat_private.is_nested(messages) then added::json end;
end
$$;

-- The container of a text, with another text in it. Tool calls stay. Pictures and files stay if the text ends
-- with the empty lines that they leave.
create function chat_private.restated_text(holder jsonb, content text) returns jsonb
language sql immutable parallel safe
as $$
  select case
    when jsonb_typeof(holder) = 'array' then (
      select jsonb_build_array(case
          when jsonb_typeof(holder -> 0) = 'string' then to_jsonb(l.line)
          when holder @? '$[*].type' then jsonb_build_object(
            'type', coalesce(jsonb_path_query_first(holder, '$[*] ? (exists(@.text)).type ? (!(@ like_regex "think|thought|reasoning"))'), '"text"'), 'text', l.line)
          else jsonb_build_object('text', l.line) end)
        || p.calls || case when l.has_pictures then p.pictures else '[]' end
      from (
        select jsonb_path_query_array(o.parts, '$[*] ? (@.type like_regex "tool|function|step|source|data-" || exists(@.functionCall) || exists(@.functionResponse) || exists(@.toolUse))') as calls,
          jsonb_path_query_array(o.parts, '$[*] ? (!(@.type like_regex "tool|function|step|source|data-|think|thought|reasoning") && !exists(@.functionCall) && !exists(@.functionResponse) && !exists(@.toolUse))') as pictures
        from (
          select jsonb_path_query_array(holder, '$[*] ? (@.type() == "object" && !exists(@.text) && !exists(@.content) && !exists(@.refusal) && !exists(@.executableCode) && !exists(@.codeExecutionResult) && !(@.type like_regex "(result|output)$"))') as parts
        ) o
      ) p
      cross join lateral (
        select e.has_pictures, case when e.has_pictures then left(content, length(content) - jsonb_array_length(p.pictures)) else content end as line
        from (select content like '%' || repeat(E'\n', jsonb_array_length(p.pictures)) as has_pictures) e
      ) l)
    when jsonb_typeof(holder) = 'object' and not holder ? 'parts' and jsonb_typeof(holder -> 'text') = 'string' then holder || jsonb_build_object('text', content)
    when jsonb_typeof(holder) = 'object' and not holder ? 'parts' and jsonb_typeof(holder -> 'content') = 'string' then holder || jsonb_build_object('content', content)
    when jsonb_typeof(holder) = 'object' then jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array(content))
    else to_jsonb(content) end
$$;

-- An element with the current role and content, in all places where it has them, if they differ.
create function chat_private.restated_element(element jsonb, role text, content text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  said record;
  now_says jsonb;
  is_role boolean;
  holder record;
begin
  select r.* into said from chat_private.read_element(element) r;
  -- a text alone has no place for a role
  is_role := chat_private.message_role(said.role) is not distinct from role or said.shape = 'text';
  if is_role and said.content = content then
    return element;
  end if;
  if jsonb_typeof(said.body) <> 'object' then
    return jsonb_build_object('role', role, 'content', content);
  end if;
  now_says := said.body;
  if not is_role then
    now_says := jsonb_set(now_says, coalesce(said.role_path, '{role}'), to_jsonb(case
      when said.role_path = '{id,-1}' then case role when 'user' then 'HumanMessage' when 'system' then 'SystemMessage' else 'AIMessage' end
      when said.role_path in ('{type}', '{from}') then case role when 'user' then 'human' when 'system' then 'system' else 'ai' end
      else role end));
    if said.role_path = '{isCreatedByUser}' then
      now_says := now_says || jsonb_build_object('isCreatedByUser', role = 'user');
    end if;
  end if;
  if said.content <> content then
    for holder in
      select p.place, now_says #> p.place as j, row_number() over (order by p.n) as n, t.place is not null as has_text
      from (values (1, '{content}'::text[]), (2, '{parts}'), (3, '{data,content}'), (4, '{kwargs,content}'), (5, '{text}'), (6, '{value}'), (7, '{message}'), (8, '{msg}'),
        (9, '{body}'), (10, '{refusal}'), (11, '{data,text}'), (12, '{output}'), (13, '{output_text}'), (14, '{chatInput}'), (15, '{input}')) p (n, place)
      cross join lateral chat_private.read_element(jsonb_build_object('role', 'user', 'content', now_says #> p.place)) t
      where now_says #> p.place is not null
    loop
      -- where nothing is said yet, it is said in the first place that there is
      if holder.has_text or said.place is null and holder.n = 1 then
        now_says := jsonb_set(now_says, holder.place, chat_private.restated_text(holder.j, content));
      end if;
    end loop;
    if (select r.content is distinct from restated_element.content from chat_private.read_element(now_says) r) then
      now_says := now_says || jsonb_build_object('content', content);
    end if;
  end if;
  return case when jsonb_typeof(element -> 'message') = 'object' and not element ? 'role' then jsonb_set(element, '{message}', now_says) else now_says end;
end
$$;

-- A message as an element of the array: the original element if nobody has changed it. `marked`: with its id
-- and time, if its index does not identify it. `timed`: with its own time.
create function chat_private.element_of(m public.messages, marked boolean, timed boolean) returns jsonb
language sql stable parallel safe
as $$
  select case when not marked then e.element else
      case jsonb_typeof(e.element) when 'object' then e.element else jsonb_build_object('role', m.role, 'content', m.content) end
      || (select jsonb_build_object('rethread_id', m.id, 'rethread_seal', chat_private.seal(k.secret, m.conversation_id, m.id::text),
          case when timed and not coalesce(m.metadata ? 'timestamp', false) then 'timestamp' else 'rethread_at' end, m.created_at)
        from rethread_archive.message_keys k where k.track = 'conversation-history') end
  from (
    select case
      when m.metadata ? 'original_element' then chat_private.restated_element(m.metadata -> 'original_element', m.role, m.content)
      else (coalesce(m.metadata, '{}') - 'original_role' - 'original_content' - 'original_content_missing')
        || jsonb_build_object('role', coalesce(
            case when chat_private.message_role(m.metadata ->> 'original_role') = m.role then m.metadata -> 'original_role' end, to_jsonb(m.role)))
        || case
          when m.metadata ? 'original_content_missing' and m.content = '' then '{}'
          when m.metadata ? 'original_content'
            -- by a function in PL/pgSQL: the reader's plan in this one would be made ready for every message
            and chat_private.restated_element(jsonb_build_object('role', 'user', 'content', m.metadata -> 'original_content'), 'user', m.content)
              = jsonb_build_object('role', 'user', 'content', m.metadata -> 'original_content')
          then jsonb_build_object('content', m.metadata -> 'original_content')
          else jsonb_build_object('content', m.content) end end as element
  ) e
$$;

-- The messages of a session. They may be one or many thousands, which no statistics say of a session that has
-- just been written: a planner that expects few would compare each with all.
create function chat_private.messages_of(session uuid) returns setof public.messages
language plpgsql stable rows 10000
set search_path = pg_catalog, pg_temp
as $$ begin return query select m.* from public.messages m where m.conversation_id = session; end $$;

-- A document with values written at some of its paths, of which none is given twice. An object is added to
-- the one that is there, anything else replaces it. From the deepest level up, each list is built once for
-- all that changes in it: jsonb_set would copy the document for each of them. It is built as text, because
-- every change of a jsonb value reads all that is in it. The paths are arrays of texts.
create function chat_private.with_values(document jsonb, paths jsonb[], fresh jsonb[]) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  places jsonb[] := '{}';
  nodes text[] := '{}';
  -- those of each depth, from 0 on: all of them read at each level would take as long as the levels are many
  levels jsonb[];
begin
  if cardinality(paths) = 0 then
    return document;
  end if;
  select array_agg(l.entries order by d.depth) into levels
  from generate_series(0, (select max(jsonb_array_length(p.path)) from unnest(paths) p (path))) d (depth)
  left join (
    select jsonb_array_length(f.path) as depth, jsonb_agg(jsonb_build_array(f.path, f.said)) as entries
    from unnest(paths, fresh) f (path, said) group by 1
  ) l on l.depth = d.depth;
  for depth in reverse cardinality(levels) - 1 .. 0 loop
    with changed as (
      select b.path - -1 as path, jsonb_object_agg(b.path ->> -1, b.node) as by_key
      from unnest(places, nodes) b (path, node)
      group by 1
    ),
    own as (
      select f.entry -> 0 as path, f.entry -> 1 as said from jsonb_array_elements(levels[depth + 1]) f (entry)
    )
    select array_agg(o.path), array_agg(case
      when jsonb_typeof(o.node) = 'object' and coalesce(jsonb_typeof(o.said), 'object') = 'object' then (
        select '{' || coalesce(string_agg(to_json(k.key) || ':' || coalesce(o.by_key ->> k.key, k.value::text), ','), '') || '}'
        from (
          select e.key, coalesce(o.said -> e.key, e.value) as value from jsonb_each(o.node) e
          union all
          select e.key, e.value from jsonb_each(o.said) e where not o.node ? e.key
        ) k)
      when jsonb_typeof(o.node) = 'array' and o.said is null then (
        select '[' || coalesce(string_agg(coalesce(o.by_key ->> (a.n - 1)::text, a.value::text), ',' order by a.n), '') || ']'
        from jsonb_array_elements(o.node) with ordinality as a (value, n))
      else o.said::text end)
    into places, nodes
    from (
      select p.path, w.said, c.by_key, document #> array(select s.step from jsonb_array_elements_text(p.path) with ordinality as s (step, n) order by s.n) as node
      from own w full join changed c on c.path = w.path
      cross join lateral (select coalesce(w.path, c.path) as path) p
      offset 0
    ) o;
  end loop;
  return nodes[1]::jsonb;
end
$$;
revoke all on function chat_private.with_values(jsonb, jsonb[], jsonb[]) from public;

-- A document that is no array, updated from the session's messages: an edit changes its element, a deletion
-- empties it (of those in `gone`; null for all that have no message), and messages of the new application
-- follow the last one. Null if nothing has changed.
create function chat_private.rebuilt_document(session uuid, messages json, started timestamptz, gone uuid[]) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  place text[] := chat_private.messages_place(messages);
  has_nodes boolean := place <> '{prompt}' and json_typeof(messages) = 'object' and json_typeof(messages #> place) = 'object';
  is_nested boolean := place = '{prompt}';
  current_at text[] := case when place = '{mapping}' then '{current_node}' else place[:cardinality(place) - 1] || '{currentId}'::text[] end;
  tree jsonb := messages;
  ids uuid[] := '{}';
  changed_paths jsonb[] := '{}';
  changed_nodes jsonb[] := '{}';
  nodes jsonb;
  now_says jsonb;
  is_text boolean;
  added record;
  fresh jsonb[];
  deep int;
  -- where the first message is none that is understood, it has its answers all the same
  last_path text[] := case when place = '{prompt}' then place end;
  answers text[];
  said record;
  leaf text;
  is_shortened boolean := false;
  lift timestamptz := '-infinity';
begin
  for said in
    select e.path, e.reason, e.id as element_id, case when e.reason is null then e.original::jsonb end as node, e.role,
      m.id, m.role as role_now, m.content as content_now,
      gone is null or e.id in (select g.id from unnest(gone) g (id)) as is_gone,
      case when e.reason is not null then null
        when (m.role, m.content) = (e.role::varchar, e.content) then e.original::jsonb
        else chat_private.restated_element(e.original::jsonb, m.role, m.content) end as element
    from chat_private.elements(session, messages, started) e
    left join chat_private.messages_of(session) m on m.id = e.id and e.reason is null
    order by e.n
  loop
    is_nested := is_nested or not has_nodes and said.path && '{children,replies}';
    continue when said.reason is not null;
    ids := ids || said.element_id;
    last_path := said.path;
    continue when said.id is null and not said.is_gone;
    is_shortened := is_shortened or said.id is null;
    continue when said.id is not null and said.element is not distinct from said.node;
    is_text := jsonb_typeof(tree #> said.path) = 'string';
    -- a text of a pair is no object that could be marked
    now_says := case
      when said.id is null and place = '{mapping}' then '{"message": null}'
      when said.id is null and is_text then 'null'
      when said.id is null then chat_private.restated_element(said.node, said.role, '') || '{"rethread_gone": true}'
      when is_text and said.role_now = said.role then to_jsonb(said.content_now)
      when is_text then jsonb_build_object('role', said.role_now, 'content', said.content_now)
      else said.element end;
    changed_paths := changed_paths || to_jsonb(said.path);
    changed_nodes := changed_nodes || now_says;
  end loop;
  tree := chat_private.with_values(tree, changed_paths, changed_nodes);
  -- An element that says an earlier time than one before it has that one's time. Where that one is gone, it
  -- is written down.
  if is_shortened then
    changed_paths := '{}';
    changed_nodes := '{}';
    for said in
      select e.n, e.path, e.created_at as reads, m.created_at as at
      from chat_private.elements(session, tree::json, started) e
      join chat_private.messages_of(session) m on m.id = e.id
      where e.reason is null
      order by e.n
    loop
      if said.at > greatest(said.reads, lift + said.n * interval '1 microsecond') and jsonb_typeof(tree #> said.path) = 'object' then
        changed_paths := changed_paths || to_jsonb(said.path);
        changed_nodes := changed_nodes || jsonb_build_object('rethread_at', said.at);
        lift := said.at - said.n * interval '1 microsecond';
      end if;
    end loop;
    tree := chat_private.with_values(tree, changed_paths, changed_nodes);
  end if;
  if has_nodes then
    nodes := tree #> place;
    -- where no node is named that is there, the last one is the current one, as for session_elements
    leaf := coalesce((
      select o.key from json_object_keys(messages #> place) with ordinality as o (key, n)
      order by o.key = (messages #>> current_at) desc nulls last, o.n desc limit 1), messages #>> current_at);
    answers := array[leaf, case when place = '{mapping}' then 'children' else 'childrenIds' end];
    select
      jsonb_object_agg(a.key, case when place = '{mapping}' then jsonb_build_object(
          'id', a.key, 'rethread_id', a.key, 'rethread_seal', a.seal, 'parent', coalesce(a.after, leaf), 'children', a.before,
          'message', jsonb_build_object('id', a.key, 'author', jsonb_build_object('role', a.role), 'create_time', extract(epoch from a.created_at),
            'content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array(a.content))))
        else chat_private.element_of(a.message, true, true)
          || jsonb_build_object('id', a.key, 'parentId', coalesce(a.after, leaf), 'childrenIds', a.before) end) as nodes,
      min(a.key) filter (where a.after is null) as first, min(a.key) filter (where a.before = '[]') as last
    into added
    from (
      select m.id::text as key, m.role, m.content, m.created_at, m as message, chat_private.seal(k.secret, session, m.id::text) as seal,
        lag(m.id::text) over w as after, case when lead(m.id) over w is null then '[]' else jsonb_build_array(lead(m.id::text) over w) end as before
      from chat_private.messages_of(session) m
      cross join rethread_archive.message_keys k
      where k.track = 'conversation-history' and m.id not in (select i.id from unnest(ids) i (id))
      window w as (order by m.created_at, m.id)
    ) a;
    if added.nodes is not null and jsonb_typeof(nodes -> leaf) = 'object' then
      nodes := jsonb_set(nodes, answers, case jsonb_typeof(nodes #> answers) when 'array' then nodes #> answers else '[]' end || to_jsonb(added.first));
    end if;
    tree := jsonb_set(tree, place, nodes || coalesce(added.nodes, '{}'));
    if added.nodes is not null then
      tree := jsonb_set(tree, current_at, to_jsonb(added.last));
    end if;
    return nullif(tree, messages::jsonb);
  end if;
  select array_agg(chat_private.element_of(m, true, true) order by m.created_at, m.id) into fresh
  from chat_private.messages_of(session) m where m.id not in (select i.id from unnest(ids) i (id));
  if fresh is null then
    return nullif(tree, messages::jsonb);
  elsif is_nested and last_path is not null then
    answers := last_path || case when tree #> last_path ? 'replies' or place = '{prompt}' then '{replies}' else '{children}' end::text[];
    -- each answers the one before it, until they are as deep as is read: from there on they stand in one list
    if cardinality(last_path) / 2 >= 495 then
      answers := last_path[:cardinality(last_path) - 1];
    end if;
    deep := least(cardinality(fresh), greatest(1, 490 - cardinality(answers) / 2));
    for n in reverse deep - 1 .. 1 loop
      fresh[n] := fresh[n] || jsonb_build_object(answers[cardinality(answers)], case when n = deep - 1 then to_jsonb(fresh[deep:]) else jsonb_build_array(fresh[n + 1]) end);
    end loop;
    tree := jsonb_set(tree, answers, case jsonb_typeof(tree #> answers) when 'array' then tree #> answers else '[]' end
      || case deep when 1 then to_jsonb(fresh) else jsonb_build_array(fresh[1]) end);
  elsif place = '{}' then
    tree := tree || to_jsonb(fresh);
  else
    tree := jsonb_set(tree, place, tree #> place || to_jsonb(fresh));
  end if;
  return nullif(tree, messages::jsonb);
end
$$;

-- An element without what the database has written into it, and without its time.
create function chat_private.unmarked(element jsonb) returns jsonb
language sql immutable parallel safe
as $$ select case jsonb_typeof(element) when 'object' then element - '{rethread_id,rethread_seal,rethread_at,timestamp}'::text[] else element end $$;

-- Writes what a session stores from its messages. Elements that are no messages keep their places. Messages
-- of the new application come last. An element that moves up keeps its id. One without a message goes if it
-- is in `gone`, or if that is null: else the backfill has not come to it yet. Writes nothing if nothing has
-- changed, and no session of another owner than its conversation. The session's row is locked before
-- anything is read, so that two writers of a session run one after the other.
create function chat_private.rebuild_session(session uuid, gone uuid[] default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
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
  if json_typeof(kept.messages) = 'object' and chat_private.keeps_messages(kept.messages)
    or json_typeof(kept.messages) = 'array' and chat_private.is_nested(kept.messages) and chat_private.why_unreadable(kept.messages::text) is null then
    fresh := chat_private.rebuilt_document(session, kept.messages, kept.started, gone);
    changed := fresh is not null;
  elsif json_typeof(kept.messages) = 'object'
    and (case when chat_private.why_unreadable(kept.messages::text) is null then kept.messages -> 'mapping' is not null else true end) then
    return;
  else
    with old as materialized (
      select e.n, e.id, e.reason, e.original, e.is_sealed, case when e.reason is null then jsonb_typeof(e.original::jsonb) = 'object' and e.original::jsonb ? 'timestamp' end as timed
      from chat_private.elements(session, kept.messages, kept.started) e
    ),
    mine as materialized (select m as message from chat_private.messages_of(session) m),
    item as (
      select o.n, null::timestamptz as at, o.id, o.original, o.reason, o.is_sealed, o.timed, x.message as m
      from old o left join mine x on (x.message).id = o.id
      union all
      select null, (x.message).created_at, (x.message).id, null, null, true, true, x.message
      from mine x
      where (x.message).id not in (select o.id from old o where o.id is not null)
    ),
    placed as (
      select i.*, row_number() over (order by i.n nulls last, i.at, i.id) as place
      from item i
      where i.reason is not null or (i.m).id is not null
        or not (gone is null or i.id in (select g.id from unnest(gone) g (id)))
    )
    select
      '[' || coalesce(string_agg(case when p.reason is not null or (p.m).id is null then p.original
        else chat_private.element_of(p.m, p.is_sealed or p.n <> p.place, p.timed)::text end, ', ' order by p.place), '') || ']',
      -- one is gone, one is new, or one says something else
      count(*) <> (select count(*) from old) or bool_or(p.reason is null and (p.m).id is not null and (p.original is null
        or chat_private.unmarked(chat_private.element_of(p.m, false, false)) is distinct from chat_private.unmarked(p.original::jsonb)))
    into fresh, changed
    from placed p;
  end if;
  if changed then
    -- what is in no form that is understood gives way to an array, and is kept
    insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
    select 'conversation-history', '005_set_aside_elements', 'public.chat_sessions',
      session || ':0' || case when exists (
        select from rethread_archive.quarantine q
        where q.relation = 'public.chat_sessions' and q.key = session || ':0' and q.original <> to_jsonb(k.said)
      ) then ':' || md5(k.said) else '' end,
      'messages is no array but ' || json_typeof(kept.messages), to_jsonb(k.said)
    from (select kept.messages::text as said) k
    where not chat_private.keeps_messages(kept.messages)
    on conflict do nothing;
    perform set_config('search_path', chat_private.application_path(), true);
    update public.chat_sessions s set messages = fresh where s.id = session;
  end if;
end
$$;

-- Whether two values of the old column are equal; json has no equality operator.
create function chat_private.same_messages(a jsonb, b jsonb) returns boolean
language sql immutable parallel safe
as $$ select a is not distinct from b $$;
create function chat_private.same_messages(a json, b json) returns boolean
language sql immutable parallel safe
as $$ select a::text is not distinct from b::text $$;

-- Updates the messages after the old application has changed a session. `before` is null for a new session.
-- An element that the new application wrote (it is sealed) is only deleted by a write that does nothing else
-- but remove elements, at least a minute after it was written: a writer that read the array earlier would
-- delete what it never saw. `kept`: some were kept. Never waits for a message that another transaction has
-- locked. `left_out`: some were, and this session is to be brought up to date later.
create function chat_private.merge_messages(
  session uuid, before json, messages json, started timestamptz, out kept boolean, out left_out boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  skipped bigint := 0;
  held jsonb := '{}';
  latest timestamptz;
  added json := chat_private.appended(before, messages);
begin
  -- of a conversation that has only grown the new elements are read, and of the others the id and the time
  if added is not null then
    select count(*), max(coalesce(chat_private.said_at(x.j, x.body), started, 'epoch') - x.n * interval '1 microsecond'),
      coalesce(jsonb_object_agg(x.j ->> 'rethread_id', true)
        filter (where x.j ->> 'rethread_seal' = chat_private.seal(k.secret, session, x.j ->> 'rethread_id')), '{}')
    into skipped, latest, held
    from (
      select e.n, e.j, case when jsonb_typeof(e.j -> 'message') = 'object' and not e.j ? 'role' then e.j -> 'message' else e.j end as body
      from (
        select a.n, case when chat_private.why_unreadable(a.value::text) is null then a.value::jsonb end as j
        from json_array_elements(before) with ordinality as a (value, n)
        offset 0
      ) e
      offset 0
    ) x
    left join rethread_archive.message_keys k on k.track = 'conversation-history';
    messages := added;
    before := null;
  end if;
  -- `is_message` and not `reason is null`, of which the planner expects so few that it would
  -- compare each element with all
  with a as materialized (
    select e.*, e.reason is null as is_message from chat_private.elements_after(session, messages, started, skipped, held, latest) e
  ),
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
      where m.conversation_id = session and g.is_sealed and g.id not in (select l.id from leaving l)),
    exists (
      select from gone g join public.messages m on m.id = g.id
      where m.conversation_id = session and not g.is_sealed and g.id not in (select l.id from leaving l))
    or exists (
      select from fresh f join public.messages m on m.id = f.id
      where m.conversation_id = session and f.is_message and f.id not in (select e.id from edited e)
        and ((m.role, m.content) is distinct from (f.role::varchar, f.content)
          or m.metadata - 'timestamp' is distinct from f.metadata - 'timestamp'))
  into kept, left_out;
end
$$;

-- Makes the time of a conversation at least that of its newest message. False if another transaction has
-- locked the conversation.
create function chat_private.touch_conversation(session uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
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

-- A session that has its conversation now is no longer set aside by 003.
create function chat_private.leave_quarantine(session uuid) returns void
language sql
as $$
  delete from rethread_archive.quarantine q
  using public.chat_sessions s, public.conversations c
  where q.relation = 'public.chat_sessions' and q.key = leave_quarantine.session::text and q.migration = '003_move_conversations'
    and s.id = leave_quarantine.session and c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id
$$;
revoke all on function chat_private.leave_quarantine(uuid) from public;

-- Brings a session up to date: first the title, the metadata and the owner, as whoever changed them last has
-- them, then what the old application wrote, except of messages that the new one wrote or deleted, then what
-- the new one did. It sets in_step itself, because a query may call it first, and triggers that react to it
-- would delete the rows that the query is about to change. Only a superuser could give the function a SET
-- clause for it.
create function chat_private.catch_up(session uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  kept record;
  old_wrote boolean;
  -- of some statement of the new application it is not known which messages it wrote
  is_unknown boolean;
  theirs uuid[];
  head record;
  secret text;
  outer_step text := coalesce(current_setting('rethread.in_step', true), '');
  in_time boolean;
begin
  perform set_config('search_path', chat_private.application_path(), true);
  perform set_config('rethread.in_step', 'on', true);
  select s.id, s.tenant_id, s.user_id, s.messages::json as messages, s.created_at into kept
  from public.chat_sessions s where s.id = session for no key update;
  select coalesce(bool_or(b.written_by = 'old application' and b.operation <> 'HEAD'), false),
    coalesce(bool_or(b.written_by = 'new application' and b.operation like '% of messages' and b.had is null), false)
  into old_wrote, is_unknown
  from chat_private.behind b where b.session_id = session and b.caught_up_at is null;
  theirs := array(
    select unnest(b.had) from chat_private.behind b
    where b.session_id = session and b.written_by = 'new application' and b.caught_up_at is null);
  -- of either side only a row of the owner that it had, or that both have now
  for head in
    select b.written_by, b.tenant_id, b.user_id from chat_private.behind b
    where b.session_id = session and b.operation = 'HEAD' and b.caught_up_at is null
    order by b.at desc limit 1
  loop
    if head.written_by = 'old application' then
      update public.conversations c
      set tenant_id = s.tenant_id, user_id = s.user_id, title = coalesce(s.title, 'New Conversation'), metadata = s.metadata, updated_at = greatest(s.updated_at, c.updated_at)
      from public.chat_sessions s
      where s.id = c.id and c.id = session
        and (c.tenant_id = head.tenant_id and c.user_id = head.user_id or c.tenant_id = s.tenant_id and c.user_id = s.user_id)
        and exists (select from public.tenants t where t.id = s.tenant_id) and exists (select from auth.users u where u.id = s.user_id);
    else
      update public.chat_sessions s
      set tenant_id = c.tenant_id, user_id = c.user_id, title = c.title, metadata = c.metadata, updated_at = c.updated_at
      from public.conversations c
      where c.id = s.id and s.id = session
        and (s.tenant_id = head.tenant_id and s.user_id = head.user_id or s.tenant_id = c.tenant_id and s.user_id = c.user_id);
      select s.id, s.tenant_id, s.user_id, s.messages::json as messages, s.created_at into kept
      from public.chat_sessions s where s.id = session;
    end if;
  end loop;
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
      union
      -- or that of a node, of which nothing is known any more
      select unnest(b.had) from chat_private.behind b
      where b.session_id = session and b.written_by = 'old application' and b.caught_up_at is null
    ) p
    where m.id = p.id and m.conversation_id = session
      and m.id not in (select w.id from unnest(theirs) w (id))
      and m.id not in (select e.id from chat_private.elements(session, kept.messages, kept.created_at) e where e.reason is null);
    if not is_unknown then
      update public.messages m set role = e.role, content = e.content, metadata = e.metadata
      from chat_private.elements(session, kept.messages, kept.created_at) e
      where m.id = e.id and m.conversation_id = session and e.reason is null
        and m.id not in (select w.id from unnest(theirs) w (id))
        and ((m.role, m.content) is distinct from (e.role::varchar, e.content)
          or m.metadata - 'timestamp' is distinct from e.metadata - 'timestamp');
    end if;
    insert into public.messages (id, conversation_id, role, content, metadata, created_at)
    select e.id, session, e.role, e.content, e.metadata, e.created_at
    from chat_private.elements(session, kept.messages, kept.created_at) e
    where e.reason is null and e.id not in (select w.id from unnest(theirs) w (id))
      and not exists (select from public.messages m where m.id = e.id)
    on conflict (id) do nothing;
  end if;
  perform chat_private.leave_quarantine(session);
  perform chat_private.rebuild_session(session, theirs);
  in_time := chat_private.touch_conversation(session);
  perform set_config('rethread.in_step', outer_step, true);
  return in_time;
end
$$;

-- The messages that a session held which the old application wrote; null where they cannot be read now. Of a
-- plain array they have the ids of its places, which nobody has to read.
create function chat_private.ids_held(session uuid, messages json, started timestamptz) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if json_typeof(messages) = 'array' and strpos(messages::text, '"rethread_seal"') = 0 and not chat_private.is_nested(messages) then
    return array(
      select chat_private.place_id(k.secret, session, n::text)::uuid
      from rethread_archive.message_keys k cross join generate_series(1, json_array_length(messages)) n
      where k.track = 'conversation-history');
  end if;
  return array(select e.id from chat_private.elements(session, messages, started) e where e.reason is null and not e.is_sealed);
exception
  when query_canceled then
    if not chat_private.has_used_time(0.9) then
      raise;
    end if;
    return chat_private.ids_held(session, messages, started);
  when others then
    return null;
end
$$;

-- After the old application has written a session: updates its conversation and messages. Never fails its
-- statement: what cannot be done now is recorded in behind and done later. Only changes a conversation with
-- the owner of the row.
create function chat_private.follow_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  kept boolean := false;
  merged boolean := false;
  left_out boolean := false;
  head_left_out boolean := false;
  opened boolean := false;
  session uuid;
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  begin
    session := case tg_op when 'DELETE' then old.id else new.id end;
    if chat_private.has_used_time(0.5) or chat_private.takes_too_long(session) then
      raise lock_not_available;
    end if;
    perform set_config('rethread.in_step', 'on', true);
    if tg_op = 'DELETE' or tg_op = 'UPDATE' and old.id <> session then
      delete from public.conversations c where c.id = old.id and c.tenant_id = old.tenant_id and c.user_id = old.user_id;
    end if;
    if tg_op <> 'DELETE' and exists (select from public.tenants t where t.id = new.tenant_id) and exists (select from auth.users u where u.id = new.user_id) then
      insert into public.conversations (id, tenant_id, user_id, title, metadata, created_at, updated_at)
      values (session, new.tenant_id, new.user_id, coalesce(new.title, 'New Conversation'), new.metadata, new.created_at, coalesce(new.updated_at, new.created_at))
      on conflict (id) do nothing;
      opened := found;
      if not opened and tg_op = 'UPDATE' then
        -- what this statement leaves as it was may be newer on the other side; where both had the same
        -- time, it also goes back, to that of the newest message at most
        update public.conversations c
        set tenant_id = new.tenant_id, user_id = new.user_id,
          title = case when new.title is not distinct from old.title then c.title else coalesce(new.title, 'New Conversation') end,
          metadata = case when new.metadata is not distinct from old.metadata then c.metadata else new.metadata end,
          updated_at = k.active_at
        from (
          select k.id, case when new.updated_at < old.updated_at and k.updated_at = old.updated_at
              then greatest(new.updated_at, (select max(m.created_at) from public.messages m where m.conversation_id = k.id))
              else greatest(new.updated_at, k.updated_at) end as active_at
          from public.conversations k
          where k.id = session and k.tenant_id = old.tenant_id and k.user_id = old.user_id
          for no key update skip locked
        ) k
        where c.id = k.id
          and (c.tenant_id, c.user_id, c.title, c.metadata, c.updated_at)
            is distinct from (new.tenant_id, new.user_id, coalesce(new.title, 'New Conversation'), new.metadata, k.active_at);
        -- whoever has locked it may change nothing, and then nobody writes it
        head_left_out := (new.tenant_id, new.user_id, new.title, new.metadata) is distinct from (old.tenant_id, old.user_id, old.title, old.metadata)
          and exists (
            select from public.conversations c
            where c.id = session and c.tenant_id = old.tenant_id and c.user_id = old.user_id
              and (c.tenant_id, c.user_id, c.title, c.metadata)
                is distinct from (new.tenant_id, new.user_id, coalesce(new.title, 'New Conversation'), new.metadata));
      end if;
      if exists (select from public.conversations c where c.id = session and c.tenant_id = new.tenant_id and c.user_id = new.user_id) then
        -- one that was set aside and can have a conversation now has all its messages at once: the backfill
        -- has passed it. Any other that has none yet is left to the backfill
        opened := opened and (tg_op = 'INSERT' or exists (
          select from rethread_archive.quarantine q
          where q.relation = 'public.chat_sessions' and q.key = session::text and q.migration = '003_move_conversations'));
        perform chat_private.leave_quarantine(session);
        if tg_op = 'INSERT' or old.id <> session or opened then
          select m.kept, m.left_out into kept, left_out from chat_private.merge_messages(session, null, new.messages::json, new.created_at) m;
          merged := true;
        elsif not chat_private.same_messages(old.messages, new.messages) then
          select m.kept, m.left_out into kept, left_out
          from chat_private.merge_messages(session, coalesce(old.messages::json, 'null'), new.messages::json, new.created_at) m;
          merged := true;
        end if;
        if exists (select from chat_private.behind b where b.session_id = session and b.caught_up_at is null) then
          perform chat_private.catch_up(session);
          delete from chat_private.behind b where b.session_id = session;
        elsif kept and not left_out then
          perform chat_private.rebuild_session(session, '{}');
        end if;
        if left_out then
          insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate, had)
          values (session, new.tenant_id, new.user_id, 'old application', tg_op, '55P03',
            case when tg_op = 'UPDATE' and old.id = session then chat_private.ids_held(session, old.messages::json, old.created_at) end);
        end if;
        if merged and not chat_private.touch_conversation(session) then
          insert into chat_private.behind (session_id, written_by, operation, sqlstate)
          values (session, 'old application', 'touch', '55P03');
        end if;
      end if;
      if head_left_out then
        insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
        values (session, old.tenant_id, old.user_id, 'old application', 'HEAD', '55P03');
      end if;
    end if;
    perform set_config('rethread.in_step', '', true);
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate, had)
        values (session, coalesce(new.tenant_id, old.tenant_id), coalesce(new.user_id, old.user_id), 'old application', tg_op, sqlstate,
          case when tg_op = 'UPDATE' and old.id = session and not chat_private.same_messages(old.messages, new.messages)
            then chat_private.ids_held(session, old.messages::json, old.created_at) end);
        if tg_op = 'UPDATE' and (new.tenant_id, new.user_id, new.title, new.metadata) is distinct from (old.tenant_id, old.user_id, old.title, old.metadata) then
          insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
          values (session, old.tenant_id, old.user_id, 'old application', 'HEAD', sqlstate);
        end if;
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;
revoke all on function chat_private.follow_session() from public;

-- After the old application has truncated its table: deletes its content on the other side. TRUNCATE fires no
-- row triggers.
create function chat_private.follow_truncation() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  begin
    perform set_config('rethread.in_step', 'on', true);
    delete from public.conversations c
    where not exists (select from public.chat_sessions s where s.id = c.id)
      -- what the new application has opened waits for its session still
      and not exists (
        select from chat_private.behind b where b.session_id = c.id and b.written_by = 'new application' and b.caught_up_at is null);
    perform set_config('rethread.in_step', '', true);
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
        select c.id, c.tenant_id, c.user_id, 'old application', 'DELETE', sqlstate
        from public.conversations c
        where not exists (select from public.chat_sessions s where s.id = c.id)
          and not exists (
            select from chat_private.behind b where b.session_id = c.id and b.written_by = 'new application' and b.caught_up_at is null);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;
revoke all on function chat_private.follow_truncation() from public;

-- An id of another user's session is refused, as it will be when the backfill has created that session's
-- conversation.
create function chat_private.guard_conversation_id() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
as $$
declare
  is_taken boolean;
begin
  begin
    is_taken := exists (
      select from public.chat_sessions s
      where s.id = new.id and (s.tenant_id, s.user_id) is distinct from (new.tenant_id, new.user_id));
  exception
    -- then the backfill sets that session aside, and says why
    when assert_failure or others then
      raise warning 'rethread cannot see whether a session has the id of this conversation, SQLSTATE %', sqlstate;
  end;
  if is_taken then
    raise exception 'duplicate key value violates unique constraint "conversations_pkey"'
      using errcode = 'unique_violation', schema = 'public', table = 'conversations', constraint = 'conversations_pkey';
  end if;
  return new;
end
$$;
revoke all on function chat_private.guard_conversation_id() from public;

-- Before a conversation of the new application becomes a session: columns of which the new application knows
-- nothing, and that must have a value, take that of the user's newest session in the tenant. Else one that
-- sessions of several users in it share: what only one person has is shown to nobody else. Else an empty one.
-- A unique column takes the id.
create function chat_private.complete_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
as $$
declare
  session uuid;
  sessions uuid[];
  is_lacking boolean;
  value jsonb;
  wanted record;
begin
  for wanted in
    select a.attname::text as name, y.typname as type, y.typcategory as category, exists (
      select from pg_catalog.pg_index i
      where i.indrelid = a.attrelid and i.indisunique and i.indnkeyatts = 1 and i.indkey[0] = a.attnum) as is_unique
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type y on y.oid = a.atttypid
    cross join (select new.id, new.title, new.metadata) known
    where a.attrelid = tg_relid and not to_jsonb(known) ? a.attname::text and a.attnum > 0 and not a.attisdropped
      and a.attnotnull and a.attgenerated = ''
    order by a.attnum
  loop
    execute format('select ($1).%I is null', wanted.name) into is_lacking using new;
    if not is_lacking then
      continue;
    end if;
    value := null;
    if wanted.is_unique then
      value := to_jsonb(new.id::text);
    else
      if sessions is null then
        session := (
          select s.id from public.chat_sessions s
          where s.tenant_id = new.tenant_id and s.user_id = new.user_id
          order by s.updated_at desc nulls last limit 1);
        sessions := array(
          select s.id from public.chat_sessions s
          where s.tenant_id = new.tenant_id and s.user_id is not null limit 1000);
      end if;
      execute format('select to_jsonb(x.%I) from public.chat_sessions x where x.id = $1', wanted.name) into value using session;
    end if;
    if value is null and not wanted.is_unique then
      execute format('select (array_agg(s.j))[1] from (select x.%1$I::text as v, to_jsonb(x.%1$I) as j, x.user_id as who from public.chat_sessions x where x.id = any ($1)) s where s.v is not null group by s.v having count(distinct s.who) > 1 order by count(*) desc limit 1', wanted.name)
      into value using sessions;
    end if;
    if value is null then
      value := case when wanted.type in ('json', 'jsonb') then '{}'
        else case wanted.category when 'S' then '""' when 'N' then '0' when 'B' then 'false' when 'A' then '[]' end end::jsonb;
    end if;
    if value is not null then
      new := jsonb_populate_record(new, jsonb_build_object(wanted.name, value));
    end if;
  end loop;
  return new;
end
$$;
revoke all on function chat_private.complete_session() from public;

-- After the new application has written a conversation: writes it to chat_sessions for the old one.
create function chat_private.follow_conversation() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  begin
    if chat_private.has_used_time(0.5) then
      raise lock_not_available;
    end if;
    perform set_config('search_path', chat_private.application_path(), true);
    perform set_config('rethread.in_step', 'on', true);
    -- with an account or a tenant that is deleted goes the conversation; its session is the old
    -- application's, whose own foreign keys decide
    if tg_op = 'DELETE' and exists (select from auth.users u where u.id = old.user_id) and exists (select from public.tenants t where t.id = old.tenant_id)
      or tg_op = 'UPDATE' and old.id <> new.id then
      delete from public.chat_sessions s where s.id = old.id and s.tenant_id = old.tenant_id and s.user_id = old.user_id;
    end if;
    if tg_op = 'INSERT' or tg_op = 'UPDATE' and old.id <> new.id then
      -- its key may be one that is checked at the end of the transaction, which ON CONFLICT refuses
      insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
      select new.id, new.tenant_id, new.user_id, new.title, '[]', new.metadata, new.created_at, new.updated_at
      where not exists (select from public.chat_sessions s where s.id = new.id);
      -- messages of the same statement may have been there before
      if exists (select from public.messages m where m.conversation_id = new.id) then
        perform chat_private.rebuild_session(new.id, '{}');
        -- which are then not to be appended once more
        perform set_config('rethread.rebuilt', concat_ws(' ', extract(epoch from statement_timestamp()), pg_current_xact_id()), true);
      end if;
    elsif tg_op = 'UPDATE' then
      update public.chat_sessions s
      set tenant_id = new.tenant_id, user_id = new.user_id, title = case when new.title = old.title then s.title else new.title end,
        metadata = case when new.metadata is not distinct from old.metadata then s.metadata else new.metadata end, updated_at = new.updated_at
      where s.id = new.id and s.tenant_id = old.tenant_id and s.user_id = old.user_id;
    end if;
    perform set_config('rethread.in_step', '', true);
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
        values (coalesce(new.id, old.id), coalesce(new.tenant_id, old.tenant_id), coalesce(new.user_id, old.user_id),
          'new application', tg_op, sqlstate);
        if tg_op = 'UPDATE' and (new.tenant_id, new.user_id, new.title, new.metadata) is distinct from (old.tenant_id, old.user_id, old.title, old.metadata) then
          insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
          values (new.id, old.tenant_id, old.user_id, 'new application', 'HEAD', sqlstate);
        end if;
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;
revoke all on function chat_private.follow_conversation() from public;

-- After a statement of the new application has written messages: writes each conversation's array once. If
-- messages are only added, they are appended, whatever the length of the array.
create function chat_private.follow_messages() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
#variable_conflict use_variable
declare
  session uuid;
  sessions uuid[];
  -- the messages of each session that the statement has changed or deleted
  written jsonb := '{}';
  turn int := 0;
  added jsonb;
  newest timestamptz;
begin
  if coalesce(current_setting('rethread.in_step', true), '') = 'on' then
    return null;
  end if;
  -- the block that handles errors is entered once for each session, and begins with the list of them
  loop
    turn := turn + 1;
    begin
      if turn > 1 then
        null;
      elsif tg_op = 'INSERT' then
        sessions := array(select distinct n.conversation_id from new_rows n order by 1);
      elsif tg_op = 'DELETE' then
        -- with a conversation goes its session as well
        select array_agg(x.session order by x.session), jsonb_object_agg(x.session, x.ids) into sessions, written
        from (
          select o.conversation_id as session, jsonb_agg(o.id) as ids
          from old_rows o join public.conversations c on c.id = o.conversation_id
          group by 1) x;
      else
        select array_agg(x.session order by x.session), jsonb_object_agg(x.session, x.ids) into sessions, written
        from (
          select w.session, jsonb_agg(w.id) as ids
          from (select n.conversation_id as session, n.id from new_rows n union select o.conversation_id, o.id from old_rows o) w
          group by 1) x;
      end if;
      session := sessions[turn];
      exit when session is null;
      if chat_private.has_used_time(0.5) or chat_private.takes_too_long(session) then
        raise lock_not_available;
      end if;
      perform set_config('search_path', chat_private.application_path(), true);
      perform set_config('rethread.in_step', 'on', true);
      -- first the session, whose writer before us may have left it behind
      perform from public.chat_sessions s where s.id = session for no key update;
      if exists (select from chat_private.behind b where b.session_id = session and b.caught_up_at is null) then
        -- what this statement has written is newer than what the array says of it
        insert into chat_private.behind (session_id, written_by, operation, sqlstate, had)
        values (session, 'new application', tg_op || ' of messages', '00000',
          array(select w.id::uuid from jsonb_array_elements_text(written -> session::text) w (id)));
        perform chat_private.catch_up(session);
        delete from chat_private.behind b where b.session_id = session;
      elsif tg_op = 'INSERT'
        and coalesce(current_setting('rethread.rebuilt', true), '') <> concat_ws(' ', extract(epoch from statement_timestamp()), pg_current_xact_id())
        and exists (
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
        perform chat_private.rebuild_session(session, array(select w.id::uuid from jsonb_array_elements_text(written -> session::text) w (id)));
      end if;
      perform set_config('rethread.in_step', '', true);
    exception
      when query_canceled or assert_failure or others then
        if sqlstate = '57014' then
          if not chat_private.has_used_time(0.9) then
            raise;
          end if;
        end if;
        begin
          insert into chat_private.behind (session_id, written_by, operation, sqlstate, had)
          values (session, 'new application', tg_op || ' of messages', sqlstate,
            array(select w.id::uuid from jsonb_array_elements_text(written -> session::text) w (id)));
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
revoke all on function chat_private.follow_messages() from public;

-- After the new application has written messages: updates the times of their conversations, one row for each
-- conversation and statement. It is kept when the old application is gone.
create function chat_private.touch_conversations() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  sessions uuid[];
  times timestamptz[];
  turn int := 0;
begin
  if 'on' in (coalesce(current_setting('rethread.in_step', true), ''), coalesce(current_setting('rethread.restoring', true), '')) then
    return null;
  end if;
  loop
    turn := turn + 1;
    begin
      if turn = 1 then
        select array_agg(x.session order by x.session), array_agg(x.newest order by x.session) into sessions, times
        from (select n.conversation_id as session, max(n.created_at) as newest from new_rows n group by 1) x;
      end if;
      exit when sessions[turn] is null;
      -- the session has got its time with its array
      if chat_private.has_used_time(0.5) then
        raise lock_not_available;
      end if;
      perform set_config('rethread.in_step', 'on', true);
      update public.conversations c
      set updated_at = times[turn]
      where c.id = sessions[turn] and coalesce(c.updated_at, '-infinity') < times[turn];
      perform set_config('rethread.in_step', '', true);
    exception
      when query_canceled or assert_failure or others then
        if sqlstate = '57014' then
          if not chat_private.has_used_time(0.9) then
            raise;
          end if;
        end if;
        begin
          insert into chat_private.behind (session_id, written_by, operation, sqlstate)
          values (sessions[turn], 'new application', 'touch', sqlstate);
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
revoke all on function chat_private.touch_conversations() from public;

-- The application must not call any of these.
revoke all on function
  chat_private.elements(uuid, json, timestamptz), chat_private.appended(json, json), chat_private.said_at(jsonb, jsonb),
  chat_private.elements_after(uuid, json, timestamptz, bigint, jsonb, timestamptz), chat_private.element_of(public.messages, boolean, boolean), chat_private.rebuilt_document(uuid, json, timestamptz, uuid[]),
  chat_private.messages_of(uuid), chat_private.rebuild_session(uuid, uuid[]), chat_private.touch_conversation(uuid), chat_private.merge_messages(uuid, json, json, timestamptz), chat_private.catch_up(uuid),
  chat_private.ids_held(uuid, json, timestamptz) from public;

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
create trigger rethread_complete_session before insert on public.chat_sessions
  for each row when (coalesce(current_setting('rethread.in_step', true), '') = 'on')
  execute function chat_private.complete_session();
create trigger rethread_follow_session after insert or update or delete on public.chat_sessions
  for each row execute function chat_private.follow_session();
create trigger rethread_follow_truncation after truncate on public.chat_sessions
  for each statement execute function chat_private.follow_truncation();
