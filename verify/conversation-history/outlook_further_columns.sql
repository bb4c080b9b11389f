--! title: Columns of chat_sessions that conversations do not have
--! kind: outlook
--! level: warn
--! with: tenants

-- A generated column follows from others, and one without a value in any row says nothing.
with further as (
  select a.attname, a.attnum from pg_catalog.pg_attribute a
  where a.attrelid = 'public.chat_sessions'::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and not (a.attname = 'id' or a.attname = 'tenant_id' or a.attname = 'user_id' or a.attname = 'title' or a.attname = 'messages'
      or a.attname = 'metadata' or a.attname = 'created_at' or a.attname = 'updated_at')
),
counted as (
  select query_to_xml(format('select %s from %s', string_agg(format('count(%I) as c%s', f.attname, f.attnum), ', '),
    'public.chat_sessions'::regclass), true, false, '') as x
  from further f having count(*) > 0
),
filled as (
  select f.attname, f.attnum, (xpath(format('//c%s/text()', f.attnum), c.x))[1]::text::bigint as n from further f cross join counted c
)
select 'further columns of sessions' as object,
  format('%s: conversations will not have them. If one hides sessions or the new application needs it, copy it (docs/tracks.md#further-columns)',
    string_agg(format('%s (rows with a value: %s)', f.attname, f.n), ', ' order by f.attnum)) as detail
from filled f
where f.n > 0
having count(*) > 0
order by 1
