--! title: Messages have the text of their elements, read by a second reader that shares no code with the migration
--! fix: Set the content of these messages to the text of their elements; please report the shape of the element.
--! after: 005_set_aside_elements
--! until: 007_set_sessions_aside
--! mutant: set local rethread.in_step = 'on'; update public.messages set content = '' where id = (
--!   select m.id from public.messages m where m.content <> '' order by m.created_at limit 1)

-- The migration's functions only say which element is which message, not what it says, because a fault in
-- their reader would also be in this check. Every place that may hold text is a candidate. A message that
-- equals none of them, or is blank although there is one, is wrong. White space is ignored, because parts are
-- joined by line ends.
with said as (
  select s.id, e.key, m.content, e.original::jsonb as element
  from public.chat_sessions s
  join public.conversations c on c.id = s.id
  cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) e
  join public.messages m on m.id = e.id and m.conversation_id = s.id
  where e.reason is null
),
-- most elements have one text, which is the message
doubtful as materialized (
  select x.* from said x
  where x.content !~ '\S' or x.element ? 'parts' or x.content is distinct from coalesce(x.element ->> 'content', x.element #>> '{}')
)
select d.id || ':' || d.key as object,
  case when d.content !~ '\S' then 'it is blank, and its element holds text' else 'its text is none that its element holds' end as detail
from doubtful d
cross join lateral (
  select bool_or(c.text <> '') as has_text, bool_or(c.text = translate(d.content, E' \t\n\r\f\v', '')) as is_said
  from (
    select translate(string_agg(t.line, '' order by p.n), E' \t\n\r\f\v', '') as text
    from (values (1, d.element), (2, d.element -> 'message')) as b (n, body)
    cross join lateral (values
      (1, b.body -> 'content'), (2, b.body -> 'parts'), (3, b.body -> 'text'), (4, b.body -> 'message'), (5, b.body -> 'value'), (6, b.body -> 'body'),
      (7, b.body -> 'msg'), (8, b.body -> 'refusal'), (9, b.body #> '{data,content}'), (10, b.body #> '{kwargs,content}'), (11, b.body #> '{data,text}'),
      (12, b.body -> 'output'), (13, b.body -> 'output_text'), (14, b.body -> 'chatInput'), (15, b.body -> 'input'), (16, case jsonb_typeof(b.body) when 'string' then b.body end)) as r (n, root)
    cross join lateral jsonb_path_query(
      case when jsonb_typeof(r.root -> 'parts') = 'array' then r.root -> 'parts' else r.root end,
      -- thoughts of a model are not part of the message; calls, pictures and files only count with a text of
      -- their own
      '$[*] ? (!(@.type like_regex "think|thought|reasoning") && !(@.thought == true) && !(@.content_type == "thoughts"))') with ordinality as p (part, n)
    cross join lateral (
      select string_agg(l.leaf #>> '{}', '') as line
      from jsonb_array_elements(
        jsonb_path_query_array(p.part, '$ ? (@.type() == "string" || @.type() == "number" || @.type() == "boolean")')
        || jsonb_path_query_array(p.part, '$.text ? (@.type() == "string")') || jsonb_path_query_array(p.part, '$.text.value')
        || jsonb_path_query_array(p.part, '$ ? (!exists(@.text)).content[*] ? (@.type() == "string")')
        || jsonb_path_query_array(p.part, '$ ? (!exists(@.text)).content[*].text')
        || jsonb_path_query_array(p.part, '$ ? (!exists(@.text)).refusal ? (@.type() == "string")')
        || jsonb_path_query_array(p.part, '$ ? (@.type like_regex "(result|output)$").output ? (@.type() == "string")')
        || jsonb_path_query_array(p.part, '$ ? (@.type like_regex "(result|output)$").output.value ? (@.type() == "string")')
        || jsonb_path_query_array(p.part, '$ ? (@.type like_regex "(result|output)$").result ? (@.type() == "string")')
        || jsonb_path_query_array(p.part, '$.executableCode.code') || jsonb_path_query_array(p.part, '$.codeExecutionResult.output')) l (leaf)
    ) t
    where t.line is not null
    group by b.n, r.n
  ) c
) v
where case when d.content !~ '\S' then v.has_text else v.is_said is distinct from true end
order by 1
