--! title: Every foreign key of the track has an index that deletions can use
--! fix: Run the statement at the end of the detail. It keeps nobody from writing.
--! level: warn

select k.conrelid::regclass::text || '.' || k.conname as object,
  'no valid index starts with ' || (
    select string_agg(quote_ident(a.attname), ', ' order by x.n)
    from unnest(k.conkey) with ordinality as x (attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.attnum)
  || ': each deletion in ' || k.confrelid::regclass::text || ' reads the whole table. ' || (
    select format('create index concurrently on %I.%I (%s);', s.nspname, c.relname, string_agg(quote_ident(a.attname), ', ' order by x.n))
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace s on s.oid = c.relnamespace
    cross join unnest(k.conkey) with ordinality as x (attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = x.attnum
    where c.oid = k.conrelid
    group by s.nspname, c.relname) as detail,
  array[(select format('constraint %I.%I', s.nspname, c.relname) || '.' || k.conname
    from pg_catalog.pg_class c join pg_catalog.pg_namespace s on s.oid = c.relnamespace where c.oid = k.conrelid)] as about
from pg_catalog.pg_constraint k
where k.contype = 'f'
  and k.conrelid in (select to_regclass(name) from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name))
  and not exists (
    select from pg_catalog.pg_index i
    where i.indrelid = k.conrelid and i.indisvalid
      and (i.indkey::int2[])[0:array_length(k.conkey, 1) - 1] @> k.conkey
      -- rows without a value reference nothing
      and (i.indpred is null or array_length(k.conkey, 1) = 1 and pg_get_expr(i.indpred, i.indrelid) = (
        select '(' || quote_ident(a.attname) || ' IS NOT NULL)'
        from pg_catalog.pg_attribute a where a.attrelid = k.conrelid and a.attnum = k.conkey[1])))
order by 1
