--! title: The backfill did not change updated_at of messages
--! fix: Put updated_at back from a backup where your application shows it.
--! level: warn
--! after: 005_assign_messages
--! requires: column public.chats.updated_at
--! mutant: alter table public.chats add column updated_at timestamptz;
--!   update public.chats set updated_at = now() where created_at < now();
--!   insert into rethread.batches (backfill, relation, xid, rows, ms)
--!   select b.id, 'public.chats', (select max(c.xmin::text::bigint) from public.chats c)::text::xid8, 1, 1
--!   from rethread.backfills b where b.migration = '005_assign_messages'

-- The time of the last change of a message, if the application stores it. Only rows that the backfill wrote
-- last are checked: users' later changes have other times and transactions.
select c.id::text as object, format('updated_at is %s, the time of the backfill', to_jsonb(c.*) ->> 'updated_at') as detail
from public.chats c
join (
  select distinct ((x.xid::text)::numeric % 4294967296)::text as xmin, b.started_at
  from rethread.batches x
  join rethread.backfills b on b.id = x.backfill
  where b.track = 'workspace-sessions' and b.migration = '005_assign_messages'
) w on w.xmin = c.xmin::text
where exists (
    select from pg_catalog.pg_attribute a
    where a.attrelid = 'public.chats'::regclass and a.attname = 'updated_at' and not a.attisdropped
      and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype))
  -- a column of that name may be anything
  and case when to_jsonb(c.*) ->> 'updated_at' ~ E'^\\d{4,}-\\d\\d-\\d\\dT' then (to_jsonb(c.*) ->> 'updated_at')::timestamptz end >= w.started_at
  and c.created_at < w.started_at
order by 1
limit 100
