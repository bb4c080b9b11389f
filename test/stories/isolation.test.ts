import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configured, contract, rethread } from '../support/cli.js'
import { database, newest, open, picture, some } from '../support/database.js'

/** Faults of the kinds met in the field, each found by a command that a person would run. */
const faults: [what: string, sql: string, check: string, says: RegExp][] = [
  [
    'anon can read everything',
    'grant select on public.chats to anon; create policy open on public.chats for select using (true)',
    'access',
    /anon may select, and should not/,
  ],
  [
    'insert into someone else’s chat',
    // both walls: the policy, and the rule of the trigger
    'alter policy chats_insert on public.chats with check (true); alter table public.chats disable trigger rethread_check_session_on_insert',
    'access',
    /outsider may do it|outsider may insert/,
  ],
  [
    'a tenant moved by an UPDATE without WHERE',
    `create policy loose on public.chats for update to authenticated using (true) with check (true);
     alter table public.chats disable trigger rethread_check_session_on_update`,
    'access',
    /outsider may move by workspace_id, without WHERE/,
  ],
  [
    'row security off with policies present',
    'alter table public.chats disable row level security',
    'row_security',
    /its policies do nothing/,
  ],
  [
    'a foreign key that says valid with orphans',
    `set session_replication_role = replica;
     insert into public.chats (workspace_id, message, session_id) select id, 'orphan', gen_random_uuid() from public.workspaces limit 1;
     set session_replication_role = origin`,
    'same_workspace',
    /its session .* does not exist/,
  ],
  [
    'a view that walks past the policies',
    'create view public.every_message as select * from public.chats',
    'access',
    /outsider may select from view every_message/,
  ],
]

describe.each(some('oldest'))('isolation on PostgreSQL $major', server => {
  test.each(faults)('%s is found by %s', async (_, sql, check, says) => {
    await using db = await database(server, 'workspace-sessions', 300)
    expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
    await db.sql.unsafe(sql)
    const ran = await rethread(db.url, ['verify', '--only', check])
    expect(ran.code).toBe(1)
    const found = ran.report.checks[0]!.found.map(f => `${f.object}: ${f.detail}`)
    expect(found.join('\n')).toMatch(says)
    // what an index tells of millions of rows, the rows themselves tell too
    if (check !== 'same_workspace') return
    const deep = await rethread(db.url, ['verify', '--only', check, '--deep'])
    expect(deep.report.checks.find(c => c.check === check)!.found).toEqual(ran.report.checks[0]!.found)
  })
})

test('a clean database verifies clean, and the probes leave nothing behind', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  // it is closed, and could not show the rows of the probes
  await db.sql.unsafe(`
    create materialized view public.counted as select workspace_id, count(*) from public.chats group by 1;
    revoke all on public.counted from anon, authenticated`)
  const before = await picture(db.sql)
  const ran = await rethread(db.url, ['verify', '--sample', '4', '--deep'])
  expect([ran.code, ran.report.verdict]).toEqual([0, 'clean'])
  expect(await picture(db.sql)).toEqual(before)
  const real = ran.report.tables.find(t => t.title === 'What real users see')!
  expect(real.rows.length).toBe(8)
  // it would prove nothing if nobody saw anything
  expect(real.rows.reduce((n, r) => n + Number(r[3]), 0)).toBeGreaterThan(0)
  expect(real.rows.every(r => r[4] === true)).toBe(true)
})

test('an advisory lock that the application takes by the hash of an id keeps nothing of a track waiting', async () => {
  await using db = await database(newest(), 'trip-sessions', 60)
  const sql = open(db.url, 1)
  const held = open(db.url, 1)
  try {
    expect((await rethread(db.url, ['migrate', '--track', 'trip-sessions'])).code).toBe(0)
    const hold = (id: string) => held`select pg_advisory_lock(hashtextextended(${id}, 0))`
    const [row] =
      await sql`select conversation_id::text as id, iso_agent_id::text as agent from public.chat_sessions limit 1`
    await hold(row!.id)
    await sql`set lock_timeout = '200ms'`
    const [made] =
      await sql`select public.create_or_update_chat_session(${row!.id}, ${row!.agent}) is not null as made`
    expect(made).toEqual({ made: true })
    await using chats = await database(newest(), 'helper-chats', 60)
    const cwd = configured({ settings: { max_sessions_per_user: '500' } })
    expect((await rethread(chats.url, ['migrate', '--track', 'helper-chats'], { cwd })).code).toBe(0)
    const [project] = await chats.sql`select id::text, user_id::text as "user" from public.projects limit 1`
    await chats.sql.begin(async tx => {
      const other = open(chats.url, 1)
      await other`select pg_advisory_lock(hashtextextended(${project!.user}, 0))`
      await tx`set local lock_timeout = '200ms'`
      await tx`insert into public.chat_sessions (user_id, project_id, helper, thread_id) values (${project!.user}, ${project!.id}, 'planner', 'a thread')`
      await other.end()
    })
  } finally {
    await sql.end()
    await held.end()
  }
})

test('while the owner of the messages has switched triggers off, that is said and isolation is still looked at', async () => {
  await using db = await database(newest(), 'workspace-sessions', 60)
  expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  await db.sql.unsafe(`
    alter table public.chats disable trigger zzz_rethread_fill_session_on_insert, disable trigger rethread_fill_session_after_insert;
    insert into public.chats (workspace_id, user_id, message) select id, owner_id, 'unseen' from public.workspaces where owner_id is not null limit 1`)
  const ran = await rethread(db.url, ['verify', '--only', 'access_overlap,triggers,orphaned_messages'])
  expect(ran.report.checks.map(c => [c.check, c.outcome]).sort()).toEqual([
    ['access_overlap', 'pass'],
    ['orphaned_messages', 'found'],
    ['triggers', 'found'],
  ])
})

test('of a large table only some rows are tried by an update without WHERE, and what lets the others’ through is found', async () => {
  await using db = await database(newest(), 'workspace-sessions', 12_000)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  await db.sql`analyze public.chats`
  // nobody may read, and still the policies of UPDATE are asked
  await db.sql`revoke select on public.chats from authenticated`
  const swept = async (...flags: string[]) => {
    const { report } = await rethread(db.url, ['verify', '--only', 'access', ...flags])
    const matrix = report.tables.find(t => t.title.endsWith('public.chats'))!
    return matrix.rows.filter(r => String(r[0]).includes('without WHERE'))
  }
  const safe = ['denied', 'denied', 'denied', 'denied', 'denied', '-']
  const sampled = await swept()
  expect(sampled.map(r => r[0])).toEqual([
    'move by workspace_id, without WHERE (a sample)',
    'move by session_id, without WHERE (a sample)',
  ])
  expect(sampled.map(r => r.slice(1))).toEqual([safe, safe])
  expect((await swept('--deep')).map(r => r[0])).toEqual([
    'move by workspace_id, without WHERE',
    'move by session_id, without WHERE',
  ])
  await db.sql`alter table public.chats disable trigger rethread_check_session_on_update`
  // everybody's but the owner's row
  await db.sql`create policy loose on public.chats for update to authenticated using (user_id is distinct from 'a0000000-7e57-4000-8000-000000000001') with check (true)`
  const open = ['allowed, wrongly', 'allowed, wrongly', 'allowed, wrongly', 'allowed, wrongly', 'denied', '-']
  expect((await swept())[0]!.slice(1)).toEqual(open)
  expect((await swept('--deep'))[0]!.slice(1)).toEqual(open)
})

test('a role that may not become the personas proves nothing, and that is never clean', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  const role = `looker_${db.name}`
  await db.sql.unsafe(
    `create role ${role} login bypassrls; grant all on all tables in schema public, auth, rethread, rethread_archive, chat_private to ${role};
     grant usage on schema public, auth, rethread, rethread_archive, chat_private to ${role}; grant execute on all functions in schema chat_private to ${role}`,
  )
  const url = new URL(db.url)
  url.username = role
  const ran = await rethread(url.toString(), ['verify', '--track', 'workspace-sessions', '--only', 'access'])
  await db.sql.unsafe(`drop owned by ${role}; drop role ${role}`)
  expect(ran.report.checks.map(c => c.outcome)).toEqual(['skipped'])
  const skipped = ran.report.findings.find(f => f.code === 'PROBE_SKIPPED')!
  expect(skipped.fix).toMatch(/^grant .*authenticated.* to/)
  expect([ran.code, ran.report.verdict]).toEqual([1, 'attention'])
})

test('seeding that would reach outside of the database is left undone, and told', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  await db.sql.unsafe(`
    create function public.tell_everybody() returns trigger language plpgsql as $$
    begin perform net.http_post('https://example.com', '{}'); return new; end $$;
    create trigger tell after insert on public.workspaces for each row execute function public.tell_everybody()`)
  const ran = await rethread(db.url, ['verify', '--only', 'access'])
  expect(ran.report.checks[0]).toMatchObject({ outcome: 'skipped' })
  expect(ran.report.checks[0]!.reason).toContain('workspaces.tell')
  expect(ran.code).toBe(1)
})

test('a known finding is accepted by its key until its day, and told when the day is over', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  await db.sql.unsafe('drop index public.idx_chat_sessions_created_at')
  const loud = await rethread(db.url, ['verify', '--only', 'indexes'])
  const key = loud.report.checks[0]!.found[0]!.key
  expect([loud.code, key]).toEqual([1, 'workspace-sessions/indexes/idx_chat_sessions_created_at'])
  const accept = (until: string) => configured({ accepted: [{ key, reason: 'rebuilt on Sunday', until }] })
  const known = await rethread(db.url, ['verify', '--only', 'indexes'], { cwd: accept('2999-12-31') })
  expect([known.code, known.report.checks[0]!.found[0]!.accepted]).toEqual([
    0,
    'rebuilt on Sunday (until 2999-12-31)',
  ])
  const over = await rethread(db.url, ['verify', '--only', 'indexes'], { cwd: accept('2020-01-01') })
  expect([over.code, over.report.findings.map(f => f.code)]).toEqual([
    1,
    ['ACCEPTANCE_OVER', 'ISOLATION_UNVERIFIED'],
  ])
})

test('a partition that is read directly is found, in a track of one’s own', async () => {
  await using db = await database(newest(), 'empty')
  const dir = mkdtempSync('/tmp/rethread-own-')
  for (const f of ['migrations', 'rollbacks', 'verify']) mkdirSync(join(dir, f, 'own'), { recursive: true })
  writeFileSync(
    join(dir, 'migrations/own/001_rooms.sql'),
    `create table public.rooms (id uuid not null, user_id uuid not null, title text, made date not null default '2026-01-01', primary key (id, made)) partition by range (made);
     create table public.rooms_2026 partition of public.rooms for values from ('2026-01-01') to ('2027-01-01');
     create index rooms_user on public.rooms (user_id);
     alter table public.rooms enable row level security;
     create policy own_rooms on public.rooms for all to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
     revoke all on public.rooms from anon;`,
  )
  writeFileSync(join(dir, 'rollbacks/own/001_rooms.sql'), 'drop table public.rooms;')
  const id = 'c0000000-7e57-4000-8000-000000000001'
  const persona = (sub: string) => ({ role: 'authenticated', claims: { sub } })
  const access = {
    personas: { owner: persona(id), outsider: persona(id.replace(/1$/, '2')) },
    tables: [
      {
        table: 'public.rooms',
        row: { id },
        touch: 'title',
        move: { user_id: id.replace(/1$/, '2') },
        may: { select: ['owner'], insert: ['owner'], update: ['owner'], delete: ['owner'] },
      },
    ],
  }
  writeFileSync(
    join(dir, 'verify/own/access.sql'),
    `--! kind: access\ninsert into public.rooms (id, user_id, title) values ('${id}', '${id}', 'mine');\nselect '${JSON.stringify(access)}'::json;`,
  )
  expect((await rethread(db.url, ['migrate', '--dir', dir])).code).toBe(0)
  const open = await rethread(db.url, ['verify', '--dir', dir])
  expect(open.code).toBe(1)
  const found = open.report.checks.flatMap(c => c.found.map(f => `${c.check}: ${f.detail}`))
  expect(found).toContain('access: outsider may select from partition rooms_2026, and should not')
  expect(found).toContainEqual(
    expect.stringMatching(
      /^row_security: row level security is off, the policies of the table above it do nothing/,
    ),
  )
  await db.sql.unsafe(
    'alter table public.rooms_2026 enable row level security; revoke all on public.rooms_2026 from anon, authenticated',
  )
  const shut = await rethread(db.url, ['verify', '--dir', dir, '--only', 'row_security'])
  expect(shut.code).toBe(0)
})

test('a policy that asks for every row who is asking, and one that reads a large table from end to end, are told', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  await db.sql.unsafe(`
    insert into public.chat_sessions (workspace_id, user_id) select w.id, w.owner_id from public.workspaces w cross join generate_series(1, 30000 / 5) where w.owner_id is not null limit 30000;
    alter policy chat_sessions_select on public.chat_sessions using (user_id::text = auth.uid()::text);
    drop index public.idx_chat_sessions_user_id;
    analyze public.chat_sessions`)
  const ran = await rethread(db.url, ['verify', '--only', 'access', '--fail-on', 'warn'])
  const codes = ran.report.findings.map(f => f.code)
  expect(codes).toContain('POLICY_PER_ROW')
  expect(codes).toContain('POLICY_SCANS')
  expect(ran.code).toBe(1)
})

test('prove: what came in is accounted for, persons see what they saw; a lost message and a wider sight are told', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  // a messages table whose policies show each person their own messages
  await db.sql.unsafe(`
    alter table public.chats enable row level security;
    create policy mine on public.chats for select to authenticated using (user_id = (select auth.uid()))`)
  expect((await rethread(db.url, ['migrate', '--allow', 'SHOWS_ROWS'])).code).toBe(0)
  const good = await rethread(db.url, ['prove'])
  expect(good.report.tables.find(t => t.title === 'What came in')!.rows[0]!.at(-1)).toBe(0)
  const sights = good.report.tables.find(t => t.title === 'What people saw before and see now')!
  expect(sights.rows.map(r => [r[4], r[5]])).toEqual(sights.rows.map(() => [0, 0]))
  expect(sights.rows.some(r => Number(r[2]) > 0)).toBe(true)
  await db.sql.unsafe(`
    create policy everybody on public.chats for select to authenticated using (true);
    with gone as (
      delete from public.chats
      where id = (select id from public.chats where session_id is not null order by created_at limit 1) returning workspace_id, session_id
    )
    insert into public.chats (workspace_id, session_id, role, message)
    select workspace_id, session_id, 'user', 'the application goes on' from gone cross join generate_series(1, 2)`)
  const bad = await rethread(db.url, ['prove'])
  const codes = bad.report.findings.map(f => f.code)
  expect(codes).toContain('SEES_MORE')
  // a row that is deleted is not hidden from anybody
  expect(codes).not.toContain('SEES_LESS')
  const beside = bad.report.tables.find(t => t.title === sights.title)!
  expect(beside.rows.some(r => r[6] === 1)).toBe(true)
  // what the application has added since hides no loss
  const recounted = bad.report.checks.find(c => c.check === 'same_as_backfilled')!
  expect(recounted.found).toEqual([
    expect.objectContaining({
      detail: expect.stringMatching(/^1 of the \d+ rows from before it is gone/),
    }),
  ])
  expect(bad.code).toBe(1)
  // the command that is advised for what one check has found looks at it again
  const looked = await rethread(db.url, ['verify', '--only', 'same_as_backfilled,real_persons'])
  expect(looked.report.checks.map(c => [c.check, c.found.map(f => f.detail)])).toEqual([
    ['real_persons', expect.any(Array)],
    ['same_as_backfilled', recounted.found.map(f => f.detail)],
  ])
})
