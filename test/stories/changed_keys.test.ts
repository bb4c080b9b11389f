import { expect, test } from 'vitest'
import { contract, rethread, undoAll } from '../support/cli.js'
import { database, newest, picture, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said } from '../support/in_process.js'

/**
 * Applications that change keys: their own foreign keys carry a new id of a person or a room along, and so do
 * those of a track. Nothing moves to another session by it, and nobody sees an error.
 */

const stamp = `create function public.update_updated_at() returns trigger language plpgsql as $$
  begin new.updated_at = now(); return new; end $$;`
const people = `create table public.users (id text primary key); insert into public.users select 'u' || i from generate_series(1, 3) i;`
const along = 'on update cascade on delete cascade'

interface Changing {
  track: string
  map: string
  tables: string
  /** What is sent while both applications write. */
  during: string[]
  /** SQL whose answer no change of a key may change: what is said where. */
  said: string
  /** Keys that are changed, each with `?` for the time. */
  changes: string[]
}

const cases: Changing[] = [
  {
    track: 'workspace-sessions',
    map: 'auth.users=users,workspaces=rooms,workspaces.owner_id=owner,chats=lines,chats.workspace_id=room',
    tables: `${stamp} ${people}
      create table public.rooms (id text primary key, owner text references public.users ${along}, name text);
      create table public.lines (id bigserial primary key, room text references public.rooms ${along}, user_id text references public.users ${along}, role text, message text, created_at timestamptz default now());
      insert into public.rooms select 'r' || i, 'u' || i, 'r' from generate_series(1, 3) i;
      insert into public.lines (room, user_id, role, message) select 'r' || (1 + i % 3), 'u' || (1 + i % 3), 'user', 'm' || i from generate_series(1, 30) i`,
    during: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id, title) select id, owner, 'opened' from public.rooms order by name, id limit 1 returning id, workspace_id, user_id)
       insert into public.lines (session_id, room, user_id, role, message) select id, workspace_id, user_id, 'user', 'own' from opened`,
    ],
    said: `select s.title, l.message, l.room = s.workspace_id as here from public.lines l join public.chat_sessions s on s.id = l.session_id order by 2, 1`,
    changes: [
      `update public.rooms set id = id || '?' where name = 'r'`,
      `update public.users set id = id || '?'`,
    ],
  },
  {
    track: 'conversation-history',
    map: 'auth.users=users,tenants=firms,tenant_users=members,chat_sessions=threads',
    tables: `${people}
      create table public.firms (id text primary key, name text);
      create table public.members (firm_id text references public.firms ${along}, user_id text references public.users ${along}, role text not null default 'user', primary key (firm_id, user_id));
      create table public.threads (id uuid primary key default gen_random_uuid(), firm_id text references public.firms ${along}, user_id text references public.users ${along}, title text,
        messages jsonb default '[]', metadata jsonb, created_at timestamptz default now(), updated_at timestamptz default now());
      insert into public.firms values ('f', 'firm');
      insert into public.members select 'f', id from public.users;
      insert into public.threads (firm_id, user_id, title, messages) select 'f', 'u' || (1 + i % 3), 't' || i, '[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]' from generate_series(1, 12) i`,
    during: [
      `with opened as (insert into public.conversations (tenant_id, user_id, title) select firm_id, user_id, 'opened' from public.members limit 1 returning id)
       insert into public.messages (conversation_id, role, content) select id, 'user', 'own' from opened`,
      `update public.threads set messages = messages || '{"role":"user","content":"more"}' where title = 't1'`,
    ],
    said: `select c.title, m.content, c.tenant_id = f.id as here from public.messages m join public.conversations c on c.id = m.conversation_id cross join public.firms f order by 1, 2`,
    changes: [`update public.firms set id = id || '?'`, `update public.users set id = id || '?'`],
  },
  {
    track: 'trip-sessions',
    map: 'iso_agents=agents,requests=trips,requests.iso_agent_id=agent_id,conversations.request_id=trip_id,quotes.request_id=trip_id,proposals.request_id=trip_id',
    tables: `
      create table public.agents (id text primary key, clerk_user_id text not null unique);
      create table public.trips (id text primary key, agent_id text references public.agents ${along}, departure_airport text, arrival_airport text);
      create table public.quotes (id text primary key, trip_id text references public.trips ${along});
      create table public.proposals (id text primary key, trip_id text references public.trips ${along});
      create table public.conversations (id text primary key, trip_id text references public.trips ${along}, subject text);
      create table public.messages (id bigserial primary key, conversation_id text references public.conversations ${along}, sender_type text, content text, created_at timestamptz default now());
      insert into public.agents select 'a' || i, 'clerk ' || i from generate_series(1, 3) i;
      insert into public.trips select 't' || i, 'a' || (1 + i % 3) from generate_series(1, 6) i;
      insert into public.quotes select 'q' || i, 't' || i from generate_series(1, 3) i;
      insert into public.proposals select 'p' || i, 't' || i from generate_series(1, 3) i;
      insert into public.conversations select 'c' || i, 't' || i, 's' || i from generate_series(1, 6) i;
      insert into public.messages (conversation_id, sender_type, content) select 'c' || (1 + i % 6), 'agent', 'm' from generate_series(1, 24) i`,
    during: [
      `insert into public.messages (conversation_id, sender_type, content) select id, 'agent', 'more' from public.conversations limit 1`,
    ],
    said: `select c.subject, s.message_count, a.clerk_user_id, s.request_id = c.trip_id as here, (s.primary_quote_id is null) as unquoted
      from public.chat_sessions s join public.conversations c on c.id = s.conversation_id join public.agents a on a.id = s.iso_agent_id order by 1`,
    changes: ['agents', 'trips', 'quotes', 'proposals', 'conversations'].map(
      t => `update public.${t} set id = id || '?'`,
    ),
  },
  {
    track: 'helper-chats',
    map: 'auth.users=users',
    tables: `${people} create table public.projects (id text primary key, user_id text references public.users ${along});
      insert into public.projects select 'p' || i, 'u' || i from generate_series(1, 3) i`,
    during: [
      `with opened as (insert into public.chat_sessions (project_id, user_id, helper) select id, user_id, 'h' from public.projects limit 1 returning id)
       insert into public.chat_messages (session_id, role, content) select id, 'user', 'own' from opened`,
    ],
    said: `select m.content, s.project_id = p.id as here from public.chat_messages m join public.chat_sessions s on s.id = m.session_id join public.projects p on p.user_id = s.user_id`,
    changes: [`update public.users set id = id || '?'`, `update public.projects set id = id || '?'`],
  },
  {
    track: 'codebase-sessions',
    map: 'auth.users=users',
    tables: people,
    during: [
      `insert into public.codebase_chat_sessions (session_id, user_id) select 'chat-1-abc', min(id) from public.users`,
    ],
    said: `select s.session_id, u.id is not null as here from public.codebase_chat_sessions s left join public.users u on u.id = s.user_id`,
    changes: [`update public.users set id = id || '?'`],
  },
]

test.each(
  cases.flatMap((c, n) =>
    some(n % 2 ? 'oldest' : 'newest').map(server => [c.track, server.major, c, server] as const),
  ),
)(
  '%s on PostgreSQL %i: a key may change at any time',
  async (_, __, c, server) => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `drop schema auth cascade; alter default privileges in schema public revoke all on tables from anon, authenticated, service_role; ${c.tables}`,
    )
    const ran = async (...args: string[]) => {
      const { code, report } = await rethread(db.url, args, { cwd })
      const wrong = report.checks.filter(
        k => k.outcome === 'failed' || (k.level === 'error' && k.found.some(f => !f.preExisting)),
      )
      const refused = report.findings.filter(f => f.level === 'refused' || f.level === 'error')
      expect([args, code, refused.map(f => f.message), wrong.map(k => [k.check, k.found])]).toEqual([
        args,
        0,
        [],
        [],
      ])
    }
    const change = async (time: number, filled = true) => {
      const before = await db.sql.unsafe(c.said)
      for (const statement of c.changes) await db.sql.unsafe(statement.replaceAll('?', `-${time}`))
      const after = await db.sql.unsafe(c.said)
      // before the backfill an update gives what it changes its session
      if (filled) expect(after).toEqual(before)
      expect(after.filter(row => row.here !== true)).toEqual([])
    }
    await ran('init', '--track', c.track, '--map', c.map)
    const { schema } = await picture(db.sql)
    await ran('migrate', '--phase', 'expand')
    for (const statement of c.during) await db.sql.unsafe(statement)
    await change(1, false)
    await ran('migrate')
    await change(2)
    await ran('verify')
    await ran('migrate', ...contract)
    await change(3)
    await ran('verify')
    await ran('rollback', ...undoAll(db.name))
    expect((await picture(db.sql)).schema).toEqual(schema)
    await ran('restore', 'latest')
    await ran('verify')
  },
  60_000,
)

test('sessions that were set aside outlive, in the archive, a tenant that goes or gets another key after the contract phase', async () => {
  await using db = await database(newest(), 'conversation-history', 20)
  await db.sql.unsafe(`
    create table public.assistants (id int primary key);
    insert into public.assistants values (1), (2);
    alter table public.chat_sessions add column assistant int references public.assistants (id);
    insert into public.tenants (id, name) select md5(n)::uuid, n from unnest('{renamed,deleted,kept}'::text[]) n;
    insert into public.chat_sessions (tenant_id, title, messages) select t.id, t.name, '[]' from public.tenants t where t.id = md5(t.name)::uuid;
    update public.chat_sessions set assistant = 1 where title is distinct from 'deleted'`)
  const project = await inProcess(db.url, { track: 'conversation-history' })
  const allow = ['ENDS_OLD_APP', 'DELETES_DATA', 'IGNORES_RECENT_WRITES'] as never[]
  expect((await said(project.migrate())).verdict).toBe('clean')
  expect((await said(project.migrate({ phase: 'contract', consent: { allow } }))).verdict).toBe('clean')
  // the archive knows nothing of what happens now
  await db.sql`update public.tenants set id = md5('other')::uuid where name = 'renamed'`
  await db.sql`delete from public.tenants where name = 'deleted'`
  await db.sql`delete from public.assistants where id = 1`
  const [before] = await db.sql`select count(*)::int as n from rethread_archive.chat_sessions`
  const back = await said(project.rollback({ all: true, consent: { allow, confirm: db.name } }))
  expect([back.verdict, back.codes]).toEqual(['clean', expect.arrayContaining(['ROLLED_BACK_EXACTLY'])])
  const titles = async (table: string) =>
    (
      await db.sql.unsafe<{ title: string }[]>(
        `select title from ${table} where title in ('renamed', 'deleted', 'kept') order by 1`,
      )
    ).map(r => r.title)
  expect([
    await titles('public.chat_sessions'),
    await titles('rethread_archive.chat_sessions_deleted'),
  ]).toEqual([['kept'], ['deleted', 'renamed']])
  // what would have kept the assistant from being deleted comes back without it
  const [after] =
    await db.sql`select count(*)::int as n, count(assistant)::int as referring from public.chat_sessions`
  expect(after).toEqual({ n: before!.n - 2, referring: 0 })
  await project.close()
})

test.each([
  {
    what: 'an agent is deleted after the contract phase',
    change: 'delete from public.iso_agents where id = $1',
    stay: true,
  },
  {
    what: 'an agent is deleted after the contract phase, and a rule would act with each row',
    // on DELETE the server would refuse the rule beside an archive, and on UPDATE it would run once more
    rules: `
      create table public.noted (id int);
      create rule also_gone as on delete to public.chatkit_sessions do also insert into public.noted values (1);
      create rule also_changed as on update to public.chatkit_sessions do also insert into public.noted values (2);`,
    change: 'delete from public.iso_agents where id = $1',
    stay: true,
  },
  { what: 'the table was never there', change: '', stay: false },
])('chatkit_sessions come back with a rollback although $what', async ({ rules = '', change, stay }) => {
  await using db = await database(newest(), 'trip-sessions', 40)
  await db.sql.unsafe(rules)
  if (change === '') await db.sql`drop table public.chatkit_sessions cascade`
  const [one] = await db.sql`select min(id::text) as id from public.iso_agents`
  const before =
    change === ''
      ? []
      : await db.sql`select c::text as row, c.iso_agent_id <> ${one!.id} as stays from public.chatkit_sessions c order by 1`
  const project = await inProcess(db.url, { track: 'trip-sessions' })
  const allow = ['ENDS_OLD_APP', 'DELETES_DATA', 'IGNORES_RECENT_WRITES'] as never[]
  expect((await said(project.migrate())).verdict).toBe('clean')
  expect((await said(project.migrate({ phase: 'contract', consent: { allow } }))).verdict).toBe('clean')
  if (change !== '') await db.sql.unsafe(change, [one!.id])
  const back = await said(project.rollback({ all: true, consent: { allow, confirm: db.name } }))
  expect([back.verdict, back.codes]).toEqual(['clean', expect.arrayContaining(['ROLLED_BACK_EXACTLY'])])
  const rows = async (table: string) =>
    (await db.sql.unsafe<{ row: string }[]>(`select c::text as row from ${table} c order by 1`)).map(
      r => r.row,
    )
  if (stay) {
    expect(await rows('public.chatkit_sessions')).toEqual(before.filter(r => r.stays).map(r => r.row))
    expect(await rows('rethread_archive.chatkit_sessions_deleted')).toEqual(
      before.filter(r => !r.stays).map(r => r.row),
    )
    if (rules !== '') expect(await rows('public.noted')).toEqual([])
  }
  await project.close()
})

test.each(process.env.RETHREAD_SOAK ? ['workspace', 'author', 'idle:30m'] : ['workspace', 'idle:30m'])(
  'a workspace that gets the former key of another one has sessions of its own, grouped by %s',
  async grouping => {
    await using db = await database(newest(), 'workspace-sessions', 60)
    const project = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { settings: { legacy_grouping: grouping } },
    })
    const allow = ['ENDS_OLD_APP', 'QUARANTINES_ROWS', 'DELETES_DATA', 'IGNORES_RECENT_WRITES'] as never[]
    expect((await said(project.migrate())).verdict).toBe('clean')
    const [room] =
      await db.sql`select workspace_id as id, user_id as person from public.chat_sessions order by 1 limit 1`
    const tell = (message: string) => db.sql`
    insert into public.chats (workspace_id, user_id, role, message, created_at) values (${room!.id}, ${room!.person}, 'user', ${message}, '2030-01-01')`
    await db.sql.begin(async tx => {
      await tx`update public.workspaces set id = md5('renamed')::uuid where id = ${room!.id}`
      await tx`update public.chats set workspace_id = md5('renamed')::uuid where workspace_id = ${room!.id}`
      await tx`insert into public.workspaces (id, name, owner_id) values (${room!.id}, 'reused', ${room!.person})`
    })
    await tell('with triggers')
    // and one that came past them, for the backfill
    await db.sql`alter table public.chats disable trigger user`
    await tell('without triggers')
    await db.sql`alter table public.chats enable trigger user`
    const places = async () =>
      (
        await db.sql`
        select c.message, s.workspace_id = c.workspace_id as own from public.chats c left join public.chat_sessions s on s.id = c.session_id
        where c.message like 'with%' order by 1`
      ).map(r => [r.message, r.own])
    const here = [
      ['with triggers', true],
      ['without triggers', true],
    ]
    const found = async () =>
      (await said(project.verify())).checks
        .filter(c => c.level === 'error' && c.found.some(f => !f.preExisting))
        .map(c => c.check)
    expect((await said(project.migrate())).verdict).toBe('clean')
    expect([await places(), await found()]).toEqual([here, []])
    expect((await said(project.migrate({ phase: 'contract', consent: { allow } }))).verdict).toBe('clean')
    expect((await said(project.rollback({ all: true, consent: { allow, confirm: db.name } }))).verdict).toBe(
      'clean',
    )
    expect((await said(project.migrate())).verdict).toBe('clean')
    expect((await said(project.restore({ archive: 'latest', consent: { allow } }))).verdict).toBe('clean')
    expect([await places(), await found()]).toEqual([here, []])
    await project.close()
  },
)
