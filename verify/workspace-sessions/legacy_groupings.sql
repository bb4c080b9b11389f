--! title: Legacy sessions that each legacy_grouping would create, and their messages
--! kind: listing
--! until: 001_create_chat_sessions

-- Of at most 200,000 messages; if there are more, those of some workspaces, found by an index. Messages of a
-- workspace are sorted once. A session begins at each message that comes after more than the pause.
with known as (
  select sum(case when k.reltuples >= 0 then k.reltuples else pg_relation_size(k.oid) / 100 end) as rows,
    (select bool_or(i.indisvalid) from pg_catalog.pg_index i
     join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
     where i.indrelid = 'public.chats'::regclass and a.attname = 'workspace_id' and i.indpred is null) as by_index
  from pg_catalog.pg_class k
  where k.relkind = 'r' and k.oid in (
    select 'public.chats'::regclass union select p.relid from pg_catalog.pg_partition_tree('public.chats'::regclass) p)
),
way as (
  select case when rows <= 200000 then 'all' when by_index then 'some' else 'none' end as takes, rows from known
),
messages as materialized (
  select c.workspace_id as room, c.user_id as author, case when isfinite(c.created_at) then c.created_at end as at
  from public.chats c
  join public.workspaces w on w.id = c.workspace_id
  where (select y.takes from way y) = 'all'
  union all
  select * from (
    select c.room, c.author, c.at
    from (select w.id as room from public.workspaces w order by md5(w.id::text)) r
    cross join lateral (
      select x.workspace_id as room, x.user_id as author, case when isfinite(x.created_at) then x.created_at end as at
      from public.chats x where x.workspace_id = r.room limit 200000
    ) c
    where (select y.takes from way y) = 'some'
    limit 200000
  ) sampled
),
placed as materialized (
  select row_number() over (order by m.room, m.at nulls first) as n, m.at - lag(m.at) over in_time as pause,
    row_number() over in_time = 1 or m.at is not null and lag(m.at) over in_time is null as begins
  from messages m
  window in_time as (partition by m.room order by m.at nulls first)
),
asked as (
  select coalesce(nullif(current_setting('rethread.legacy_grouping', true), ''), 'workspace') as grouping
),
sizes as (
  select 1 as place, 'workspace' as grouping, count(*) as n from messages group by room
  union all
  select 2, 'author', count(*) from messages group by room, author
  union all
  select 3, 'idle:' || i.pause,
    lead(p.n, 1, (select count(*) + 1 from messages)) over (partition by i.pause order by p.n) - p.n
  from (
    select unnest(array['30m', '8h', '2d']) as pause
    union
    select substr(grouping, 6) from asked where grouping like 'idle:%'
  ) i
  join placed p on p.begins or p.pause > i.pause::interval
)
select s.grouping || case when s.grouping = a.grouping then ' (chosen)' else '' end as grouping,
  count(*) as sessions,
  percentile_disc(0.5) within group (order by s.n) as median,
  percentile_disc(0.9) within group (order by s.n) as "90%",
  max(s.n) as largest,
  case when w.takes = 'all' then 'all messages'
    else format('a sample: %s of about %s messages', (select count(*) from messages), w.rows) end as counted
from sizes s, asked a, way w
group by s.place, s.grouping, a.grouping, w.takes, w.rows
union all
select 'not counted', null, null, null, null,
  format('there are about %s messages, and no index begins with workspace_id', w.rows)
from way w
where w.takes = 'none'
