--! title: Nothing depends on chatkit_sessions, and nobody has written to it for a day
--! level: warn
--! until: 019_set_chatkit_aside
--! gate: 019_set_chatkit_aside
--! mutant: create view public.mutant as select iso_agent_id from public.chatkit_sessions

with old as (select to_regclass('public.chatkit_sessions')::oid as oid)
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
from pg_catalog.pg_proc f, old
where old.oid is not null and f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  and f.prokind in ('f', 'p') and f.prosrc ilike '%chatkit\_sessions%'
  and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = old.oid and t.tgfoid = f.oid)
union all
select 'publication ' || p.pubname, 'sends chatkit_sessions'
from old
join pg_catalog.pg_publication_rel r on r.prrelid = old.oid
join pg_catalog.pg_publication p on p.oid = r.prpubid
union all
-- the table may be gone, so it is asked by name; whether it has updated_at is seen from the row itself
select 'rows of chatkit_sessions', 'written within the last day'
from old
where old.oid is not null
  and query_to_xml($$select count(*) as n from public.chatkit_sessions c
    where (to_jsonb(c) ->> 'updated_at')::timestamptz > now() - interval '1 day'$$, false, true, '')::text ~ '<n>[1-9]'
order by 1
