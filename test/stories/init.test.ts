import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { database, newest, picture } from '../support/database.js'
import { folder } from '../support/folder.js'

/** Teams and what is said in them: workspace-sessions under other names, with foreign keys. */
const club = (more = '', wrote = 'timestamptz default now()') => `
  create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
  create table public.teams (id uuid primary key default gen_random_uuid(), founder uuid references auth.users (id), created_by uuid not null references auth.users (id), name text not null);
  create table public.team_messages (id bigint generated always as identity primary key, team uuid references public.teams (id), author_id uuid references auth.users (id), sender_type text not null, body text${more}, sent_at ${wrote});
  insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 4) i;
  insert into public.teams (id, created_by, name) select md5('t' || i)::uuid, md5('u' || i)::uuid, 'team' from generate_series(1, 4) i;
  insert into public.team_messages (team, author_id, sender_type, body)
  select case when i <= 98 then md5('t' || (1 + i % 4))::uuid end, md5('u' || (1 + i % 4))::uuid, 'user', 'text ' || i from generate_series(1, 100) i`

/** The arguments of a command that a report shows, as a shell would read them. */
const argsOf = (command: string): string[] =>
  [...command.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)]
    .map(([, quoted, plain]) => plain ?? quoted!.replaceAll("'\\''", "'"))
    .slice(1)

const codes = (ran: Awaited<ReturnType<typeof rethread>>) =>
  ran.report.findings
    .filter(f => f.level !== 'info' || /TRACK|FITS|COPIED|MAPPING/.test(f.code))
    .map(f => f.code)

test('where no track fits, every command names the nearest one and the command that makes it fit', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(club())
  const before = await picture(db.sql)
  const doctor = await rethread(db.url, ['doctor'], { cwd })
  const plan = await rethread(db.url, ['plan'], { cwd })
  const nearest = [doctor, plan].map(ran => ran.report.findings.find(f => f.code === 'NEAREST_TRACK'))
  expect([plan.code, nearest.map(f => f?.subject)]).toEqual([3, ['workspace-sessions', 'workspace-sessions']])
  expect(nearest[0]!.message).toContain(
    'chats.workspace_id is team (certain: references `public.teams.id`, 98% of rows have it)',
  )
  expect(await picture(db.sql)).toEqual(before)
  // the next thing to do, and no list of tracks that do not fit
  expect([doctor, plan].map(ran => ran.report.summary.need?.command)).toEqual(nearest.map(f => f?.fix))
  expect(plan.report.findings.find(f => f.code === 'TRACK_UNCLEAR')?.fix).toBeNull()
  const made = await rethread(db.url, argsOf(nearest[0]!.fix!), { cwd })
  expect([made.code, codes(made)]).toEqual([0, ['COPIED']])
  expect(codes(await rethread(db.url, ['doctor'], { cwd }))).toContain('FITS')
})

test('the users that every database of Supabase has are nobody’s table of chats', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  for (const command of [
    ['doctor'],
    ['plan'],
    ['status'],
    ['init'],
    ['init', '--track', 'workspace-sessions'],
  ]) {
    const ran = await rethread(db.url, command, { cwd })
    const said = ran.report.findings.flatMap(f => [f.message, f.fix]).join()
    expect(said, command.join(' ')).not.toMatch(/=auth\.users|raw_user_meta_data/)
    if (command[0] === 'plan') expect(codes(ran)).toEqual(['TRACK_UNCLEAR'])
  }
})

test('a table that only may be one of the track is nobody’s to press Enter for', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  // a chat with its messages as JSON, of which the track that wants the least would make projects
  await db.sql.unsafe(`
    create table public.chats (id uuid primary key, user_id uuid not null references auth.users (id), title text, messages json not null)`)
  const ran = await rethread(db.url, ['init'], { cwd })
  expect([ran.code, codes(ran)]).toEqual([3, ['TRACK_UNCLEAR', 'NEAREST_TRACK']])
  expect(existsSync(join(cwd, 'migrations'))).toBe(false)
})

test('a track that wants one table is not chosen by it where another one’s own tables would be left alone', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  // chats that have their messages in a table of their own: of the workspaces, projects could be made
  await db.sql.unsafe(`
    create table public.workspaces (id uuid primary key, user_id uuid not null references auth.users (id), name text not null);
    create table public.chats (id uuid primary key, user_id uuid not null references auth.users (id), workspace_id uuid not null references public.workspaces (id), name text not null, model text not null, created_at timestamptz not null default now());
    create table public.messages (id uuid primary key, chat_id uuid not null references public.chats (id), role text not null, content text not null, created_at timestamptz not null default now())`)
  const ran = await rethread(db.url, ['init'], { cwd })
  expect([ran.code, codes(ran), existsSync(join(cwd, 'migrations'))]).toEqual([3, ['TRACK_UNCLEAR'], false])
  const [unclear] = ran.report.findings
  expect(unclear!.message).toContain('leaves `public.chats` alone, which workspace-sessions is about')
  expect(unclear!.fix).toBe('rethread init --track helper-chats\nrethread init --track workspace-sessions')
  const doctor = await rethread(db.url, ['doctor'], { cwd })
  expect(doctor.report.findings.find(f => f.code === 'NEAREST_TRACK')?.subject).toBe('workspace-sessions')
  // whoever names the track gets it
  const named = await rethread(db.url, ['init', '--track', 'helper-chats'], { cwd })
  expect([named.code, codes(named)]).toEqual([0, ['COPIED']])
})

test('who asks is tried on the database before anything is written, and may be nobody', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`
    create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
    create table public.users (id bigint primary key);
    create table public.workspaces (id bigint primary key, owner_id bigint not null references public.users (id), name text not null);
    create table public.chats (id bigint primary key, workspace_id bigint references public.workspaces (id), user_id bigint references public.users (id), role text not null, message text, created_at timestamptz default now());
    insert into public.users values (1); insert into public.workspaces values (1, 1, 'w'); insert into public.chats values (1, 1, 1, 'user', 'hello');
    grant select on public.chats to authenticated`)
  const init = (asks: string) =>
    rethread(
      db.url,
      ['init', '--track', 'workspace-sessions', '--map', `auth.users=users,identity=${asks}`],
      {
        cwd,
      },
    )
  for (const [asks, says] of [
    ['nobody', 'column "nobody" does not exist'],
    ['app.who()', 'schema "app" does not exist'],
    ["current_setting('app.user', true)", 'operator does not exist: text = bigint'],
  ] as const) {
    const refused = await init(asks)
    expect([refused.code, codes(refused), existsSync(join(cwd, 'migrations'))]).toEqual([
      3,
      ['MAPPING_OPEN'],
      false,
    ])
    expect(refused.report.findings[0]!.message).toContain(says)
    expect(refused.report.findings[0]!.fix).toContain('identity=<yours>')
  }
  expect((await init('none')).code).toBe(0)
  expect(JSON.parse(readFileSync(join(cwd, 'rethread.config.json'), 'utf8')).mapping.identity).toBe(
    'null::bigint',
  )
  const migrated = await rethread(db.url, ['migrate'], { cwd })
  expect([migrated.code, migrated.report.verdict]).toEqual([0, 'clean'])
})

test('texts of which some are no times: what is asked is no wrong type as well, and iso may be said', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(club('', 'text'))
  await db.sql.unsafe(
    `update public.team_messages set sent_at = case id % 3 when 0 then '' when 1 then 'yesterday' else '2025-01-01T10:00:00Z' end`,
  )
  const named = ['init', '--track', 'workspace-sessions', '--map', 'chats.created_at=sent_at']
  const asked = await rethread(db.url, named, { cwd })
  expect([asked.code, codes(asked)]).toEqual([3, ['MAPPING_OPEN']])
  expect(asked.report.findings[0]!.message).toContain(
    "it is text and holds '', 2025-01-01T10:00:00Z, yesterday",
  )
  expect((await rethread(db.url, [...named, '--map-values', 'chats.created_at=iso'], { cwd })).code).toBe(0)
  expect((await rethread(db.url, ['migrate'], { cwd })).report.verdict).toBe('clean')
  const [session] = await db.sql`select min(created_at) as at, count(*)::int as n from public.chat_sessions`
  expect([session!.at.toISOString(), session!.n]).toEqual(['2025-01-01T10:00:00.000Z', 4])
})

test('times without a zone: the zone is asked for, and what it says holds for the migration and for the triggers', async () => {
  for (const type of ['date', 'timestamp']) {
    const cwd = folder({})
    await using db = await database(newest(), 'empty')
    await db.sql.unsafe(club('', `${type} default '2025-03-01'`))
    // the track that clearly comes nearest is the one that is asked about
    const unnamed = await rethread(db.url, ['init'], { cwd })
    const asked = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
    expect([unnamed.code, unnamed.report.findings]).toEqual([asked.code, asked.report.findings])
    expect([asked.code, codes(asked), existsSync(join(cwd, 'migrations'))]).toEqual([
      3,
      ['MAPPING_OPEN'],
      false,
    ])
    expect(asked.report.findings[0]!.message).toContain(
      'zone is UTC (likely: times are stored without a zone',
    )
    const init = ['init', '--track', 'workspace-sessions', '--zone', 'America/New_York']
    expect((await rethread(db.url, init, { cwd })).code).toBe(0)
    const collect = join(cwd, 'migrations/workspace-sessions/003_collect_legacy_sessions.sql')
    expect(readFileSync(collect, 'utf8')).toContain(`at time zone 'America/New_York'`)
    if (type === 'date') continue
    expect((await rethread(db.url, ['migrate', '--phase', 'expand'], { cwd })).code).toBe(0)
    // the old application, which lives in a zone of its own
    await db.sql.unsafe(`set timezone = 'Asia/Tokyo';
      insert into public.team_messages (team, author_id, sender_type, body, sent_at) values (md5('t1')::uuid, md5('u1')::uuid, 'user', 'old', '2025-03-09')`)
    expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
    const [times] = await db.sql`
      select min(created_at) = '2025-03-01 00:00-05' as first, max(updated_at) = '2025-03-09 00:00-05' as last from public.chat_sessions`
    expect(times).toEqual({ first: true, last: true })
  }
})

test('what is not certain is asked: without a terminal nothing is written, and answers may be in a file', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  // two columns that may be the text, and two that may be the author
  await db.sql.unsafe(club(', content text, posted_by uuid references auth.users (id)'))
  const refused = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
  expect([refused.code, codes(refused), existsSync(join(cwd, 'migrations'))]).toEqual([
    3,
    ['MAPPING_OPEN'],
    false,
  ])
  const [open] = refused.report.findings
  expect(open!.message).toContain('chats.message is body or content (open:')
  expect(open!.message).toContain('chats.user_id is author_id or posted_by (open:')
  expect(open!.fix).toContain('chats.message=body')
  writeFileSync(
    join(cwd, 'answers.json'),
    JSON.stringify({
      track: 'workspace-sessions',
      map: { 'chats.message': 'content', 'chats.user_id': 'posted_by' },
    }),
  )
  const made = await rethread(db.url, ['init', '--answers', 'answers.json'], { cwd })
  expect([made.code, codes(made)]).toEqual([0, ['COPIED']])
  const mapping = new Map(made.report.tables.find(t => t.title === 'Mapping')!.rows.map(r => [r[0], r[1]]))
  expect([mapping.get('chats.message'), mapping.get('chats.user_id'), mapping.get('chats')]).toEqual([
    'content',
    'posted_by',
    'team_messages',
  ])
  writeFileSync(join(cwd, 'answers.json'), JSON.stringify({ maps: {} }))
  const wrong = await rethread(db.url, ['init', '--answers', 'answers.json'], { cwd })
  expect([wrong.code, wrong.report.findings[0]!.message]).toEqual([
    2,
    expect.stringContaining('unknown `maps`'),
  ])
})

test('a type that the track cannot read is refused before anything is written, and doctor does not say it fits', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(club('', "interval default '1 day'"))
  const named = ['init', '--track', 'workspace-sessions', '--map', 'chats.created_at=sent_at']
  const refused = await rethread(db.url, named, { cwd })
  expect([refused.code, codes(refused), existsSync(join(cwd, 'migrations'))]).toEqual([
    3,
    ['WRONG_TYPE'],
    false,
  ])
  const doctor = await rethread(db.url, ['doctor', '--track', 'workspace-sessions'], { cwd })
  expect(codes(doctor)).not.toContain('FITS')
  expect(codes(doctor)).toContain('NEAREST_TRACK')
})

test('a column that the track does not use is left out by name; a word that is nearly one is one error', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(club())
  const typo = await rethread(
    db.url,
    ['init', '--track', 'workspace-sessions', '--map', 'chats.mesage=body'],
    {
      cwd,
    },
  )
  expect([typo.code, codes(typo), typo.report.findings[0]!.message]).toEqual([
    2,
    ['USAGE'],
    expect.stringContaining('chats.message'),
  ])
  const made = await rethread(
    db.url,
    ['init', '--track', 'workspace-sessions', '--map', 'workspaces.name=label,chats.message=body'],
    { cwd },
  )
  expect([made.code, codes(made)]).toEqual([0, ['COPIED', 'MAPPING_UNUSED']])
  expect(readFileSync(join(cwd, 'rethread.config.json'), 'utf8')).not.toContain('label')
})

test('names that the track would take are asked for too', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`${club(', session_id text')}; create table public.chat_sessions (id int)`)
  const { report } = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
  expect(report.findings.map(f => f.code)).toEqual(['MAPPING_OPEN'])
  expect(report.findings[0]!.fix).toMatch(
    /chats\.session_id=new_session_id.*chat_sessions=new_chat_sessions|chat_sessions=new_chat_sessions.*chats\.session_id=new_session_id/,
  )
  const made = await rethread(db.url, argsOf(report.findings[0]!.fix!), { cwd })
  expect([made.code, codes(made)]).toEqual([0, ['COPIED']])
})

test('init --check shows what has changed in the database since the track was written', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(club())
  expect((await rethread(db.url, ['init'], { cwd })).code).toBe(0)
  const same = await rethread(db.url, ['init', '--check'], { cwd })
  expect([same.code, codes(same)]).toEqual([0, ['MAPPING_HOLDS']])
  // the configuration is that of the folder, unless there is one where the command is started
  const from = (elsewhere: string) => rethread(db.url, ['init', '--check', '--dir', cwd], { cwd: elsewhere })
  expect(codes(await from(folder({})))).toEqual(['MAPPING_HOLDS'])
  expect(codes(await from(folder({ 'rethread.config.json': '{"lockTimeoutMs": 1}' })))).toEqual([
    'BAD_CONFIG',
  ])
  await db.sql.unsafe(`alter table public.team_messages rename column body to content;
    alter table public.team_messages add column channel text not null default 'web';
    alter table public.team_messages alter channel drop default`)
  const { code, report } = await rethread(db.url, ['init', '--check'], { cwd })
  expect([code, report.findings.map(f => [f.code, f.subject])]).toEqual([
    1,
    // what a row needs beside is given by the probes when they run
    [['MAPPING_DIFFERS', 'chats.message']],
  ])
  const [message] = report.findings.map(f => f.message)
  expect(message).toContain('was written as body; the database now needs content')
  expect(message).toContain('migrations/workspace-sessions/001_create_chat_sessions.sql')
})

/** What a refused command says first, and what it says to do. */
const said = (ran: Awaited<ReturnType<typeof rethread>>) => {
  const [first] = ran.report.findings
  return [ran.code, first!.code, first!.message, first!.fix ?? ''] as const
}

test('times that are numbers: rows show their unit, and where none does it is asked for', async () => {
  await using db = await database(newest(), 'empty')
  const cwd = folder({})
  await db.sql.unsafe(club('', 'bigint default (extract(epoch from now()) * 1000)::bigint'))
  const track = ['init', '--track', 'workspace-sessions']
  const wrong = [
    ['chats.created_at=hours', 'a number holds times as s, ms or us'],
    ['chats.created_at=iso', 'a number holds times as s, ms or us'],
    ['chats.message=ms', 'it is read as it is'],
    ['chats.nothing=ms', 'the track has no such column'],
    ['created_at', 'it looks like chats.role=0:user,1:assistant'],
  ]
  for (const [values, reason] of wrong) {
    const refused = await rethread(db.url, [...track, '--map-values', values!], { cwd })
    expect([values, ...said(refused).slice(0, 3)]).toEqual([
      values,
      2,
      'USAGE',
      expect.stringContaining(reason!),
    ])
  }
  const made = await rethread(db.url, track, { cwd })
  expect([made.code, codes(made)]).toEqual([0, ['COPIED']])
  const asked = made.report.tables
    .find(t => t.title === 'Mapping')!
    .rows.find(r => String(r[3]).includes('since 1970'))
  expect(asked).toEqual(['chats.created_at', 'ms', 'certain', 'its values are milliseconds since 1970'])
  expect(codes(await rethread(db.url, ['init', '--check'], { cwd }))).toEqual(['MAPPING_HOLDS'])
  await db.sql`delete from public.team_messages`
  // the written track has the unit, whether rows show it or not
  expect(codes(await rethread(db.url, ['init', '--check'], { cwd }))).toEqual(['MAPPING_HOLDS'])
  const empty = folder({})
  const open = await rethread(db.url, track, { cwd: empty })
  expect(said(open).slice(0, 2)).toEqual([3, 'MAPPING_OPEN'])
  expect(said(open)[3]).toContain("--map-values 'chats.created_at=<yours>'")
  expect(
    (await rethread(db.url, [...track, '--map-values', 'chats.created_at=s'], { cwd: empty })).code,
  ).toBe(0)
})

test('roles that are codes are asked for, and every code that a row has must be said', async () => {
  await using db = await database(newest(), 'empty')
  const cwd = folder({})
  await db.sql.unsafe(`${club()}; alter table public.team_messages alter sender_type type smallint using 1`)
  await db.sql`update public.team_messages set sender_type = 2 where id = 7`
  const open = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
  expect(said(open).slice(0, 3)).toEqual([
    3,
    'MAPPING_OPEN',
    expect.stringContaining('it is smallint and holds 1, 2: say which role each is'),
  ])
  const answer = (values: string) => {
    writeFileSync(
      join(cwd, 'answers.json'),
      JSON.stringify({ track: 'workspace-sessions', values: { 'chats.role': values } }),
    )
    return rethread(db.url, ['init', '--answers', 'answers.json'], { cwd })
  }
  for (const [values, reason] of [
    ['1:user', 'the column holds 2 too'],
    ['1:user,2:user', 'it looks like'],
    ['1:user,1:assistant', 'it looks like'],
    ['user', 'it looks like'],
    ['1:user,2:assistant,x:system', 'x is no smallint'],
  ] as const)
    expect([values, ...said(await answer(values)).slice(0, 3)]).toEqual([
      values,
      2,
      'USAGE',
      expect.stringContaining(reason),
    ])
  expect(existsSync(join(cwd, 'migrations'))).toBe(false)
  expect((await answer('1:user,2:assistant')).code).toBe(0)
  expect(codes(await rethread(db.url, ['init', '--check'], { cwd }))).toEqual(['MAPPING_HOLDS'])
  // exports say the words, as the probes write the codes
  await rethread(db.url, ['migrate'], { cwd })
  const [session] = await db.sql`select session_id as id from public.team_messages where id = 7`
  const shown = await rethread(db.url, ['sessions', 'show', session!.id], { cwd })
  expect(JSON.stringify(shown.report.tables)).toContain('assistant')
})

test('roles that are true and false, or other words, are asked for, and the probes write them', async () => {
  const kinds = [
    {
      type: 'boolean',
      of: 'id % 3 = 0',
      asks: 'false, true: say which role',
      answer: 'false:user,true:assistant',
    },
    {
      type: 'public.speaker',
      of: `(array['HUMAN', 'AI'])[1 + id % 2]::public.speaker`,
      asks: 'AI:assistant (likely',
      answer: null,
    },
  ]
  for (const { type, of, asks, answer } of kinds) {
    await using db = await database(newest(), 'empty')
    const cwd = folder({})
    await db.sql.unsafe(`${club()}; create type public.speaker as enum ('HUMAN', 'AI');
      alter table public.team_messages alter sender_type type ${type} using ${of}`)
    const open = await rethread(db.url, ['init', '--track', 'workspace-sessions'], { cwd })
    expect(said(open).slice(0, 3)).toEqual([3, 'MAPPING_OPEN', expect.stringContaining(asks)])
    const command = argsOf(open.report.findings[0]!.fix!).map(word =>
      word === 'chats.role=<yours>' ? `chats.role=${answer}` : word,
    )
    expect((await rethread(db.url, command, { cwd })).code).toBe(0)
    expect((await rethread(db.url, ['migrate', '--phase', 'expand'], { cwd })).code).toBe(0)
    const verified = await rethread(db.url, ['verify', '--only', 'access_overlap'], { cwd })
    expect([type, verified.code, verified.report.checks.map(c => c.outcome)]).toEqual([type, 0, ['pass']])
  }
})

test('numbers that only the application makes are refused, and the fix is named', async () => {
  await using db = await database(newest(), 'empty')
  const cwd = folder({})
  await db.sql.unsafe(`
    create table public.tenants (id uuid primary key, name text not null);
    create table public.tenant_users (tenant_id uuid references public.tenants, user_id uuid references auth.users, role text, primary key (tenant_id, user_id));
    create table public.chat_sessions (id bigint primary key, tenant_id uuid references public.tenants, user_id uuid references auth.users, title text, messages jsonb, metadata jsonb, created_at timestamptz, updated_at timestamptz)`)
  const refused = await rethread(db.url, ['init', '--track', 'conversation-history'], { cwd })
  expect(said(refused).slice(0, 3)).toEqual([
    3,
    'WRONG_TYPE',
    expect.stringContaining('public.chat_sessions.id is bigint; uuid or bigint with a default is needed'),
  ])
  await db.sql`alter table public.chat_sessions alter id add generated by default as identity`
  expect((await rethread(db.url, ['init', '--track', 'conversation-history'], { cwd })).code).toBe(0)
})
