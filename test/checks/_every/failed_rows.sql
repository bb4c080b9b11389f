-- fault
select set_config('rethread.failed', '[{"migration": "005_assign_messages", "relation": "public.chats", "key": "4711", "sqlstate": "P0001", "reason": "append-only"}]', true);
-- fix
select set_config('rethread.failed', '[]', true);
-- fault
select set_config('rethread.failed', '[{"migration": "005_assign_messages", "relation": "public.chats", "key": "4711", "sqlstate": null, "reason": "unchanged after the update"}]', true);
-- fix
select set_config('rethread.failed', '', true);
