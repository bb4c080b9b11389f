--! title: Nothing depends on chatkit_sessions, which nobody has written for a day or read for six hours
--! fix: Stop or change what is named, and check again later: rethread verify --only chatkit_unused.
--! level: warn
--! until: 019_set_chatkit_aside
--! gate: 019_set_chatkit_aside
--! mutant: create view public.mutant as select iso_agent_id from public.chatkit_sessions

with old as (select to_regclass('public.chatkit_sessions')::oid as oid),
-- functions of the table itself, for example of its triggers or its clean-up, move with it
own as (
  select f.oid, f.proname::text as name from pg_catalog.pg_proc f, old
  where old.oid is not null and f.pronamespace = to_regnamespace('public') and f.prokind in ('f', 'p') and f.proname ilike '%chatkit%'
    and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
),
body as (
  select f.oid, pg_get_functiondef(f.oid) as text from pg_catalog.pg_proc f
  where f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) and f.prokind in ('f', 'p')
),
-- the statistics when 017 was applied, or when somebody recorded them again
before as (
  select (xpath('//at/text()', x.x))[1]::text::float8 as at, (xpath('//reads/text()', x.x))[1]::text::bigint as reads
  from (
    select query_to_xml($$select extract(epoch from r.at) as at, r.reads from chat_private.chatkit_reads r order by r.at desc limit 1$$, true, false, '') as x
    where to_regclass('chat_private.chatkit_reads') is not null
  ) x
),
usage as (
  select to_jsonb(t) as t, t.seq_scan + coalesce(t.idx_scan, 0) as reads, to_jsonb(t) ? 'last_seq_scan' as dated,
    greatest((to_jsonb(t) ->> 'last_seq_scan')::timestamptz, (to_jsonb(t) ->> 'last_idx_scan')::timestamptz) as last_at
  from pg_catalog.pg_stat_user_tables t, old where t.relid = old.oid
)
select format('foreign key %s of %s', k.conname, k.conrelid::regclass) as object, 'leads to chatkit_sessions' as detail
from pg_catalog.pg_constraint k, old where k.contype = 'f' and k.confrelid = old.oid
union all
select distinct 'view ' || w.ev_class::regclass::text, 'reads chatkit_sessions'
from old
join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = old.oid and d.classid = 'pg_rewrite'::regclass
join pg_catalog.pg_rewrite w on w.oid = d.objid and w.ev_class <> old.oid
union all
select distinct format('policy %s on %s', p.polname, p.polrelid::regclass), 'asks chatkit_sessions'
from old
join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = old.oid and d.classid = 'pg_policy'::regclass
join pg_catalog.pg_policy p on p.oid = d.objid and p.polrelid <> old.oid
union all
select 'function ' || f.oid::regprocedure::text, 'names chatkit_sessions'
from body f, old
where old.oid is not null and f.text ilike '%chatkit\_sessions%'
  and not exists (select from own o where o.oid = f.oid)
  and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = old.oid and t.tgfoid = f.oid)
union all
select 'function ' || f.oid::regprocedure::text, format('calls %s', o.name)
from body f join own o on f.text ~ ('\m' || o.name || '\M')
where not exists (select from own x where x.oid = f.oid)
union all
-- views, policies, defaults, triggers of other tables
select distinct pg_describe_object(d.classid, d.objid, 0), format('calls %s', o.name)
from own o
join pg_catalog.pg_depend d on d.refclassid = 'pg_proc'::regclass and d.refobjid = o.oid and d.deptype = 'n' and d.classid <> 'pg_proc'::regclass
cross join old
where not exists (select from pg_catalog.pg_trigger t where d.classid = 'pg_trigger'::regclass and t.oid = d.objid and t.tgrelid = old.oid)
  and not exists (select from pg_catalog.pg_policy p where d.classid = 'pg_policy'::regclass and p.oid = d.objid and p.polrelid = old.oid)
union all
select 'jobs of pg_cron', 'name chatkit: unschedule them'
from old
where old.oid is not null and to_regclass('cron.job') is not null
  and query_to_xml($$select count(*) as n from cron.job j where j.command ilike '%chatkit%'$$, false, true, '')::text ~ '<n>[1-9]'
union all
select 'publication ' || p.pubname, 'sends chatkit_sessions'
from old
join pg_catalog.pg_publication_rel r on r.prrelid = old.oid
join pg_catalog.pg_publication p on p.oid = r.prpubid
union all
-- The table may be gone, so its name is a text; the row itself shows whether it has these columns. A sample
-- of 100 percent is everything, and does not count as a scan in the statistics that the next part reads.
select 'chatkit_sessions', 'is no table: 019 sets a table aside; rename it'
from old
where old.oid is not null and not exists (select from pg_catalog.pg_class c where c.oid = old.oid and c.relkind in ('r', 'p'))
union all
select 'rows of chatkit_sessions', 'written within the last day'
from old
join pg_catalog.pg_class t on t.oid = old.oid
where query_to_xml(case when t.relkind in ('r', 'p') then $$select count(*) as n from public.chatkit_sessions c tablesample system (100)
    cross join lateral (values (to_jsonb(c) ->> 'updated_at'), (to_jsonb(c) ->> 'created_at')) v (at)
    where v.at ~ '^\d{4}-\d\d-\d\d' and v.at::timestamptz > now() - interval '1 day'$$ else 'select 0 as n' end, false, true, '')::text ~ '<n>[1-9]'
union all
-- Backups and copies read it too, so a single day is not enough. Before version 16 the statistics have no
-- time.
select 'reads of chatkit_sessions', case when u.dated
    then format('the last one at %s, within six hours', to_char(u.last_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
    else format('%s since 017, or since they were noted', u.reads - case when u.reads >= b.reads then b.reads else 0 end) end
  || '; stop what reads it, then insert into chat_private.chatkit_reads select * from chat_private.chatkit_usage, and look again later'
from usage u cross join before b
where case when u.dated then u.last_at > greatest(to_timestamp(b.at), now() - interval '6 hours') else u.reads > case when u.reads >= b.reads then b.reads else 0 end end
order by 1
