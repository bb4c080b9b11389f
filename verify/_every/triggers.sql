--! title: The triggers exist, and are enabled
--! fix: alter table ... enable trigger the one that is named, or create it again from its migration; then run
--!   rethread backfill.
--! expects: triggers

select w.name as object, case when g.tgname is null then 'missing' else 'is disabled' end as detail
from jsonb_array_elements(current_setting('rethread.expected')::jsonb) as e (entry)
cross join jsonb_each(e.entry -> 'tables') as t (name, spec)
cross join jsonb_array_elements_text(t.spec -> 'triggers') as w (name)
left join pg_catalog.pg_trigger g on g.tgrelid = to_regclass(t.name) and g.tgname = w.name and not g.tgisinternal
where g.tgname is null or g.tgenabled not in ('O', 'A')
order by 1
