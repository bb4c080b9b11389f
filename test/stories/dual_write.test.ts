import { describe, expect, test } from 'vitest'
import type { Report } from '../../src/index.js'
import { counts } from '../../src/model/report.js'
import { contract, contractWith, rethread, undoAll } from '../support/cli.js'
import { type Database, database, inTurn, open, picture, servers, turn } from '../support/database.js'
import { inProcess } from '../support/in_process.js'
import { random as randomFrom, seed } from '../support/random.js'

/**
 * What the triggers of workspace-sessions, helper-chats and codebase-sessions do while applications write:
 * they fail no statement, let nobody into another's session, keep times and previews true, and keep the
 * messages of people whose accounts stand when somebody else's account is deleted.
 */

const migrated = async (db: Database, track: string, ...flags: string[]): Promise<void> => {
  const up = await rethread(db.url, ['migrate', '--track', track, ...flags])
  expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
}

/** What these checks found, as text. */
const found = async (db: Database, track: string, only: string): Promise<string[]> => {
  const ran = await rethread(db.url, ['verify', '--track', track, '--only', only])
  const checks = ran.report.checks
  expect(checks.map(c => [c.check, c.outcome]).filter(([, o]) => o !== 'pass' && o !== 'found')).toEqual([])
  return checks.flatMap(c => c.found.map(f => `${c.check}: ${f.object}`))
}

/** Sends statements as a user of the API, under the policies. */
const as = (db: Database, user: string, statements: string): Promise<unknown> =>
  db.sql.begin(async tx => {
    await tx.unsafe('set local role authenticated')
    await tx`select set_config('request.jwt.claims', ${JSON.stringify({ sub: user, role: 'authenticated' })}, true)`
    return tx.unsafe(statements)
  })

interface Room {
  workspace: string
  owner: string
  first: string
  second: string
}

/** A workspace of a new owner's, with two members whose messages the old application writes. */
async function room(db: Database, owned = true): Promise<Room> {
  const [row] = await db.sql`
    with people as (
      insert into auth.users (id) select gen_random_uuid() from generate_series(1, 3) returning id
    ), ids as (select array_agg(id) as id from people)
    select id[1] as owner, id[2] as first, id[3] as second from ids`
  const { owner, first, second } = row as unknown as Room
  const [made] =
    await db.sql`insert into public.workspaces (name, owner_id) values ('A new one', ${owned ? owner : null}) returning id`
  const at = { workspace: made!.id as string, owner, first, second }
  for (const author of [first, second, second]) await says(db, at.workspace, author, `said by ${author}`)
  return at
}

const says = (db: Database, workspace: string, author: string | null, message: string) =>
  db.sql`insert into public.chats (workspace_id, user_id, role, message) values (${workspace}, ${author}, 'user', ${message})`

const messagesOf = async (db: Database, workspace: string): Promise<number> =>
  (
    await db.sql<
      { n: number }[]
    >`select count(*)::int as n from public.chats where workspace_id = ${workspace}`
  )[0]!.n

const ownersOf = async (db: Database, workspace: string): Promise<string[]> =>
  (
    await db.sql<
      { id: string }[]
    >`select user_id as id from public.chat_sessions where workspace_id = ${workspace}`
  ).map(r => r.id)

const leaves = (db: Database, account: string) => db.sql`delete from auth.users where id = ${account}`

describe.each(servers())('accounts that are deleted, on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a legacy session goes to the workspace’s owner, then to whoever is left; no message of theirs is lost', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await migrated(db, 'workspace-sessions', '--phase', 'expand')
    const early = await room(db)
    await leaves(db, early.first)
    expect([await messagesOf(db, early.workspace), await ownersOf(db, early.workspace)]).toEqual([
      3,
      [early.owner],
    ])
    await migrated(db, 'workspace-sessions')
    const late = await room(db)
    await leaves(db, late.first)
    expect([await messagesOf(db, late.workspace), await ownersOf(db, late.workspace)]).toEqual([
      3,
      [late.owner],
    ])
    const ownerless = await room(db, false)
    await leaves(db, ownerless.first)
    expect([await messagesOf(db, ownerless.workspace), await ownersOf(db, ownerless.workspace)]).toEqual([
      3,
      [ownerless.second],
    ])
    // nobody is left: the old application keeps what it would have kept without sessions
    await leaves(db, ownerless.second)
    expect([await messagesOf(db, ownerless.workspace), await ownersOf(db, ownerless.workspace)]).toEqual([
      3,
      [],
    ])
    // the owner's account takes the workspace along: that is the application's own rule
    const gone = await room(db)
    await db.sql.unsafe(`
      create table public.seen (changed boolean, session uuid);
      create function public.see() returns trigger language plpgsql as $$ begin
        insert into public.seen values (to_jsonb(old) - 'session_id' is distinct from to_jsonb(new) - 'session_id', new.session_id); return null; end $$;
      create trigger see after update on public.chats for each row execute function public.see()`)
    await leaves(db, gone.owner)
    // one update more for each of its messages, of our column alone: docs/tracks.md
    expect([...(await db.sql`select * from public.seen`)]).toEqual(
      Array(3).fill({ changed: false, session: null }),
    )
    expect([await messagesOf(db, gone.workspace), await ownersOf(db, gone.workspace)]).toEqual([3, []])
    await db.sql`truncate public.seen`
    await db.sql`update public.chats set workspace_id = ${early.workspace} where workspace_id = ${late.workspace}`
    expect([
      ...(await db.sql`select changed, count(*)::int as n from public.seen group by 1 order by 1`),
    ]).toEqual([
      { changed: false, n: 3 },
      { changed: true, n: 3 },
    ])
    expect(
      await found(db, 'workspace-sessions', 'foreign_keys_true,same_workspace,legacy_session_per_workspace'),
    ).toEqual([])
  })

  test('after contract too; a session of one’s own goes with its account, and a session that is deleted with its messages', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await migrated(db, 'workspace-sessions')
    const at = await room(db)
    await migrated(db, 'workspace-sessions', ...contract)
    await leaves(db, at.first)
    expect([await messagesOf(db, at.workspace), await ownersOf(db, at.workspace)]).toEqual([3, [at.owner]])
    const [own] =
      await db.sql`insert into public.chat_sessions (workspace_id, user_id) values (${at.workspace}, ${at.second}) returning id`
    await db.sql`insert into public.chats (workspace_id, user_id, message, session_id) values (${at.workspace}, ${at.second}, 'mine', ${own!.id}), (${at.workspace}, null, 'an answer', ${own!.id})`
    await leaves(db, at.second)
    expect([await messagesOf(db, at.workspace), await ownersOf(db, at.workspace)]).toEqual([3, [at.owner]])
    await db.sql`delete from public.chat_sessions where workspace_id = ${at.workspace}`
    expect(await messagesOf(db, at.workspace)).toBe(0)
    // a workspace takes its sessions along, and no longer lets their messages behind
    const [other] =
      await db.sql`select workspace_id as id from public.chats group by 1 order by count(*) desc limit 1`
    await db.sql`delete from public.workspaces where id = ${other!.id}`
    expect(await messagesOf(db, other!.id)).toBe(0)
  })

  test.each([
    ['finds nothing under an empty path', ''],
    [
      'leaves messages as they are',
      `if current_setting('search_path') not like '%public%' then return null; end if;`,
    ],
  ])('a trigger of the application that %s fails no deletion and costs no message', async (_, refuses) => {
    await using db = await database(server, 'workspace-sessions', 300)
    await migrated(db, 'workspace-sessions', ...contract, '--to', '006')
    const [{ id, n }] = (await db.sql`
      select workspace_id as id, count(*)::int as n from public.chats where session_id is not null group by 1 order by 2 desc, 1 limit 1`) as unknown as [
      { id: string; n: number },
    ]
    await db.sql.unsafe(`
      create table public.seen (chat uuid);
      create function public.see() returns trigger language plpgsql as $$ begin ${refuses} insert into seen values (new.id); return new; end $$;
      create trigger see before update on public.chats for each row execute function public.see();
      grant create on schema public to anon`)
    await db.sql`delete from public.workspaces where id = ${id}`
    expect([await messagesOf(db, id), (await ownersOf(db, id)).length]).toEqual([n, 1])
    const [kept] = await db.sql`select id from public.chat_sessions where workspace_id = ${id}`
    expect(await found(db, 'workspace-sessions', 'behind')).toEqual([`behind: ${kept!.id}`])
    const goes = ['migrate', '--track', 'workspace-sessions', '--phase', 'contract', '--allow']
    const allowed = 'ENDS_OLD_APP,QUARANTINES_ROWS,IGNORES_DRIFT,FIRES_TRIGGERS'
    const gated = await rethread(db.url, [...goes, allowed])
    const gate = gated.report.findings.find(f => f.code === 'GATE')
    expect([gated.code, gate?.subject]).toEqual([1, '009_set_aside_unassigned'])
    // what the check says
    await db.sql.unsafe(
      `alter function public.see() set search_path = public; delete from public.chat_sessions where id = '${kept!.id}'`,
    )
    expect([await messagesOf(db, id), await ownersOf(db, id)]).toEqual([n, []])
    expect((await db.sql`select count(*)::int as n from public.seen`)[0]!.n).toBe(n)
    expect(await found(db, 'workspace-sessions', 'behind')).toEqual([])
    // where nobody else may create in its schema, such a trigger finds everything
    await db.sql`alter function public.see() reset search_path`
    await db.sql`revoke create on schema public from anon`
    const [next] = await db.sql`
      select workspace_id as id, count(*)::int as n from public.chats where session_id is not null group by 1 order by 2 desc, 1 limit 1`
    await db.sql`delete from public.workspaces where id = ${next!.id}`
    expect([await messagesOf(db, next!.id), await ownersOf(db, next!.id)]).toEqual([next!.n, []])
    expect((await db.sql`select count(*)::int as n from public.seen`)[0]!.n).toBe(n + next!.n)
    expect(await found(db, 'workspace-sessions', 'behind')).toEqual([])
  })

  test('helper-chats: a project that goes with its owner’s account leaves the chats of others', async () => {
    await using db = await database(server, 'helper-chats', 100)
    await migrated(db, 'helper-chats')
    const [p] =
      await db.sql`select id, user_id as owner from public.projects where user_id is not null order by id limit 1`
    const [other] = await db.sql`select id from auth.users where id <> ${p!.owner} order by id limit 1`
    for (const user of [p!.owner, other!.id]) {
      const [s] =
        await db.sql`insert into public.chat_sessions (user_id, project_id, helper) values (${user}, ${p!.id}, 'planner') returning id`
      await db.sql`insert into public.chat_messages (session_id, role, content) values (${s!.id}, 'user', 'hello')`
    }
    await leaves(db, p!.owner)
    expect([
      ...(await db.sql`select s.user_id, s.project_id, m.content from public.chat_sessions s join public.chat_messages m on m.session_id = s.id`),
    ]).toEqual([{ user_id: other!.id, project_id: null, content: 'hello' }])
    expect(await found(db, 'helper-chats', 'no_orphans,sessions_current')).toEqual([])
  })

  test.each([`raise exception 'a chat stays with its project'`, 'return null'])(
    'helper-chats: chats of others that a trigger of the application holds fast (%s) come back: at once with their messages, or with the next run',
    async how => {
      await using db = await database(server, 'helper-chats', 20)
      const project = await inProcess(db.url, { track: 'helper-chats' })
      const faults = (report: Report) =>
        report.findings.filter(f => f.level === 'error' || f.level === 'refused')
      expect(faults(await project.migrate())).toEqual([])
      const holdFast = `
      create function public.hold_fast() returns trigger language plpgsql as $$ begin ${how}; end $$;
      create trigger hold_fast before update of project_id on public.chat_sessions for each row execute function public.hold_fast();`
      const [p] =
        await db.sql`select id, user_id as owner from public.projects where user_id is not null order by id limit 1`
      const [other] = await db.sql`select id from auth.users where id <> ${p!.owner} order by id limit 1`
      await db.sql.unsafe(`
      insert into public.chat_sessions (id, user_id, project_id, helper) select md5('chat of ' || u)::uuid, u::uuid, '${p!.id}', 'planner' from unnest(array['${p!.owner}', '${other!.id}']) u;
      insert into public.chat_sessions (id, user_id, project_id, helper) values (md5('silent')::uuid, '${other!.id}', '${p!.id}', 'planner');
      insert into public.chat_messages (session_id, role, content, created_at)
      select s.id, 'user', 'said ' || k, now() + k * interval '1 s' from public.chat_sessions s, generate_series(1, 3) k where s.project_id = '${p!.id}' and s.id <> md5('silent')::uuid;
      alter table public.chat_sessions add column "Its size" int generated always as (length(title)) stored, add column no bigint generated always as identity;
      alter table public.chat_messages add column loud text generated always as (upper(content)) stored,
        add column raw json, add column odd jsonb[], add column late interval, add column back timestamptz;
      update public.chat_messages set tool_calls = 'null', raw = '{"a": 1,  "a": ["\\u0000"]}', odd = array[null, 'null'::jsonb],
        late = '1 mon -3 days', back = 'infinity' where content <> 'said 2';
      ${holdFast}`)
      const look = () =>
        db.sql`select to_jsonb(s) - 'project_id' as s, array(
          select row(m.id, m.role, m.content, m.tool_calls, m.search_results, m.created_at, m.loud, m.raw, m.odd, m.late, m.back)::text
          from public.chat_messages m where m.session_id = s.id order by m.id) as m
        from public.chat_sessions s where s.user_id = ${other!.id} order by s.last_message_at nulls last`
      const before = await look()
      expect(before).toHaveLength(2)
      await leaves(db, p!.owner)
      expect(await look()).toEqual(before.slice(0, 1))
      const noted = await project.verify({ only: ['behind'] })
      expect(noted.checks.flatMap(c => c.found.map(f => f.object))).toEqual([before[1]!.s.id])
      await db.sql`drop trigger hold_fast on public.chat_sessions`
      await db.sql`drop function public.hold_fast`
      await db.sql`alter table public.chat_messages add column tag text not null default 'none'`
      const again = await project.migrate({ consent: { allow: ['IGNORES_DRIFT'] } })
      expect(faults(again)).toEqual([])
      expect(await look()).toEqual(before)
      expect((await project.verify({ only: ['behind', 'sessions_current', 'no_orphans'] })).verdict).toBe(
        'clean',
      )
      // whose account goes, takes their chats along wherever they are
      const kept = async () => (await db.sql`select count(*)::int as n from chat_private.kept_chats`)[0]!.n
      await db.sql.unsafe(`${holdFast}
      insert into public.projects (id, name) values (md5('last')::uuid, 'last');
      insert into public.chat_sessions (user_id, project_id, helper) values ('${other!.id}', md5('last')::uuid, 'planner');
      delete from public.projects where id = md5('last')::uuid`)
      expect(await kept()).toBe(1)
      await leaves(db, other!.id)
      expect(await kept()).toBe(0)
    },
  )
})

describe.each(turn('sessions of others'))('sessions of others, on PostgreSQL $major', server => {
  test('an old policy that knows no sessions lets nobody into another’s, from expand on', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await db.sql.unsafe(`
      alter table public.chats enable row level security;
      create policy chats_own on public.chats to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()))`)
    await migrated(db, 'workspace-sessions', '--phase', 'expand', '--allow', 'SHOWS_ROWS')
    const at = await room(db)
    const [theirs] =
      await db.sql`insert into public.chat_sessions (workspace_id, user_id) values (${at.workspace}, ${at.second}) returning id`
    const [elsewhere] = await db.sql`
      with w as (insert into public.workspaces (name, owner_id) values ('elsewhere', ${at.first}) returning id, owner_id)
      insert into public.chat_sessions (workspace_id, user_id) select id, owner_id from w returning id`
    const [own] =
      await db.sql`insert into public.chat_sessions (workspace_id, user_id) values (${at.workspace}, ${at.first}) returning id`
    const into = (session: string) =>
      `insert into public.chats (workspace_id, user_id, message, session_id) values ('${at.workspace}', '${at.first}', 'in', '${session}')`
    const move = (session: string) =>
      `update public.chats set session_id = '${session}' where message = 'said by ${at.first}'`
    const refused = async () => {
      for (const session of [theirs!.id, elsewhere!.id])
        for (const statement of [into(session), move(session)])
          await expect(as(db, at.first, statement), statement).rejects.toMatchObject({ code: '42501' })
    }
    await refused()
    await as(db, at.first, into(own!.id))
    await as(db, at.first, move(own!.id))
    // what the old application does still works: no session, a copy of a row, another workspace
    await as(
      db,
      at.first,
      `insert into public.chats (workspace_id, user_id, message) values ('${at.workspace}', '${at.first}', 'no session')`,
    )
    await as(
      db,
      at.first,
      `insert into public.chats (workspace_id, user_id, message, session_id) select workspace_id, user_id, 'copy', session_id from public.chats where message = 'no session'`,
    )
    await as(
      db,
      at.first,
      `update public.chats set workspace_id = (select workspace_id from public.chat_sessions where id = '${elsewhere!.id}') where message = 'copy'`,
    )
    expect(await found(db, 'workspace-sessions', 'behind')).toEqual([])
    // a server that the policies do not bind writes where it likes
    await db.sql.begin(async tx => {
      await tx.unsafe('set local role service_role')
      await tx`insert into public.chats (workspace_id, user_id, message, session_id) values (${at.workspace}, ${at.first}, 'served', ${theirs!.id})`
    })
    await migrated(db, 'workspace-sessions')
    await refused()
    expect(await found(db, 'workspace-sessions', 'same_workspace,orphaned_messages,behind')).toEqual([])
    // after 011 the owner of a session reads all of it, and not only what they wrote
    await migrated(db, 'workspace-sessions', ...contractWith('SHOWS_ROWS'))
    await refused()
    await as(db, at.first, into(own!.id))
  })
})

describe.each(turn('times and previews'))('times and previews, on PostgreSQL $major', server => {
  test('a session’s time moves with a message, by one update of one row, and not with the backfill', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await migrated(db, 'workspace-sessions')
    // what the backfill made is as old as its newest message
    const [late] = await db.sql`
      select count(*)::int as n from public.chat_sessions s
      where s.updated_at is distinct from (select max(c.created_at) from public.chats c where c.session_id = s.id)
        and exists (select from public.chats c where c.session_id = s.id and c.created_at is not null)`
    expect(late!.n).toBe(0)
    const [s] = await db.sql`select id, workspace_id, user_id from public.chat_sessions order by id limit 1`
    const updates = async () => {
      await db.sql`select pg_stat_force_next_flush()`
      return (
        await db.sql<
          { n: number }[]
        >`select n_tup_upd::int as n from pg_stat_user_tables where relid = 'public.chat_sessions'::regclass`
      )[0]!.n
    }
    const one = open(db.url, 1)
    const count = async (work: () => Promise<unknown>) => {
      await one`select pg_stat_force_next_flush()`
      const before = await updates()
      await work()
      await one`select pg_stat_force_next_flush()`
      await one`select 1`
      return (await updates()) - before
    }
    for (const chosen of [null, s!.id])
      expect(
        await count(
          () =>
            one`insert into public.chats (workspace_id, user_id, message, session_id) values (${s!.workspace_id}, ${s!.user_id}, 'one', ${chosen})`,
        ),
      ).toBe(1)
    expect(
      await count(
        () =>
          one`insert into public.chats (workspace_id, user_id, message, session_id) select ${s!.workspace_id}, ${s!.user_id}, 'many', ${s!.id} from generate_series(1, 100)`,
      ),
    ).toBe(1)
    expect(
      await count(
        () =>
          one`insert into public.chats (workspace_id, user_id, message, session_id, created_at) values (${s!.workspace_id}, ${s!.user_id}, 'history', ${s!.id}, '2001-01-01')`,
      ),
    ).toBe(0)
    expect(await count(() => one`update public.chats set message = 'edited' where message = 'one'`)).toBe(0)
    // a transaction of very many messages: the rest is made good by the next one of another
    await one.unsafe(`do $$ begin for i in 1..600 loop
      insert into public.chats (workspace_id, user_id, message, session_id, created_at)
      select workspace_id, user_id, 'long', id, clock_timestamp() from public.chat_sessions where id = '${s!.id}'; end loop; end $$`)
    expect(await found(db, 'workspace-sessions', 'behind')).toEqual([`behind: ${s!.id}`])
    await one`insert into public.chats (workspace_id, user_id, message, session_id) select workspace_id, user_id, 'elsewhere', id from public.chat_sessions where id <> ${s!.id} limit 1`
    expect(await found(db, 'workspace-sessions', 'sessions_current,behind')).toEqual([])
    await one.end()
    await db.sql`update public.chats set created_at = now() + interval '1 day' where message = 'history'`
    expect(await found(db, 'workspace-sessions', 'sessions_current,behind')).toEqual([])
    const [now] =
      await db.sql`select updated_at > now() as ahead from public.chat_sessions where id = ${s!.id}`
    expect(now!.ahead).toBe(true)
  })

  test('helper-chats: random inserts, edits, moves and deletions leave every time and preview true', async () => {
    await using db = await database(server, 'helper-chats', 100)
    await migrated(db, 'helper-chats')
    await db.sql`insert into public.chat_sessions (user_id, helper) select id, 'planner' from auth.users order by id limit 4`
    const random = randomFrom(seed)
    const session = () =>
      `(select id from public.chat_sessions order by id offset ${Math.floor(random() * 4)} limit 1)`
    const message = () =>
      `(select id from public.chat_messages order by md5(id::text || '${random()}') limit 1)`
    const kinds = [
      () =>
        `insert into public.chat_messages (session_id, role, content, created_at) values (${session()}, 'user', md5('${random()}'), now() - ${random()} * interval '1 day')`,
      () =>
        `insert into public.chat_messages (session_id, role, content, created_at) select s.id, 'assistant', md5(s.id::text || n), now() - n * interval '1 hour' from public.chat_sessions s, generate_series(1, 3) n`,
      () => `update public.chat_messages set content = md5('${random()}') where id = ${message()}`,
      () =>
        `update public.chat_messages set created_at = now() - ${random()} * interval '1 day' where id = ${message()}`,
      () => `update public.chat_messages set session_id = ${session()} where id = ${message()}`,
      () => `delete from public.chat_messages where id = ${message()}`,
      () => `delete from public.chat_messages where session_id = ${session()} and random() < 0.7`,
    ]
    for (let i = 0; i < 300; i++) await db.sql.unsafe(kinds[Math.floor(random() * kinds.length)]!())
    await db.sql.unsafe(`do $$ begin for i in 1..100 loop
      insert into public.chat_messages (session_id, role, content, created_at)
      select id, 'user', 'long ' || i, clock_timestamp() from public.chat_sessions order by id limit 1 + i / 50; end loop; end $$`)
    expect(await found(db, 'helper-chats', 'sessions_current,behind,no_orphans')).toEqual([])
    const [s] =
      await db.sql`insert into public.chat_sessions (user_id, helper) select id, 'planner' from auth.users order by id limit 1 returning id`
    const say = (role: string, content: string) =>
      db.sql`insert into public.chat_messages (session_id, role, content) values (${s!.id}, ${role}, ${content})`
    const shows = async () =>
      (
        await db.sql`select title, last_message_preview as preview, last_message_at is null as empty from public.chat_sessions where id = ${s!.id}`
      )[0]
    await say('user', 'How do I plan?')
    await say('assistant', 'With a pencil.')
    expect(await shows()).toEqual({ title: 'How do I plan?', preview: 'With a pencil.', empty: false })
    await db.sql`update public.chat_messages set content = 'With a pen.' where content = 'With a pencil.'`
    expect((await shows())!.preview).toBe('With a pen.')
    await db.sql`delete from public.chat_messages where content = 'With a pen.'`
    expect((await shows())!.preview).toBe('How do I plan?')
    await db.sql`delete from public.chat_messages where session_id = ${s!.id}`
    expect(await shows()).toEqual({ title: 'How do I plan?', preview: null, empty: true })
  })
})

describe.each(servers())('statements of the application, on PostgreSQL $major', server => {
  test('no value that the old columns admit makes one fail, and every message gets its session', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await migrated(db, 'workspace-sessions', '--phase', 'expand')
    const random = randomFrom(seed)
    const one = <T>(list: T[]): T => list[Math.floor(random() * list.length)]!
    const ids = async (of: string) => (await db.sql.unsafe(of)).map(r => r.id as string)
    const workspaces = [
      null,
      '00000000-0000-0000-0000-000000000000',
      ...(await ids('select id from public.workspaces')),
    ]
    const authors = [
      null,
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      ...(await ids('select id from auth.users')),
    ]
    const texts = [
      null,
      '',
      ' ',
      'hello',
      'x'.repeat(100_000),
      '🙂',
      "quote ' and \\",
      '\u0001\u007f',
      '{"a": 1}',
    ]
    const times = [
      null,
      '-infinity',
      'infinity',
      '4713-01-01 BC',
      '294276-12-31',
      '2025-06-01',
      new Date().toISOString(),
    ]
    for (let i = 0; i < 400; i++) {
      const [row] = await db.sql`
        insert into public.chats (workspace_id, user_id, role, message, created_at)
        values (${one(workspaces)}, ${one(authors)}, ${one(texts)}, ${one(texts)}, ${one(times)}::text::timestamptz) returning id`
      if (random() < 0.6)
        await db.sql`update public.chats set workspace_id = ${one(workspaces)}, user_id = ${one(authors)}, message = ${one(texts)}, created_at = ${one(times)}::text::timestamptz where id = ${row!.id}`
      if (random() < 0.3)
        await db.sql`update public.chats set created_at = ${one(times)}::text::timestamptz where id = ${row!.id}`
      if (random() < 0.1) await db.sql`delete from public.chats where id = ${row!.id}`
    }
    expect((await db.sql`select count(*)::int as n from chat_private.behind`)[0]!.n).toBe(0)
    await migrated(db, 'workspace-sessions')
    expect(
      await found(db, 'workspace-sessions', 'orphaned_messages,same_workspace,sessions_current,behind'),
    ).toEqual([])
  })

  test('a session that can’t be made or touched is noted; the message is there, and gets its session later', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await migrated(db, 'workspace-sessions', '--phase', 'expand')
    await db.sql.unsafe(`
      create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no sessions today'; end $$;
      create trigger refuse before insert or update on public.chat_sessions for each row execute function public.refuse()`)
    const at = await room(db)
    const [moved] = await db.sql`
      update public.chats set workspace_id = (select id from public.workspaces where name = 'Workspace 2')
      where id = (select id from public.chats where workspace_id = (select id from public.workspaces where name = 'Workspace 1') limit 1) returning id`
    expect(await found(db, 'workspace-sessions', 'behind')).toHaveLength(4)
    const [left] = await db.sql`select session_id from public.chats where id = ${moved!.id}`
    expect(left!.session_id).toBeNull()
    await db.sql`drop trigger refuse on public.chat_sessions`
    await migrated(db, 'workspace-sessions')
    expect([
      await messagesOf(db, at.workspace),
      await found(db, 'workspace-sessions', 'behind,orphaned_messages'),
    ]).toEqual([3, []])
    // a lock that somebody holds for long: a moment's wait, and the next message makes it good
    const [s] =
      await db.sql`select id, workspace_id, user_id from public.chat_sessions where workspace_id = ${at.workspace}`
    const holder = open(db.url, 1)
    await holder.begin(async tx => {
      await tx`update public.chat_sessions set title = title where id = ${s!.id}`
      const start = performance.now()
      await says(db, at.workspace, at.second, 'while it was locked')
      expect(performance.now() - start).toBeLessThan(2000)
      expect(await found(db, 'workspace-sessions', 'behind')).toEqual([`behind: ${s!.id}`])
    })
    await holder.end()
    await says(db, (await room(db)).workspace, at.second, 'elsewhere')
    expect(await found(db, 'workspace-sessions', 'behind,sessions_current')).toEqual([])
  })

  test('FORCE ROW LEVEL SECURITY that is set after expand fails no insert of an owner who is no superuser', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    const role = `owner_${db.name}`
    await db.sql.unsafe(`
      create role ${role} login;
      -- else what it owns would be foreign to the superuser who verifies
      grant ${role} to current_user;
      grant create on database ${db.name} to ${role};
      grant create, usage on schema public to ${role};
      grant usage on schema auth to ${role};
      grant select, references, trigger on auth.users to ${role};
      alter table public.workspaces owner to ${role}; alter table public.chats owner to ${role};
      alter function public.update_updated_at() owner to ${role}`)
    const url = new URL(db.url)
    url.username = role
    try {
      const up = await rethread(url.toString(), [
        'migrate',
        '--track',
        'workspace-sessions',
        '--phase',
        'expand',
      ])
      expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
      await db.sql.unsafe(
        'alter table public.chat_sessions force row level security; alter table public.workspaces force row level security',
      )
      const application = open(url.toString(), 1)
      const rows = await application`
        insert into public.chats (workspace_id, user_id, message) select md5('workspace 1')::uuid, md5('user 2')::uuid, 'x' from generate_series(1, 3) returning session_id`
      await application.end()
      expect(rows.map(r => r.session_id)).toEqual([null, null, null])
      expect(await found(db, 'workspace-sessions', 'behind')).toHaveLength(3)
    } finally {
      await db.sql.unsafe(`drop owned by ${role} cascade; drop role ${role}`)
    }
  })

  test('helper-chats and codebase-sessions: no message and no save fails', async () => {
    await using db = await database(server, 'helper-chats', 100)
    await migrated(db, 'helper-chats')
    await migrated(db, 'codebase-sessions')
    const random = randomFrom(seed)
    const one = <T>(list: T[]): T => list[Math.floor(random() * list.length)]!
    const texts = [
      '',
      ' ',
      '\t\n',
      '\u00a0',
      '\u2003x',
      'hello',
      ' '.repeat(80) + 'x',
      'x'.repeat(100_000),
      '🙂'.repeat(120),
      "quote ' and \\",
      '\u0001\u007f',
    ]
    const times = [
      '-infinity',
      'infinity',
      '4713-01-01 BC',
      '294276-12-31',
      '2025-06-01',
      new Date().toISOString(),
    ]
    const [user] = await db.sql`select id from auth.users order by id limit 1`
    for (let i = 0; i < 300; i++) {
      if (i % 10 === 0)
        await db.sql`insert into public.chat_sessions (user_id, helper) values (${user!.id}, 'planner')`
      const [row] = await db.sql`
        insert into public.chat_messages (session_id, role, content, created_at)
        values ((select id from public.chat_sessions order by created_at desc, id limit 1), ${one(['user', 'assistant'])}, ${one(texts)}, ${one(times)}::text::timestamptz) returning id`
      if (random() < 0.5)
        await db.sql`update public.chat_messages set content = ${one(texts)}, created_at = ${one(times)}::text::timestamptz where id = ${row!.id}`
      if (random() < 0.2) await db.sql`delete from public.chat_messages where id = ${row!.id}`
      await db.sql`
        insert into public.codebase_chat_sessions (session_id, user_id, conversation_history, last_activity, context_cache, repo)
        values (${`chat-${i % 7}-x`}, ${one([user!.id, null])}, ${JSON.stringify(Array.from({ length: i % 4 }, () => one<unknown>([null, 1, 'text', {}, { role: 'user', content: one(texts) }])))}::text::jsonb, ${one(times)}::text::timestamptz, ${one(['{}', '[]', 'null', '"x"'])}::text::jsonb, ${one(texts)})
        on conflict (session_id) do update set conversation_history = excluded.conversation_history, context_cache = excluded.context_cache, repo = excluded.repo`
    }
    expect((await db.sql`select count(*)::int as n from chat_private.behind`)[0]!.n).toBe(0)
    expect(await found(db, 'helper-chats', 'sessions_current,behind')).toEqual([])
    // a fault of somebody else's is noted, and made good by the next message
    await db.sql.unsafe(`
      create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
      create trigger refuse before update on public.chat_sessions for each row execute function public.refuse()`)
    const [late] =
      await db.sql`insert into public.chat_sessions (user_id, helper) values (${user!.id}, 'planner') returning id`
    const say = (content: string) =>
      db.sql`insert into public.chat_messages (session_id, role, content) values (${late!.id}, 'user', ${content})`
    await say('while it was broken')
    await db.sql`drop trigger refuse on public.chat_sessions`
    expect(await found(db, 'helper-chats', 'sessions_current,behind')).toEqual([
      `behind: ${late!.id}`,
      `sessions_current: ${late!.id}`,
    ])
    await say('now it is whole')
    expect(await found(db, 'helper-chats', 'sessions_current,behind')).toEqual([])
  })
})

describe.each(turn('in parts'))('messages that are partitioned, on PostgreSQL $major', server => {
  test('go all the way and back: indexes and the foreign key come partition by partition', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
      create table public.workspaces (id uuid primary key default gen_random_uuid(), name text, owner_id uuid references auth.users (id));
      create table public.chats (
        id uuid default gen_random_uuid(), workspace_id uuid, user_id uuid, role text, message text, created_at timestamptz not null default now(),
        primary key (created_at, id)
      ) partition by range (created_at);
      create table public."Chats of spring" partition of public.chats for values from ('2025-03-01') to ('2025-06-01') partition by hash (id);
      create table public.spring_0 partition of public."Chats of spring" for values with (modulus 2, remainder 0);
      create table public.spring_1 partition of public."Chats of spring" for values with (modulus 2, remainder 1);
      create table public.chats_of_all_the_other_times_that_nobody_has_named_so_far_as_yet partition of public.chats default;
      alter table public.spring_1 enable row level security;
      insert into auth.users (id) select md5('u' || n)::uuid from generate_series(1, 3) n;
      insert into public.workspaces (id, owner_id) select md5('w' || n)::uuid, md5('u' || n)::uuid from generate_series(1, 3) n;
      insert into public.chats (workspace_id, user_id, message, created_at)
      select nullif(md5('w' || n % 4)::uuid, md5('w0')::uuid), md5('u' || n % 3)::uuid, 'hello ' || n, timestamptz '2025-05-25' + n * interval '1 hour' from generate_series(1, 400) n`)
    const before = await picture(db.sql)
    await migrated(db, 'workspace-sessions')
    const [key] = await db.sql`
      select count(*)::int as n, bool_and(convalidated) as valid from pg_constraint where conname = 'chats_session_id_fkey'`
    expect([key!.n, key!.valid]).toEqual([5, true])
    await migrated(db, 'workspace-sessions', ...contract)
    const indexes = await db.sql`
      select i.indrelid::regclass::text as part, i.indisvalid as valid, count(*)::int as n from pg_index i
      where i.indrelid in (select relid from pg_partition_tree('public.chats')) and pg_get_indexdef(i.indexrelid) like '%session_id%' group by 1, 2 order by 1`
    expect(indexes.map(r => [r.valid, r.n])).toEqual(Array.from({ length: 5 }, () => [true, 2]))
    const verified = await rethread(db.url, ['verify', '--track', 'workspace-sessions'])
    expect([
      verified.code,
      verified.report.checks.filter(c => c.outcome !== 'pass').map(c => [c.check, counts(c)]),
    ]).toEqual([
      0,
      [
        ['access_overlap', false],
        ['fallback_workspace', false],
        ['legacy_groupings', false],
        ['quarantined', true],
        ['told_apart', false],
        // what partitions and workspaces let the API do, they let it do before
        ['api_privileges', false],
        ['row_security', false],
      ],
    ])
    const [kept] =
      await db.sql`select count(*)::int as n, count(session_id)::int as assigned from public.chats`
    expect([kept!.n, kept!.assigned]).toEqual([300, 300])
    const down = await rethread(db.url, ['rollback', '--track', 'workspace-sessions', ...undoAll(db.name)])
    expect([down.code, down.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    expect(await picture(db.sql)).toEqual(before)
  })

  test('a build that was stopped goes on with the partitions that are left', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
      create table public.workspaces (id uuid primary key default gen_random_uuid(), name text, owner_id uuid references auth.users (id));
      create table public.chats (
        id uuid default gen_random_uuid(), workspace_id uuid, user_id uuid, role text, message text, created_at timestamptz not null default now(), primary key (id, created_at)
      ) partition by range (created_at);
      create table public.a partition of public.chats for values from (minvalue) to ('2025-06-01');
      create table public.b partition of public.chats default`)
    // a name in the way stops the second partition's
    await db.sql`create view public.idx_chats_session_id_b as select 1 as one`
    const stopped = await rethread(db.url, ['migrate', '--track', 'workspace-sessions'])
    expect(stopped.code).not.toBe(0)
    await db.sql`drop view public.idx_chats_session_id_b`
    await migrated(db, 'workspace-sessions')
    const [built] =
      await db.sql`select bool_and(indisvalid) as valid, count(*)::int as n from pg_index where indexrelid::regclass::text like 'idx_chats_session_id%'`
    expect([built!.valid, built!.n]).toEqual([true, 3])
  })
})
