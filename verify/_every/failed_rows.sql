--! title: No row failed in a backfill
--! fix: Remove the cause that the reason gives, then run rethread backfill: it tries these rows again.
--! mutant: insert into rethread_archive.failed_rows (track, migration, relation, key, sqlstate, reason)
--!   select distinct b.track, b.migration, 'public.mutant', 'mutant', 'P0001', 'a mutant' from rethread.ledger b

-- Quarantined rows have a reason. Failed rows have none, and wait in their table for the next run.
select concat_ws(' ', f.migration, f.sqlstate, f.reason) as object,
  format('rows of %s that failed and are still to do: %s, such as %s', min(f.relation), count(*), min(f.key)) as detail
from jsonb_to_recordset(coalesce(nullif(current_setting('rethread.failed', true), ''), '[]')::jsonb)
  as f (migration text, relation text, key text, sqlstate text, reason text)
group by f.migration, f.sqlstate, f.reason
order by 1
