import { describe, expect, test } from 'vitest'
import { contract, rethread } from '../support/cli.js'
import { type Database, database, picture, servers } from '../support/database.js'

/**
 * What would stop a run later is said before its first step: `plan` and `doctor` end with 1 where `migrate`
 * refuses with 3, and nothing has changed.
 */

const track = ['--track', 'workspace-sessions']

/** Runs all three, which must say the same; what they say. */
async function refusedEverywhere(db: Database, code: string) {
  const before = await picture(db.sql)
  const said = []
  for (const [command, exit] of [
    ['doctor', 1],
    ['plan', 1],
    ['migrate', 3],
  ] as const) {
    const ran = await rethread(db.url, [command, ...track])
    expect([command, ran.code, ran.report.findings.map(f => f.code)]).toEqual([
      command,
      exit,
      expect.arrayContaining([code]),
    ])
    said.push(ran.report.findings.filter(f => f.code === code))
  }
  expect(await picture(db.sql)).toEqual(before)
  expect((await db.sql`select to_regnamespace('rethread') as made`)[0]!.made).toBeNull()
  const [doctor, plan, migrate] = said.map(list => list.map(f => [f.subject, f.message, f.fix]))
  expect(plan).toEqual(migrate)
  expect(doctor).toEqual(migrate)
  return said[2]!
}

describe.each(servers())('looked for first on PostgreSQL $major', server => {
  test('names that later files give and the application has: an index, a policy, a constraint, a column, a function', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`
      create index idx_chats_session_created on public.chats (created_at);
      create policy chats_select on public.chats for select to authenticated using (user_id = (select auth.uid()));
      alter table public.chats add constraint chats_session_id_present check (id is not null);
      alter table public.chats add column session_id text;
      create schema chat_private;
      create function chat_private.fill_session() returns trigger language plpgsql as $$ begin return new; end $$;`)
    const found = await refusedEverywhere(db, 'NAME_TAKEN')
    expect(found.map(f => f.subject).sort()).toEqual([
      'column session_id on public.chats',
      'constraint chats_session_id_present on public.chats',
      'function chat_private.fill_session()',
      'index public.idx_chats_session_created',
      'policy chats_select on public.chats',
    ])
    // each fix can be pasted
    for (const f of found) await db.sql.unsafe(f.fix!.split(';')[0]!)
    const after = await rethread(db.url, ['plan', ...track])
    expect([after.code, after.report.findings.filter(f => f.code === 'NAME_TAKEN')]).toEqual([0, []])
    const migrated = await rethread(db.url, ['migrate', ...track])
    expect(migrated.code).toBe(0)
    expect((await rethread(db.url, ['migrate', ...track, ...contract])).code).toBe(0)
  })

  test('a published table whose rows nobody can tell apart: said with the statement that gives them an identity', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`set client_min_messages = error;
      alter table public.chats drop constraint chats_pkey cascade; create publication everything for all tables;`)
    const [found] = await refusedEverywhere(db, 'NO_REPLICA_IDENTITY')
    expect([found!.subject, found!.facts]).toMatchObject(['public.chats', { publications: ['everything'] }])
    await db.sql.unsafe(found!.fix!.split(';')[0]!)
    expect((await rethread(db.url, ['plan', ...track])).code).toBe(0)
  })

  test('a check that was never validated and that messages violate', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`alter table public.chats add constraint short check (length(message) < 3) not valid`)
    const [found] = await refusedEverywhere(db, 'ROWS_VIOLATE')
    expect([found!.subject, found!.facts]).toMatchObject(['public.chats', { constraint: 'short' }])
    // as soon as no row violates it, nothing is said
    await db.sql.unsafe(`alter table public.chats drop constraint short;
      alter table public.chats add constraint short check (length(message) >= 0) not valid`)
    expect((await rethread(db.url, ['plan', ...track])).code).toBe(0)
  })

  test('a partitioned table: what the server does not do with one is said for each statement', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`
      alter table public.chats rename to chats_before;
      create table public.chats (like public.chats_before including defaults, primary key (id, created_at)) partition by range (created_at);
      create table public.chats_rest partition of public.chats default;
      insert into public.chats select * from public.chats_before where created_at is not null;
      drop table public.chats_before cascade`)
    const found = await refusedEverywhere(db, 'PARTITIONED_TABLE')
    expect(found.map(f => f.facts)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          migration: 'migrations/workspace-sessions/006_index_and_constrain.sql',
          sql: expect.stringMatching(/index concurrently/),
        }),
      ]),
    )
    expect(found.some(f => /foreign key NOT VALID/.test(f.message))).toBe(server.major < 18)
  })

  test('the files run on empty twins: what only the server knows is found, and no table is locked', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    // unique by id no more: nothing can point at it
    await db.sql.unsafe(`alter table public.workspaces drop constraint workspaces_pkey cascade`)
    // whoever wants more than ACCESS SHARE has to wait, longer than the rehearsal does
    const holder = await db.sql.reserve()
    await holder.unsafe('begin; lock table public.chats, public.workspaces, auth.users in exclusive mode')
    const found = await refusedEverywhere(db, 'WOULD_FAIL')
    await holder.unsafe('rollback')
    holder.release()
    expect(found.map(f => [f.subject, f.facts])).toEqual([
      [
        expect.stringMatching(/^migrations\/workspace-sessions\/001_create_chat_sessions.sql:\d+$/),
        expect.objectContaining({
          sqlstate: '42830',
          reason: expect.stringMatching(/matching given keys for referenced table "workspaces"/),
        }),
      ],
    ])
  })

  test('a column of another type: which one it has, and which one is needed', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql
      .unsafe(`alter table public.workspaces alter column name type varchar(80);
      alter table public.workspaces alter column owner_id type text using owner_id::text`)
      .catch(() => {})
    await db.sql.unsafe(`create table public.w as table public.workspaces; drop table public.workspaces cascade;
      alter table public.w rename to workspaces; alter table public.workspaces alter column owner_id type text`)
    const ran = await rethread(db.url, ['migrate', ...track])
    expect([ran.code, ran.report.findings.find(f => f.code === 'WRONG_TYPE')!.message]).toEqual([
      3,
      'column public.workspaces.owner_id is text; uuid is needed.',
    ])
    const doctor = await rethread(db.url, ['doctor'])
    expect(doctor.code).toBe(1)
    expect(JSON.stringify(doctor.report.tables)).toContain('workspaces.owner_id is text, uuid is needed')
  })
})
