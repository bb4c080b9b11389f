--! title: authenticated and service_role may use the tables, anon may not
--! after: 017_create_chat_sessions

select r.role || ' on ' || t.name as object,
  case when r.wanted then 'lacks ' else 'has ' end || p.privilege as detail
from unnest(array['chat_sessions']) as t (name)
cross join (values ('authenticated', true), ('service_role', true), ('anon', false)) as r (role, wanted)
cross join unnest(array['select', 'insert', 'update', 'delete']) as p (privilege)
where to_regclass('public.' || t.name) is not null
  and (has_table_privilege(r.role, 'public.' || t.name, p.privilege)
    or p.privilege = 'select' and r.role = 'authenticated' and has_any_column_privilege(r.role, 'public.' || t.name, 'select')) <> r.wanted
order by 1, 2
