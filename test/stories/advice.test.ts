import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { contract, contractWith, rethread, undoAll } from '../support/cli.js'
import { database, inTurn, picture, servers } from '../support/database.js'
import { folder } from '../support/folder.js'

/** What is advised to strangers works as it is printed: the tests paste it. */

type Ran = Awaited<ReturnType<typeof rethread>>

/** A command line of one finding's fix, as a shell takes it apart. */
const pasted = (line: string): string[] =>
  [...line.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)]
    .map(([, quoted, plain]) => plain ?? quoted!.replaceAll("'\\''", "'"))
    .slice(1)

/** A finding with the code; what it knows is looked at by name. */
function found(ran: Ran, code: string) {
  const finding = ran.report.findings.find(f => f.code === code)
  return finding && { ...finding, facts: finding.facts as Record<string, unknown> }
}

/** What counts in a report, beside what the database had before, and who the test is. */
const loud = (ran: Ran) =>
  ran.report.findings
    .filter(f => f.level !== 'info' && !['PRE_EXISTING', 'RUNS_AS_SUPERUSER'].includes(f.code))
    .map(f => f.code)

/** Rooms whose keys are texts, which their messages name as uuids; `more` is what is in the way. */
const mistyped = (more = '') => `
  create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
  create table public.workspaces (id varchar(36) primary key, name text not null, owner_id uuid references auth.users (id), updated_at timestamptz default now());
  create table public.chats (id uuid primary key default gen_random_uuid(), workspace_id uuid, user_id uuid, role text, message text, created_at timestamptz default now());
  insert into auth.users (id, email) select md5('u' || n)::uuid, n || '@example.org' from generate_series(1, 3) n;
  insert into public.workspaces select md5('w' || n)::uuid::text, 'W', md5('u' || n)::uuid from generate_series(1, 3) n;
  insert into public.chats (workspace_id, user_id, role, message) select md5('w' || (n % 3 + 1))::uuid, md5('u' || (n % 3 + 1))::uuid, 'user', 'hello' from generate_series(1, 12) n;
  ${more}`

/** Sessions with each kind of element that cannot be a message, beside some that can. */
const listed = String.raw`
  create table public.tenants (id uuid primary key, name text);
  create table public.tenant_users (tenant_id uuid references public.tenants (id), user_id uuid references auth.users (id), role text not null default 'user', primary key (tenant_id, user_id));
  alter table public.tenant_users enable row level security;
  create table public.chat_sessions (id uuid primary key default gen_random_uuid(), tenant_id uuid, user_id uuid, title text, messages json default '[]',
    metadata jsonb default '{}', created_at timestamptz default now(), updated_at timestamptz default now());
  insert into auth.users (id) values (md5('person')::uuid);
  insert into public.tenants values (md5('firm')::uuid, 'Firm');
  insert into public.tenant_users select md5('firm')::uuid, id from auth.users;
  insert into public.chat_sessions (tenant_id, user_id, messages) select md5('firm')::uuid, md5('person')::uuid, m::json from unnest(array[
    '[{"role": "user", "content": "ok"}, {"role": "user", "content": "a \u0000 b"}, {"role": "assistant", "content": "\ud83d"}, {"role": "user", "content": "fine"}]',
    '[null, 7, true, "", "   ", [1], {}, {"role": "robot", "content": "x"}, {"role": "parrot", "content": "x"}, {"content": "x"}, {"role": "user"}]',
    '{"messages": [{"role": "user", "content": "a \u0000"}, {"role": "user", "content": "b"}]}',
    '{"x": 1}', '7', '"text"', 'null', '[]',
    '{"history": {"currentId": "b", "messages": {"a": {"id": "a", "parentId": null, "role": "user", "content": "q"}, "b": {"id": "b", "parentId": "a", "role": "assistant", "content": "r"}, "c": {"id": "c", "parentId": "a", "role": "assistant", "content": "left"}}}}',
    '[{"role": "user", "content": {"weird": "some words here"}}, {"role": "function", "content": "f"}, {"role": "TOOL", "content": "t"}]'
  ]) m`

/** Who asks, as PostgREST says it. */
const claims = `((current_setting('request.jwt.claims', true))::json ->> 'sub')::uuid`

/** A PostgreSQL without an API, whose policies may ask a function. */
const asking = (policy: string, from = `nullif(current_setting('claims.person', true), '')::uuid`) => `
  do $$ begin create role advice_user; exception when duplicate_object or unique_violation then null; end $$;
  drop schema if exists auth cascade;
  alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
  create schema who;
  grant usage on schema who, public to advice_user;
  create function who.current_person() returns uuid language sql stable as $$ select ${from} $$;
  create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
  create table public.users (id uuid primary key, email text);
  create table public.organizations (id uuid primary key, name text, owner_id uuid references public.users (id), updated_at timestamptz default now());
  create table public.messages (id uuid primary key default gen_random_uuid(), organization_id uuid references public.organizations (id), user_id uuid references public.users (id), role text, body text, created_at timestamptz default now());
  alter table public.messages enable row level security;
  create policy own on public.messages to advice_user using (${policy});
  grant select, insert, update, delete on public.messages to advice_user;
  grant select on public.users, public.organizations to advice_user;
  insert into public.users select md5('u' || n)::uuid from generate_series(1, 3) n;
  insert into public.organizations select md5('w' || n)::uuid, 'W', md5('u' || n)::uuid from generate_series(1, 3) n;
  insert into public.messages (organization_id, user_id, role, body) select md5('w' || (n % 3 + 1))::uuid, md5('u' || (n % 3 + 1))::uuid, 'user', 'hello' from generate_series(1, 12) n`

describe.each(servers())('advice on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a column that cannot hold the ids that it names: the statement that changes its type is printed', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(mistyped())
    const doctor = await rethread(db.url, ['doctor'], { cwd })
    const near = found(doctor, 'NEAREST_TRACK')!
    expect([near.facts.typesFirst, near.facts.command]).toEqual([
      true,
      'rethread init --track workspace-sessions',
    ])
    // as it is, that command is refused, and says what to do first
    const before = await picture(db.sql)
    const init = await rethread(db.url, pasted(near.facts.command as string), { cwd })
    expect([init.code, loud(init)]).toEqual([3, ['WRONG_TYPE']])
    expect(await picture(db.sql)).toEqual(before)
    const change = found(init, 'WRONG_TYPE')!.facts.change as string
    expect(near.message).toContain(change)
    await db.sql.unsafe(change)
    for (const command of [pasted(near.facts.command as string), ['migrate'], ['verify']]) {
      const ran = await rethread(db.url, command, { cwd })
      expect([command, ran.code, loud(ran)]).toEqual([command, 0, []])
    }
  })

  test('a statement that the server would refuse is not printed: the decision is', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      mistyped('create view public.busy as select workspace_id, count(*) from public.chats group by 1;'),
    )
    const doctor = await rethread(db.url, ['doctor'], { cwd })
    expect(found(doctor, 'NEAREST_TRACK')!.message).not.toContain('alter table')
    const init = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
    expect([init.code, found(init, 'WRONG_TYPE')!.fix]).toEqual([
      3,
      expect.stringMatching(/^Decide which of the two gets the type of the other/),
    ])
  })

  test('where no track fits, each command that is printed says what that track needs', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    const doctor = await rethread(db.url, ['doctor'], { cwd })
    const lines = found(doctor, 'TRACK_UNCLEAR')!.fix!.split('\n')
    expect(lines).toHaveLength(5)
    for (const line of lines) {
      const ran = await rethread(db.url, pasted(line), { cwd })
      expect([line, ran.code, ran.report.command]).toEqual([line, expect.any(Number), 'doctor'])
      expect([line, ran.stderr.includes('USAGE')]).toEqual([line, false])
      expect([line, found(ran, 'TRACK_UNCLEAR')]).toEqual([line, undefined])
    }
  })

  test('init --check names what has come, and what has gone, since the track was written', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`${mistyped().replace('id varchar(36)', 'id uuid').replace("md5('w' || n)::uuid::text", "md5('w' || n)::uuid")};
      alter table public.chats drop column role`)
    const check = async (at = cwd) => {
      const ran = await rethread(db.url, ['init', '--check'], { cwd: at })
      const differs = ran.report.findings.filter(f => f.code !== 'MAPPING_HOLDS')
      return [ran.code, ...differs.map(f => [f.subject, f.facts])]
    }
    const role = (written: string, now: string) => [
      1,
      ['chats.role', expect.objectContaining({ written, now })],
    ]
    const init = (at: string, ...map: string[]) =>
      rethread(db.url, ['init', '--track', 'workspace-sessions', ...map], { cwd: at })
    const written = await init(cwd)
    expect([written.code, await check()]).toEqual([0, [0]])
    // what came since is named, with the command that takes it in
    await db.sql`alter table public.chats add column role text not null default 'user'`
    expect(await check()).toEqual(role('none', 'role'))
    const again = await rethread(db.url, ['init', '--check'], { cwd })
    const [fix] = again.report.findings[0]!.fix!.split('   ')
    const now = await rethread(db.url, pasted(fix!), { cwd })
    expect([fix, now.code]).toEqual([expect.stringContaining('--dir track-now'), 0])
    expect(await check(join(cwd, 'track-now'))).toEqual([0])
    // a column that only may be it is no certainty
    await db.sql`alter table public.chats drop column role, add column is_bot boolean not null default false`
    expect(await check()).toEqual(role('none', 'none or is_bot'))
    // what a person has said that it is not, is not said again; another one is
    const said = folder({})
    expect((await init(said, '--map', 'chats.role=none')).code).toBe(0)
    expect(await check(said)).toEqual([0])
    await db.sql`alter table public.chats drop column is_bot, add column role text not null default 'user'`
    expect(await check(said)).toEqual(role('none', 'role'))
    // and the reverse, of a column that has the track's own name
    const having = folder({})
    await db.sql`alter table public.chats rename column message to body`
    expect([(await init(having)).code, await check(having)]).toEqual([0, [0]])
    await db.sql`alter table public.chats drop column role`
    expect(await check(having)).toEqual(role('role', 'none'))
  })

  for (const [what, type, value] of [
    ['JSON', 'jsonb', `'{"text": "hello"}'`],
    ['lists of texts', 'text[]', `'{hello,you}'`],
    ['encrypted', 'bytea', `'\\xff00c3'`],
  ] as const)
    test(`messages that are ${what}: doctor says that a copy fits, and the copy verifies`, async () => {
      const cwd = folder({})
      await using db = await database(server, 'empty')
      await db.sql.unsafe(
        mistyped()
          .replace('id varchar(36)', 'id uuid')
          .replace("md5('w' || n)::uuid::text", "md5('w' || n)::uuid")
          .replace('message text', `message ${type}`)
          .replace("'user', 'hello'", `'user', ${value}`),
      )
      const doctor = await rethread(db.url, ['doctor'], { cwd })
      const fit = found(doctor, 'FITS_AS_COPY')!
      expect([fit.facts.columns, found(doctor, 'FITS')]).toEqual([['chats.message'], undefined])
      for (const command of [pasted(fit.fix!), ['doctor'], ['migrate'], ['verify']]) {
        const ran = await rethread(db.url, command, { cwd })
        expect([command, ran.code, loud(ran)]).toEqual([command, 0, []])
        if (command[0] === 'doctor') expect(found(ran, 'FITS')?.level).toBe('info')
      }
    })

  test('doctor counts the elements that the backfill sets aside', async () => {
    const cwd = folder({
      'rethread.config.json': JSON.stringify({ settings: { role_map: 'robot=assistant' } }),
    })
    await using db = await database(server, 'empty')
    await db.sql.unsafe(listed)
    const doctor = await rethread(db.url, ['doctor'], { cwd })
    expect(loud(doctor)).toEqual(['ELEMENTS_SET_ASIDE'])
    expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
    const aside = await db.sql`select key, reason from rethread_archive.quarantine`
    const messages = await db.sql`select id from public.messages`
    const { elements, of } = found(doctor, 'ELEMENTS_SET_ASIDE')!.facts
    expect([elements, of]).toEqual([aside.length, aside.length + messages.length])
    // a role that is not known is named, and what may be said of it
    expect(found(doctor, 'ELEMENTS_SET_ASIDE')!.fix).toContain('"role_map": "parrot=assistant"')
    // each kind is there
    expect(new Set(aside.map(row => row.reason.replace(/^(its role is|messages is).*/, '$1'))).size).toBe(11)
  })

  test('what a rollback would take: what both applications hold is not said to be made by nobody', async () => {
    await using db = await database(server, 'conversation-history', 20)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    await db.sql`insert into public.conversations (id, tenant_id, user_id, title)
      select gen_random_uuid(), tenant_id, user_id, 'by a user' from public.conversations limit 1`
    const plan = await rethread(db.url, ['plan', '--rollback', '--all'])
    const loss = plan.report.findings.find(f => f.code === 'LOSS' && f.subject === 'public.conversations')!
    expect(loss.message).toMatch(/\(1 written since the backfill, 0 that `migrate` would not make again\)/)
  })

  // each story ends with probes as somebody: what is proposed must be what the policies compare
  for (const [what, policy, said, from] of [
    ['a function', '(select who.current_person())', 'who.current_person()', undefined],
    ['a function of claims', 'who.current_person()', 'who.current_person()', claims],
    ['claims', claims, 'request.jwt.claims', undefined],
  ] as const)
    test(`who asks is ${what} that policies compare: it is proposed, and isolation is verified with it`, async () => {
      const cwd = folder({})
      await using db = await database(server, 'empty')
      await db.sql.unsafe(asking(`user_id = ${policy}`, from))
      const doctor = await rethread(db.url, ['doctor'], { cwd })
      const command = found(doctor, 'NEAREST_TRACK')!.facts.command as string
      expect(command).toContain(said)
      for (const args of [pasted(command), ['init', '--check'], ['migrate']]) {
        const ran = await rethread(db.url, args, { cwd })
        expect([args[0], ran.code, loud(ran)]).toEqual([args[0], 0, []])
      }
      const verified = await rethread(db.url, ['verify', '--sample', '2'], { cwd })
      const passed = verified.report.checks.filter(c => c.outcome === 'pass').map(c => c.check)
      expect([verified.code, passed]).toEqual([0, expect.arrayContaining(['access_overlap', 'real_persons'])])
    })

  test('a function that policies only call is a candidate that a person is asked about', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(asking('who.current_person() in (select owner_id from public.organizations)'))
    const init = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
    const open = found(init, 'MAPPING_OPEN')!
    expect([init.code, open.facts.roles, open.facts.names]).toEqual([
      3,
      ['identity'],
      ['who.current_person()'],
    ])
    expect((await rethread(db.url, pasted(open.fix!), { cwd })).code).toBe(0)
  })

  test('sessions without a time of their last change: conversations have a true one, and a rollback takes it back', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `${listed}; update public.chat_sessions set updated_at = null, created_at = '2025-01-01'`,
    )
    const sessions = () => db.sql`select s.* from public.chat_sessions s order by id`
    const before = JSON.stringify(await sessions())
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    await db.sql`insert into public.chat_sessions (tenant_id, user_id, messages, created_at, updated_at)
      select tenant_id, user_id, '[]', '2025-01-02', null from public.chat_sessions limit 1`
    const times = await db.sql`select distinct updated_at = created_at as same from public.conversations`
    expect(times.map(t => t.same)).toEqual([true])
    await db.sql`delete from public.chat_sessions where created_at = '2025-01-02'`
    expect((await rethread(db.url, ['migrate', ...contractWith()])).code).toBe(0)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
    expect((await rethread(db.url, ['rollback', ...undoAll(db.name)])).code).toBe(0)
    expect(JSON.stringify(await sessions())).toBe(before)
  })

  test('what checks find without a risk to data ends with the statement that fixes it', async () => {
    await using db = await database(server, 'workspace-sessions', 20)
    await db.sql.unsafe(`create policy "Old ""one""" on public.chats for select to authenticated using (user_id = auth.uid());
      alter table public.chats add column "Asked by" uuid references auth.users (id)`)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
    const names = ['foreign_keys_indexed', 'other_message_policies', 'policy_columns_indexed']
    const details = async () => {
      const { report } = await rethread(db.url, ['verify', '--only', names.join(',')])
      return report.checks.flatMap(c => c.found.map(f => f.detail))
    }
    const said = await details()
    expect(said.length).toBeGreaterThanOrEqual(2)
    for (const detail of said) await db.sql.unsafe(/(?:create index|drop policy) .*;$/.exec(detail)![0])
    expect(await details()).toEqual([])
  })

  test('roles in words of an application: the example of an answer has no bot as the user', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `${mistyped().replace('id varchar(36)', 'id uuid').replace("md5('w' || n)::uuid::text", "md5('w' || n)::uuid")};
      update public.chats set role = case when created_at is null then '' when ctid::text < '(0,5)' then 'userMessage' else 'apiMessage' end`,
    )
    const init = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
    expect(found(init, 'MAPPING_OPEN')!.message).toContain('such as userMessage:user,apiMessage:assistant')
  })

  test('channels that nobody owns: the column that is missing may be added empty, as the statement says', async () => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      asking('false')
        .replace('owner_id uuid references public.users (id), ', '')
        .replace(", 'W', md5('u' || n)::uuid from", ", 'W' from"),
    )
    await db.sql`drop policy own on public.messages`
    await db.sql`alter table public.messages disable row level security`
    const doctor = await rethread(db.url, ['doctor'], { cwd })
    const [statement] = /alter table public\.organizations add column owner_id uuid/.exec(
      found(doctor, 'NEAREST_TRACK')!.message,
    )!
    await db.sql.unsafe(statement)
    const again = found(await rethread(db.url, ['doctor'], { cwd }), 'NEAREST_TRACK')!
    for (const args of [pasted(again.facts.command as string), ['migrate'], ['verify']]) {
      const ran = await rethread(db.url, args, { cwd })
      expect([args[0], ran.code, loud(ran)]).toEqual([args[0], 0, []])
    }
    // each conversation belongs to somebody who wrote in it
    const [lost] = await db.sql`
      select count(*)::int as n from public.chat_sessions s
      where not exists (select from public.messages m where m.session_id = s.id and m.user_id = s.user_id)`
    expect(lost!.n).toBe(0)
  })
})
