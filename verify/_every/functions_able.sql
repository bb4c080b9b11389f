--! title: Owners of SECURITY DEFINER functions have the rights to the tables and functions of rethread that these use
--! fix: Run the SQL in the line as an administrator, or give the function back to the role that migrates. Then
--!   run verify with all checks: what was written meanwhile may be missing on the other side.
--! mutant: create schema if not exists chat_private; create table chat_private.mutant_notes (n int); create function chat_private.mutant_note() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin insert into chat_private.mutant_notes values (1); return null; end'; alter function chat_private.mutant_note() owner to authenticated

-- What such a function cannot do with the application's tables it notes in chat_private. Without the rights
-- to that, nobody counts what it has left undone. Its statement does not fail.
with recursive ours as (
  select n.oid, n.nspname as name from pg_catalog.pg_namespace n where n.nspname in ('chat_private', 'rethread_archive')
),
body as materialized (
  select f.oid, f.proname as name, f.proowner as owner, f.prosecdef as definer, f.prosrc as text
  from pg_catalog.pg_proc f
  where f.pronamespace = to_regnamespace('chat_private') and f.prokind = 'f'
),
-- by the names before a parenthesis
calls as materialized (
  select distinct b.oid as caller, c.oid as callee
  from body b
  cross join lateral regexp_matches(b.text, 'chat_private\.([[:alnum:]_]+)\s*\(', 'g') m (word)
  join body c on c.name = m.word[1] and c.oid <> b.oid
),
-- with whose rights each runs: those of its owner, or of the owner of a function that calls it
runs (owner, first, oid) as (
  select b.owner, b.oid, b.oid from body b where b.definer
  union
  select r.owner, r.first, k.callee from runs r join calls k on k.caller = r.oid join body b on b.oid = k.callee and not b.definer
),
wanted as (
  select r.owner, r.first, c.oid as relation, null::oid as function, case split_part(lower(m.said[1]), ' ', 1)
      when 'insert' then 'INSERT' when 'update' then 'UPDATE' when 'delete' then 'DELETE' else 'SELECT' end as right
  from runs r
  join body b on b.oid = r.oid
  cross join lateral regexp_matches(b.text,
    '\m(insert\s+into|update|delete\s+from|from|join|using)\s+(chat_private|rethread_archive)\.([[:alnum:]_]+)(?![[:alnum:]_])', 'gi') m (said)
  join ours o on o.name = lower(m.said[2])
  join pg_catalog.pg_class c on c.relnamespace = o.oid and c.relname = m.said[3] and c.relkind in ('r', 'p', 'v')
  union
  select r.owner, r.first, null, k.callee, 'EXECUTE'
  from runs r
  join calls k on k.caller = r.oid
),
lacking as (
  select w.owner, w.first, format('%s on %s', lower(string_agg(w.right, ', ' order by w.right)), c.oid::regclass) as what
  from wanted w join pg_catalog.pg_class c on c.oid = w.relation
  where not has_table_privilege(w.owner, w.relation, w.right)
    and not (w.right in ('SELECT', 'INSERT', 'UPDATE') and has_any_column_privilege(w.owner, w.relation, w.right))
  group by w.owner, w.first, c.oid
  union all
  select w.owner, w.first, format('execute on function %s', w.function::regprocedure)
  from wanted w where w.function is not null and not has_function_privilege(w.owner, w.function, 'EXECUTE')
  union all
  select distinct w.owner, w.first, format('usage on schema %I', o.name)
  from wanted w
  join ours o on o.oid = coalesce((select c.relnamespace from pg_catalog.pg_class c where c.oid = w.relation), to_regnamespace('chat_private'))
  where not has_schema_privilege(w.owner, o.oid, 'USAGE')
)
select l.first::regprocedure::text as object,
  format('its owner %1$I lacks rights that it uses: %2$s', o.rolname,
    string_agg(format('grant %s to %I', l.what, o.rolname), '; ' order by l.what)) as detail,
  array[format('function chat_private.%I(%s)', f.name, oidvectortypes((select p.proargtypes from pg_catalog.pg_proc p where p.oid = l.first)))] as about
from lacking l
join body f on f.oid = l.first
join pg_catalog.pg_roles o on o.oid = l.owner
group by l.first, f.name, o.rolname
order by 1
