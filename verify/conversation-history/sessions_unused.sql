--! title: Nothing of the application still leads to chat_sessions, which 007 sets aside
--! fix: Run what is named when the old application is gone, then migrate again. A view that nobody needs any
--!   more can be dropped.
--! level: warn
--! after: 002_keep_both_in_step
--! until: 007_set_sessions_aside
--! gate: 007_set_sessions_aside
--! mutant: create view public.mutant as select id from public.chat_sessions

-- What follows the table into the archive stays with the rows of that day: a foreign key would refuse rows of
-- new conversations and would not see deleted ones, and a view would show nothing new.
select format('foreign key %s of %s', k.conname, k.conrelid::regclass) as object,
  case when k.confkey = array[i.attnum]
    then format('it would refuse rows of new conversations: alter table %1$s drop constraint %2$I, add constraint %2$I %3$s',
      k.conrelid::regclass, k.conname,
      regexp_replace(pg_get_constraintdef(k.oid), ' REFERENCES [^(]+\([^)]*\)', format(' references %s (id)', to_regclass('public.conversations'))))
    else 'it would refuse rows of new conversations, and conversations have no such key: drop it' end as detail
from pg_catalog.pg_constraint k
join pg_catalog.pg_attribute i on i.attrelid = k.confrelid and i.attname = 'id'
where k.contype = 'f' and k.conparentid = 0 and k.confrelid = 'public.chat_sessions'::regclass and k.conrelid <> k.confrelid
union all
select distinct format('%s %s', case c.relkind when 'm' then 'materialized view' else 'view' end, w.ev_class::regclass),
  'it would show nothing new: let it read conversations and messages'
from pg_catalog.pg_depend d
join pg_catalog.pg_rewrite w on w.oid = d.objid
join pg_catalog.pg_class c on c.oid = w.ev_class
where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
  and d.refobjid = 'public.chat_sessions'::regclass and c.relkind in ('v', 'm')
union all
select distinct format('policy %s on %s', p.polname, p.polrelid::regclass),
  'it would ask for sessions that are no longer written: let it ask conversations'
from pg_catalog.pg_depend d
join pg_catalog.pg_policy p on p.oid = d.objid
where d.classid = 'pg_catalog.pg_policy'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
  and d.refobjid = 'public.chat_sessions'::regclass and p.polrelid <> d.refobjid
union all
-- a function names the table in its text; one that only the old application calls goes with that
select distinct 'function ' || f.oid::regprocedure,
  format('%s calls it, and the table that it names will be gone: let it read conversations and messages', pg_describe_object(d.classid, d.objid, 0))
from pg_catalog.pg_class c
join pg_catalog.pg_proc f on f.prosrc ~* ('\m(from|join|into|update)\s+(only\s+)?("?\w+"?\.)?"?' || regexp_replace(c.relname, '(\W)', '\\\1', 'g') || '(?!\w)')
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = f.oid and d.deptype = 'n'
where c.oid = 'public.chat_sessions'::regclass
  and f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  and f.pronamespace is distinct from to_regnamespace('chat_private')::oid
  and d.classid in ('pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_attrdef'::regclass,
    'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_rewrite'::regclass)
  and not exists (select from pg_catalog.pg_trigger t where d.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = d.objid and t.tgrelid = c.oid)
  and not exists (select from pg_catalog.pg_policy p where d.classid = 'pg_catalog.pg_policy'::regclass and p.oid = d.objid and p.polrelid = c.oid)
order by 1
