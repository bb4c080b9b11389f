--! title: No policy admits everybody, applies to every role, or trusts data that users can write themselves
--! fix: alter policy ... to authenticated, with a condition that compares the row with (select auth.uid());
--!   or drop it.

select p.polrelid::regclass::text || ' ' || p.polname as object,
  concat_ws('; ',
    case when 0 = any (p.polroles) then 'has no TO clause, so it applies to every role, anon included' end,
    case when p.polpermissive and pg_get_expr(p.polqual, p.polrelid) in ('true', '(true)') and not r.trusted
      then 'USING (true) lets everybody reach every row' end,
    case when p.polpermissive and pg_get_expr(p.polwithcheck, p.polrelid) in ('true', '(true)') and not r.trusted
      then 'WITH CHECK (true) lets everybody write any row' end,
    case when coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') ~ 'user_metadata'
      then 'trusts user_metadata, which users can change' end) as detail,
  array[format('policy %I.%I', s.nspname, c.relname) || '.' || p.polname] as about
from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
join pg_catalog.pg_policy p on p.polrelid = to_regclass(n.name)
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
cross join lateral (
  select bool_and(o <> 0 and (select a.rolbypassrls or a.rolsuper from pg_catalog.pg_roles a where a.oid = o)) as trusted
  from unnest(p.polroles) o
) r
where 0 = any (p.polroles)
  or p.polpermissive and not r.trusted
    and ('true' in (pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)))
  or coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') ~ 'user_metadata'
order by 1
