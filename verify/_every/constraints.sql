--! title: Keys, checks and foreign keys exist, are valid, and have the expected definition
--! fix: Add the constraint again as expected, NOT VALID first; then alter table ... validate constraint.
--! expects: constraints

select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated'
    else 'is ' || pg_get_constraintdef(k.oid) || ', should be like ' || w.wanted end as detail
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
cross join jsonb_each_text(t.spec -> 'constraints') as w (name, wanted)
left join pg_catalog.pg_constraint k on k.conrelid = to_regclass(t.name) and k.conname = w.name
where k.conname is null or not k.convalidated or pg_get_constraintdef(k.oid) not like w.wanted
order by 1
