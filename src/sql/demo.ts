import type { Root } from './types.js'

/** Fills an empty database with the demo's fixture. */
export async function fillDemo(
  sql: Root,
  fixture: { shim: string; before: string; messages: number },
): Promise<void> {
  await sql.unsafe(
    `set client_min_messages = warning; set synchronous_commit = off; set demo.messages = ${fixture.messages}`,
  )
  await sql.unsafe(fixture.shim)
  await sql.unsafe(fixture.before)
}

/** Counts that tell how large the demo's database is. */
export async function demoSize(sql: Root): Promise<{ messages: number; workspaces: number; users: number }> {
  const [row] = await sql<{ messages: number; workspaces: number; users: number }[]>`
    select
      (select count(*)::int from public.chats) as messages,
      (select count(*)::int from public.workspaces) as workspaces,
      (select count(*)::int from auth.users) as users`
  return row!
}

/** What a new application does: opens a session of its own and talks in it; and one person renames a legacy session. */
export async function liveALittle(sql: Root): Promise<void> {
  await sql.unsafe(`
    with room as (select w.id, w.owner_id from public.workspaces w where w.owner_id is not null order by w.id limit 3),
    made as (
      insert into public.chat_sessions (workspace_id, user_id, title)
      select id, owner_id, 'A fresh start' from room returning id, workspace_id, user_id
    )
    insert into public.chats (workspace_id, user_id, role, message, session_id)
    select m.workspace_id, m.user_id, 'user', 'A first message in a session of its own', m.id
    from made m cross join generate_series(1, 4);
    update public.chat_sessions set title = 'Everything before spring'
    where id = (select id from public.chat_sessions where title = 'Legacy Chat' order by id limit 1);`)
}

/** What an old application does: it writes a message and knows nothing of sessions. */
export async function oldAppWrites(sql: Root): Promise<{ withSession: boolean }> {
  const [row] = await sql<{ withSession: boolean }[]>`
    with room as (select id, owner_id from public.workspaces where owner_id is not null order by id desc limit 1)
    insert into public.chats (workspace_id, user_id, role, message)
    select id, owner_id, 'user', 'Written by the old application' from room
    returning to_jsonb(chats) ->> 'session_id' is not null as "withSession"`
  return row!
}
