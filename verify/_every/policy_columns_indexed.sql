--! title: Every column by which a policy finds rows is the first of an index
--! fix: Run the statement at the end of the detail. It keeps nobody from writing.
--! level: warn

select c.oid::regclass::text || '.' || a.attname as object,
  'policy ' || string_agg(p.polname, ', ' order by p.polname) || ' compares it, and no valid index starts with it. '
    || format('create index concurrently on %I.%I (%I);', s.nspname, c.relname, a.attname) as detail,
  array_agg(format('policy %I.%I', s.nspname, c.relname) || '.' || p.polname) as about
from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
join pg_catalog.pg_class c on c.oid = to_regclass(n.name)
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
join pg_catalog.pg_policy p on p.polrelid = c.oid and p.polcmd in ('r', 'w', 'd', '*')
-- the server records which columns a policy reads
join pg_catalog.pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
  and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid > 0
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
-- a column that only WITH CHECK reads does not select rows
where pg_get_expr(p.polqual, p.polrelid) ~ ('\m' || a.attname || '\M')
  and not exists (
    select from pg_catalog.pg_index i
    where i.indrelid = c.oid and i.indisvalid and i.indkey[0] = a.attnum and i.indpred is null)
group by c.oid, s.nspname, c.relname, a.attname
order by 1
