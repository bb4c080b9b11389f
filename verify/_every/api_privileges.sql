--! title: Nothing gives access to the tables past their policies: TRUNCATE, foreign keys, default privileges, publications
--! level: warn
--! fix: revoke truncate, references, trigger on ... from anon, authenticated; alter default privileges ... revoke;
--!   alter publication ... set table, with the tables that are meant.
--! mutant: alter default privileges in schema chat_private grant select on tables to anon

select c.oid::regclass::text as object,
  format('%s may %s, which no policy stops', string_agg(distinct a.rolname, ' and '), string_agg(distinct w.privilege, ', ')) as detail,
  array[format('grants %I.%I', s.nspname, c.relname)] as about
from jsonb_array_elements_text(current_setting('rethread.named')::jsonb) as n (name)
join pg_catalog.pg_class c on c.oid = to_regclass(n.name) and c.relkind in ('r', 'p') and c.relrowsecurity
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
cross join pg_catalog.pg_roles a
cross join (values ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) as w (privilege)
where a.rolname in ('anon', 'authenticated') and has_table_privilege(a.oid, c.oid, w.privilege)
  and has_schema_privilege(a.oid, c.relnamespace, 'USAGE')
group by c.oid, c.relname, s.nspname
union all
select 'default privileges in ' || s.nspname,
  format('%s will have %s on every %s that %I makes there', coalesce(a.rolname, 'public'), string_agg(x.privilege_type, ', '),
    case d.defaclobjtype when 'r' then 'table' when 'S' then 'sequence' when 'f' then 'function' else 'object' end, pg_get_userbyid(d.defaclrole)),
  array[]::text[]
from pg_catalog.pg_default_acl d
join pg_catalog.pg_namespace s on s.oid = d.defaclnamespace and s.nspname in ('chat_private', 'rethread', 'rethread_archive')
cross join lateral aclexplode(d.defaclacl) x
left join pg_catalog.pg_roles a on a.oid = x.grantee
where x.grantee = 0 or a.rolname in ('anon', 'authenticated')
group by s.nspname, a.rolname, d.defaclobjtype, d.defaclrole
union all
select 'publication ' || p.pubname,
  'sends every table, what was archived or set aside and the internal tables included',
  array['publication ' || p.pubname]
from pg_catalog.pg_publication p
where p.puballtables
union all
select 'publication ' || p.pubname, format('sends %s', string_agg(format('%I.%I', t.schemaname, t.tablename), ', ')), array['publication ' || p.pubname]
from pg_catalog.pg_publication p
join pg_catalog.pg_publication_tables t on t.pubname = p.pubname and t.schemaname in ('chat_private', 'rethread', 'rethread_archive')
where not p.puballtables
group by p.pubname
order by 1
