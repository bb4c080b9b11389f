import { expect, test } from 'vitest'
import { contract, rethread, undoAll } from '../support/cli.js'
import { type Database, database, newest, picture, turn } from '../support/database.js'
import { inProcess } from '../support/in_process.js'

/**
 * Whose message it is, and where, is not always what the statement of the application says: triggers of its
 * own fill it in, and the server moves rows from one partition to another. The session is that of the message
 * as it is in the end.
 */

const track = ['--track', 'workspace-sessions']

const ran = async (db: Database, ...line: string[]): Promise<void> => {
  const { code, report } = await rethread(db.url, [...line, ...track])
  expect([line[0], code, report.findings.filter(f => f.level === 'error')]).toEqual([line[0], 0, []])
}

/** The message of this text: where it is, and who reads its session where. */
const placeOf = async (db: Database, message: string) =>
  (
    await db.sql`
      select w.name as at, s.workspace_id is not distinct from c.workspace_id as together,
        s.user_id = c.user_id as own
      from public.chats c
      left join public.workspaces w on w.id = c.workspace_id
      left join public.chat_sessions s on s.id = c.session_id
      where c.message = ${message}`
  )[0]

const found = async (db: Database): Promise<unknown[]> => {
  const { report } = await rethread(db.url, [
    'verify',
    ...track,
    '--only',
    'same_workspace,orphaned_messages,behind,sessions_current',
  ])
  return report.checks.map(c => [c.check, c.outcome, c.found.map(f => f.detail)])
}

const nothing = ['behind', 'orphaned_messages', 'same_workspace', 'sessions_current'].map(c => [
  c,
  'pass',
  [],
])

test.each(turn('triggers'))(
  'a trigger of the application says whose message it is, or where it goes, after ours by name: PostgreSQL $major',
  async server => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`
    create function public.route() returns trigger language plpgsql as $$ begin
      if new.message = 'spam' then return null; end if;
      if tg_op = 'INSERT' then new.user_id := coalesce(new.user_id, md5('user 3')::uuid); end if;
      if new.message like 'for 2%' then new.workspace_id := md5('workspace 2')::uuid; end if;
      if new.message like '%later' then new.created_at := timestamptz '2026-01-01 00:00+00'; end if;
      return new; end $$;
    create trigger zz_route before insert or update on public.chats for each row execute function public.route();
    insert into public.workspaces (id, name, owner_id) values (md5('new room')::uuid, 'New', md5('user 1')::uuid);`)
    const project = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { settings: { legacy_grouping: 'author' }, triggers: 'hold' },
    })
    const migrated = await project.migrate()
    expect([migrated.verdict, migrated.findings.filter(f => f.level === 'error')]).toEqual(['clean', []])
    await db.sql`
    insert into public.chats (workspace_id, user_id, role, message) values
      (md5('workspace 1')::uuid, null, 'user', 'by somebody'),
      (md5('workspace 1')::uuid, md5('user 2')::uuid, 'user', 'for 2'),
      (md5('new room')::uuid, md5('user 2')::uuid, 'user', 'spam'),
      (md5('workspace 1')::uuid, md5('user 2')::uuid, 'user', 'stays')`
    await db.sql`update public.chats set message = 'for 2, later' where message = 'stays'`
    // in the session of its author, which is nobody else's
    expect(await placeOf(db, 'by somebody')).toEqual({ at: 'Workspace 1', together: true, own: true })
    expect(await placeOf(db, 'for 2')).toEqual({ at: 'Workspace 2', together: true, own: true })
    expect(await placeOf(db, 'for 2, later')).toEqual({ at: 'Workspace 2', together: true, own: true })
    // what was kept out has no session
    expect([
      ...(await db.sql`select title from public.chat_sessions where workspace_id = md5('new room')::uuid`),
    ]).toEqual([])
    await project.close()
    expect(await found(db)).toEqual(nothing)
  },
)

test.each(turn('partitions of messages'))(
  'a message that goes to another partition goes to the session of its workspace: PostgreSQL $major',
  async server => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`
    alter table public.chats rename to before_parts;
    create table public.chats (like public.before_parts including defaults) partition by list (workspace_id);
    create table public.chats_one partition of public.chats for values in ('${await idOf(db, 'workspace 1')}');
    create table public.chats_rest partition of public.chats default;
    insert into public.chats select * from public.before_parts; drop table public.before_parts;
    insert into public.chats (workspace_id, user_id, role, message)
    select md5('workspace 1')::uuid, md5('user 1')::uuid, 'user', 'part ' || n from generate_series(1, 4) n`)
    const before = await picture(db.sql)
    await ran(db, 'migrate')
    await db.sql`update public.chats set workspace_id = md5('workspace 2')::uuid where message = 'part 1'`
    await db.sql`update public.chats set workspace_id = null where message = 'part 2'`
    expect(await placeOf(db, 'part 1')).toMatchObject({ at: 'Workspace 2', together: true })
    const [left] = await db.sql`select session_id from public.chats where message = 'part 2'`
    expect(left!.session_id).toBeNull()
    // its first session is brought up to date, whichever partition it goes to
    await db.sql`update public.chats set workspace_id = md5('workspace 2')::uuid, created_at = '2030-01-01' where message = 'part 2'`
    expect(await found(db)).toEqual(nothing)
    await db.sql`update public.chats set workspace_id = null where message = 'part 2'`
    await db.sql`update public.chats set workspace_id = md5('workspace 1')::uuid, created_at = '2030-02-01' where message = 'part 2'`
    expect(await found(db)).toEqual(nothing)
    await db.sql`update public.chats set workspace_id = null where message = 'part 2'`
    // a move that can't have its session at once is left to the backfill
    await db.sql.unsafe(`
      insert into public.workspaces (id, name, owner_id) values (md5('new room')::uuid, 'New', md5('user 1')::uuid);
      create function public.closed() returns trigger language plpgsql as $$ begin raise exception 'closed today'; end $$;
      create trigger closed before insert on public.chat_sessions for each row execute function public.closed();
      update public.chats set workspace_id = md5('new room')::uuid where message = 'part 3';
      drop trigger closed on public.chat_sessions; drop function public.closed()`)
    const [waiting] = await db.sql`select session_id from public.chats where message = 'part 3'`
    expect(waiting!.session_id).toBeNull()
    await ran(db, 'migrate')
    expect(await placeOf(db, 'part 3')).toMatchObject({ at: 'New', together: true })
    expect(await found(db)).toEqual(nothing)
    await ran(db, 'migrate', ...contract)
    await ran(
      db,
      'rollback',
      '--to',
      '010_require_session',
      '--allow',
      'DELETES_DATA,IGNORES_RECENT_WRITES',
      '--confirm',
      db.name,
    )
    await db.sql`update public.chats set workspace_id = md5('workspace 2')::uuid where message = 'part 4'`
    expect(await placeOf(db, 'part 4')).toMatchObject({ at: 'Workspace 2', together: true })
    await ran(db, 'rollback', ...undoAll(db.name))
    const after = await picture(db.sql)
    expect(after.schema).toEqual(before.schema)
  },
)

test.each([['workspace'], ['idle:30m']])(
  'a message that is moved to another workspace between rollback and restore is in no session of the former one: %s',
  async grouping => {
    await using db = await database(newest(), 'workspace-sessions', 50)
    await db.sql`
      insert into public.chats (workspace_id, user_id, role, message)
      select md5('workspace 1')::uuid, md5('user 2')::uuid, 'user', 'part ' || n from generate_series(1, 2) n`
    const project = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { settings: { legacy_grouping: grouping } },
    })
    expect((await project.migrate()).verdict).toBe('clean')
    await db.sql.unsafe(`
      insert into public.chat_sessions (id, workspace_id, user_id, title) values (md5('mine')::uuid, md5('workspace 1')::uuid, md5('user 2')::uuid, 'Mine');
      update public.chats set session_id = md5('mine')::uuid where message = 'part 1'`)
    const back = await project.rollback({
      all: true,
      consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: db.name },
    })
    expect(back.verdict).toBe('clean')
    await db.sql`update public.chats set workspace_id = md5('workspace 2')::uuid where message like 'part _'`
    const again = await project.restore({ archive: 'latest' })
    expect([again.verdict, again.findings.filter(f => f.level === 'error')]).toEqual(['clean', []])
    for (const message of ['part 1', 'part 2'])
      expect(await placeOf(db, message)).toMatchObject({ at: 'Workspace 2', together: true })
    await project.close()
    expect(await found(db)).toEqual(nothing)
  },
)

const idOf = async (db: Database, text: string): Promise<string> =>
  (await db.sql`select md5(${text})::uuid::text as id`)[0]!.id

test('a message that gets its first session late brings it up to date: by a person, by the desk, or by the backfill', async () => {
  await using db = await database(newest(), 'workspace-sessions', 50)
  const room = await idOf(db, 'workspace 1')
  await ran(db, 'migrate')
  const homeless = (message: string, at: string) => db.sql`
    insert into public.chats (workspace_id, user_id, role, message, created_at)
    values (null, md5('user 1')::uuid, 'user', ${message}, ${at})`
  await homeless('by a person', '2030-01-01')
  await db.sql`update public.chats set workspace_id = ${room} where message = 'by a person'`
  expect(await found(db)).toEqual(nothing)
  await homeless('by the desk', '2030-02-01')
  await ran(db, 'migrate')
  await ran(db, 'quarantine', 'assign', '--workspace', room, '--reason', 'it has no workspace')
  expect(await found(db)).toEqual(nothing)
  // one that came past the triggers, in a session that was there before
  await db.sql.unsafe(`
    alter table public.chats disable trigger user;
    insert into public.chats (workspace_id, user_id, role, message, created_at)
    values ('${room}', md5('user 1')::uuid, 'user', 'by the backfill', '2030-03-01');
    alter table public.chats enable trigger user`)
  await ran(db, 'migrate')
  expect(await found(db)).toEqual(nothing)
  const [session] = await db.sql`
    select s.updated_at::text as at from public.chats c join public.chat_sessions s on s.id = c.session_id
    where c.message = 'by the backfill'`
  expect(session!.at).toMatch(/^2030-03-01/)
  // and then there is nothing left to do
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  expect((await project.migrate()).findings.map(f => f.code)).toContain('NOTHING_TO_DO')
  await project.close()
})
