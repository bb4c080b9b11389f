-- fault
alter function public.touch_chat_session(uuid) reset search_path;
-- fix
alter function public.touch_chat_session(uuid) set search_path = pg_catalog, pg_temp;
-- fault
grant execute on function public.touch_chat_session(uuid) to public;
-- fix
revoke execute on function public.touch_chat_session(uuid) from public;
-- fault
alter function public.touch_chat_session(uuid) rename to renamed;
