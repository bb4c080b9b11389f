import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect } from 'vitest'
import { type Database, database, inTurn, open, root, servers } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

/**
 * A session's temporary schema is searched first for types unless the search_path names it, also where that
 * is empty. Whoever may write one row and make a temporary domain called `uuid` would have its CHECK run with
 * the rights of a function that names the type.
 */
const trap = (role: string): string => `
  create function pg_temp.took(v anyelement) returns boolean language plpgsql as $took$
  begin
    if current_user <> '${role}' then perform pg_catalog.nextval('public.taken'); end if;
    return true;
  end
  $took$;
  do $trap$
  declare
    t pg_catalog.name;
  begin
    for t in
      select typname from pg_catalog.pg_type
      where typnamespace = 'pg_catalog'::pg_catalog.regnamespace and typtype = 'b' and typelem = 0 and typname !~ '^_'
    loop
      execute pg_catalog.format('create domain pg_temp.%1$I as pg_catalog.%1$I check (pg_temp.took(value))', t);
    end loop;
  end
  $trap$`

/** What both applications send, and accounts that are deleted. */
const work = (track: string): string[] => [
  ...['old', 'new'].map(app => readFileSync(join(root, `examples/${track}/${app}_app.sql`), 'utf8')),
  ...(track === 'trip-sessions' ? [] : ["delete from auth.users where email ~ '^person[1-4]@'"]),
]

describe.each(servers())('temporary types of whoever writes, on PostgreSQL $major', server => {
  const test = inTurn(server)

  const writer = `writer_${randomBytes(4).toString('hex')}`

  afterAll(async () => {
    const sql = open(server.url, 1)
    await sql.unsafe(`drop role if exists ${writer}`)
    await sql.end()
  })

  /** Whether code of the writer has run with the rights of somebody else. */
  const taken = async (db: Database) =>
    (await db.sql<{ is_called: boolean }[]>`select is_called from public.taken`)[0]!.is_called

  /** Lets a session of the writer's own send texts, once the trap is laid in it. */
  async function asWriter(db: Database, texts: string[]): Promise<void> {
    const session = open(db.url, 1)
    try {
      await session.unsafe(`set demo.writes = 100; set role ${writer}; ${trap(writer)}`)
      for (const text of texts) await session.unsafe(text)
    } finally {
      await session.end()
    }
  }

  async function prepared(track: string): Promise<Database> {
    const db = await database(server, track, 200)
    await db.sql.unsafe(`
      create sequence public.taken;
      do $$ begin create role ${writer} bypassrls; exception when duplicate_object then null; end $$`)
    return db
  }

  /** The rights of an application on all that is there. */
  const grant = (db: Database) =>
    db.sql.unsafe(`
      grant usage on schema auth, chat_private to ${writer};
      grant all on all tables in schema public, auth to ${writer};
      grant execute on all functions in schema public to ${writer}`)

  test('a function with its owner’s rights and an empty search_path falls into the trap', async () => {
    await using db = await prepared('empty')
    await db.sql.unsafe(`
      create function public.half_safe(a text) returns uuid language plpgsql security definer set search_path = ''
      as $$ begin return a::uuid; end $$`)
    await asWriter(db, [`select public.half_safe('00000000-0000-4000-8000-000000000001')`])
    expect(await taken(db)).toBe(true)
    await db.sql.unsafe(`drop owned by ${writer} cascade`)
  })

  test.each([
    'workspace-sessions',
    'conversation-history',
    'trip-sessions',
    'helper-chats',
    'codebase-sessions',
  ])('%s: none is used by a function of the track', async track => {
    await using db = await prepared(track)
    const project = await inProcess(db.url, { track })
    expect((await said(project.migrate())).findings.filter(f => f.level === 'error')).toEqual([])
    await grant(db)
    await asWriter(db, work(track))
    expect(await taken(db)).toBe(false)
    // nor by one that nothing of the above has fired
    const open = await db.sql<{ name: string }[]>`
      select f.oid::regprocedure::text as name from pg_proc f
      where f.pronamespace in ('chat_private'::regnamespace, 'public'::regnamespace, 'rethread_archive'::regnamespace)
        and (f.prosecdef or f.prorettype = 'trigger'::regtype and f.pronamespace <> 'public'::regnamespace)
        and not coalesce('search_path=pg_catalog, pg_temp' = any (f.proconfig), false)`
    expect(open.map(f => f.name)).toEqual([])
    await db.sql.unsafe(`drop owned by ${writer} cascade`)
  })

  test('nor could it be by the one that captures what is written while a rollback archives', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(project.migrate({ to: '005_assign_messages' }))).verdict).toBe('clean')
    await db.sql`
      with s as (
        insert into public.chat_sessions (workspace_id, user_id) select id, owner_id from public.workspaces where owner_id is not null limit 1
        returning id, workspace_id, user_id)
      insert into public.chats (workspace_id, user_id, message, session_id) select workspace_id, user_id, 'x', id from s`
    // a reader, whom the rollback waits for with its capture attached
    const holder = open(db.url, 1)
    await holder.unsafe('begin; select from public.chats limit 1')
    const ends = project.rollback({
      all: true,
      consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: db.name },
    })
    const paths = async () =>
      (
        await db.sql<{ path: string }[]>`
          select array_to_string(f.proconfig, '; ') as path from pg_trigger t join pg_proc f on f.oid = t.tgfoid
          where t.tgname like 'rethread_capture%'`
      ).map(f => f.path)
    await expect
      .poll(paths, { timeout: 20_000, interval: 10 })
      .toEqual(['search_path=pg_catalog, pg_temp; row_security=off'])
    await holder.unsafe('rollback')
    await holder.end()
    expect((await said(ends)).findings.filter(f => f.level === 'error')).toEqual([])
  })
})
