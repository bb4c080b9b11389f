import { describe, expect, test } from 'vitest'
import type { HazardCode } from '../../src/index.js'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { type Database, database, inTurn, newest, picture, servers } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'
import { random, seed } from '../support/random.js'

const track = ['--track', 'workspace-sessions']
const prune = (...flags: string[]) => ['prune', ...track, '--older-than', '200d', ...flags]
const remove = (db: Database, ...hazards: string[]) => [
  ...prune('--delete', '--apply', '--allow', ['DELETES_DATA', ...hazards].join(','), '--confirm', db.name),
]

/** Sessions of 2025 with two messages each, in the first workspace. */
async function withSessions(db: Database, n: number): Promise<void> {
  expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
  await db.sql`
    with made as (
      insert into public.chat_sessions (workspace_id, user_id, title, created_at, updated_at)
      select w.id, w.owner_id, 'Old ' || i, '2025-01-01', '2025-01-01'
      from (select id, owner_id from public.workspaces where owner_id is not null order by id limit 1) w, generate_series(1, ${n}) i
      returning id, workspace_id, user_id
    )
    insert into public.chats (workspace_id, user_id, role, message, session_id, created_at)
    select workspace_id, user_id, 'user', 'message ' || i, id, '2025-01-01' from made, generate_series(1, 2) i`
  await db.sql`update public.chat_sessions set updated_at = '2025-01-01' where title like 'Old %'`
}

/** Sessions and messages now. */
const counted = async (db: Database): Promise<{ sessions: number; messages: number }> => {
  const [row] = await db.sql<{ sessions: number; messages: number }[]>`
    select (select count(*)::int from public.chat_sessions) as sessions, (select count(*)::int from public.chats) as messages`
  return row!
}

describe.each(servers())('prune on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a session of last year with a message of today is in use; what is deleted can be restored, to the last byte', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await withSessions(db, 4)
    // the server takes no DELETE of a table with such a rule into a WITH
    await db.sql`create rule also as on delete to public.chats do also notify chats`
    // all that the fixture has is in use
    await db.sql`update public.chat_sessions set updated_at = now() where title is null or title not like 'Old %'`
    const [used] = await db.sql`select id from public.chat_sessions where title = 'Old 1'`
    await db.sql`update public.chats set created_at = now() where id in (select id from public.chats where session_id = ${used!.id} limit 1)`
    // as an application leaves it that does not keep the session's own time
    const [{ at }] = (await db.sql`
      select max(created_at)::text as at from public.chats where session_id = ${used!.id}`) as unknown as [
      { at: string },
    ]
    const setTime = (time: string) =>
      db.sql`update public.chat_sessions set updated_at = ${time}::text::timestamptz where id = ${used!.id}`
    await setTime(at)
    const whole = await picture(db.sql)
    await setTime('2025-01-01')
    const before = await picture(db.sql)
    const had = await counted(db)
    const dry = await rethread(db.url, prune('--delete'))
    const kept = Object.fromEntries(
      dry.report.tables.find(t => t.title === 'Kept')!.rows.map(r => [r[1], r[0]]),
    )
    expect([dry.code, dry.report.findings.map(f => [f.code, (f.facts as { count: number }).count])]).toEqual([
      0,
      [['PRUNABLE', 3]],
    ])
    expect(kept).toEqual({
      'they are newer than the retention': had.sessions - 4,
      'a message is newer than their own time': 1,
    })
    expect(await picture(db.sql)).toEqual(before)
    const done = await rethread(db.url, remove(db))
    expect([done.code, done.report.findings.map(f => f.code)]).toEqual([0, ['PRUNED', 'ARCHIVED']])
    expect(await counted(db)).toEqual({ sessions: had.sessions - 3, messages: had.messages - 6 })
    expect(
      (await db.sql`select title from public.chat_sessions where title like 'Old %'`).map(r => r.title),
    ).toEqual(['Old 1'])
    // the checks have the last word on a restore
    await setTime(at)
    // what was pruned is not meant to come back: nothing waits for a restore
    const seen = await rethread(db.url, ['status', '--track', 'workspace-sessions'])
    expect(seen.report.findings.map(f => f.code)).not.toContain('ARCHIVE_WAITING')
    const archived = done.report.findings.find(f => f.code === 'ARCHIVED')!
    const back = await rethread(db.url, archived.fix!.replace(/^rethread /, '').split(' '))
    expect([back.code, back.report.findings.map(f => f.code)]).toEqual([
      0,
      expect.arrayContaining(['RESTORED']),
    ])
    expect(await picture(db.sql)).toEqual(whole)
  })

  test('more than half of the sessions go only by name; marked as deleted, nothing is taken away', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await withSessions(db, 40)
    const before = await picture(db.sql)
    const refused = await rethread(db.url, remove(db))
    expect([refused.code, refused.report.findings[0]!.code, refused.report.findings[0]!.message]).toEqual([
      3,
      'CONSENT_NEEDED',
      expect.stringMatching(/PRUNES_MOST: takes 4\d of 4\d sessions/),
    ])
    expect(await picture(db.sql)).toEqual(before)
    const had = await counted(db)
    const marked = await rethread(db.url, prune('--soft', '--apply', '--allow', 'PRUNES_MOST'))
    expect([marked.code, marked.report.findings.map(f => f.code)]).toEqual([0, ['PRUNED']])
    expect(await counted(db)).toEqual(had)
    const [row] =
      await db.sql`select count(*) filter (where deleted_at is null and title like 'Old %')::int as n from public.chat_sessions`
    expect(row!.n).toBe(0)
    const again = await rethread(db.url, prune('--soft'))
    expect((again.report.findings[0]!.facts as { count: number }).count).toBe(0)
  })

  test('sessions that something refuses to let go, at the commit too or without a word, stay whole and are named; the others go', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await withSessions(db, 5)
    await db.sql.unsafe(`
      update public.chats c set message = s.title from public.chat_sessions s where s.id = c.session_id and s.title like 'Old %';
      create function public.late() returns trigger language plpgsql as $$ begin
        if old.message = 'Old 1' then raise exception 'not this one'; end if; return null; end $$;
      create constraint trigger late after delete on public.chats deferrable initially deferred for each row execute function public.late();
      create function public.quiet() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger quiet before delete on public.chats for each row when (old.message = 'Old 2') execute function public.quiet();
      create trigger quiet before update of deleted_at on public.chat_sessions for each row when (old.title = 'Old 3') execute function public.quiet();
      update public.chat_sessions set updated_at = case when title like 'Old %' then date '2025-01-01' else now() end`)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const consent = { allow: ['DELETES_DATA', 'PRUNES_MOST'] as HazardCode[], confirm: db.name }
    const pruned = async (how: { soft: true } | { delete: true }) => {
      const report = await project.prune({ ...how, apply: true, olderThanDays: 200, consent })
      const left = await db.sql`
        select s.title, count(c.id)::int as messages, s.deleted_at is not null as marked from public.chat_sessions s
        left join public.chats c on c.session_id = s.id where s.title like 'Old %' group by 1, 3 order by 1`
      const stay = report.findings.flatMap(f =>
        f.code === 'ROWS_FAILED' ? [[f.facts.rows, f.facts.sqlstate, f.facts.keys.length]] : [],
      )
      return [report.verdict, stay, left.map(r => `${r.title} ${r.messages} ${r.marked}`)]
    }
    expect(await pruned({ soft: true })).toEqual([
      'attention',
      [[1, null, 1]],
      ['Old 1 2 true', 'Old 2 2 true', 'Old 3 2 false', 'Old 4 2 true', 'Old 5 2 true'],
    ])
    // the mark was use
    await db.sql`update public.chat_sessions set updated_at = '2025-01-01' where title like 'Old %'`
    expect(await pruned({ delete: true })).toEqual([
      'attention',
      expect.arrayContaining([
        [1, 'P0001', 1],
        [1, null, 1],
      ]),
      ['Old 1 2 true', 'Old 2 2 true'],
    ])
    await db.sql`drop trigger late on public.chats`
    await db.sql`drop trigger quiet on public.chats`
    expect(await pruned({ delete: true })).toEqual(['clean', [], []])
  })

  test('rows of others that point at a session keep it; a trigger that deletes more is refused, and nothing is gone', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await withSessions(db, 3)
    await db.sql.unsafe(`
      create table public.invoices (id int primary key, session_id uuid references public.chat_sessions (id));
      insert into public.invoices select 1, id from public.chat_sessions where title = 'Old 1';
      create table public.reminders (id int primary key, session_id uuid references public.chat_sessions (id) on delete set null);
      insert into public.reminders select 1, id from public.chat_sessions where title = 'Old 2';
      create table public.notes (id int primary key);
      insert into public.notes values (1);
      create function public.forget() returns trigger language plpgsql as $$ begin delete from public.notes; return null; end $$;
      create trigger forget after delete on public.chats for each statement execute function public.forget()`)
    const before = await picture(db.sql)
    const refused = await rethread(db.url, remove(db, 'PRUNES_MOST'))
    expect([refused.code, refused.report.findings.map(f => [f.code, f.subject])]).toEqual([
      2,
      [['DESTROYS_UNARCHIVED', 'public.notes']],
    ])
    expect(await picture(db.sql)).toEqual(before)
    await db.sql`drop trigger forget on public.chats`
    const pictured = await picture(db.sql)
    const done = await rethread(db.url, remove(db, 'PRUNES_MOST'))
    expect(done.code).toBe(0)
    expect(done.report.tables.find(t => t.title === 'Kept')!.rows).toContainEqual([
      1,
      'rows of public.invoices point at them',
    ])
    expect((await db.sql`select session_id from public.reminders`)[0]!.session_id).toBe(null)
    expect((await rethread(db.url, ['restore', 'latest', ...track])).code).toBe(0)
    expect(await picture(db.sql)).toEqual(pictured)
  })
})

test('while the old application keeps its own rows of a session, prune names the step after which it may', async () => {
  await using db = await database(newest(), 'conversation-history', 40)
  const project = await inProcess(db.url, { track: 'conversation-history' })
  expect((await project.migrate()).verdict).toBe('clean')
  const old = db.sql`select count(*)::int as n from public.chat_sessions where updated_at < now() - interval '30 days'`
  const [{ n }] = (await old) as unknown as [{ n: number }]
  const consent = { allow: ['DELETES_DATA', 'PRUNES_MOST'] as HazardCode[], confirm: db.name }
  const request = { delete: true, apply: true, olderThanDays: 30, consent }
  const refused = await said(project.prune(request))
  expect([n > 5, refused.verdict, refused.codes]).toEqual([true, 'failed', ['DESTROYS_UNARCHIVED']])
  expect(refused.findings[0]!.fix).toContain('Prune when `007_set_sessions_aside` has run')
  const ending = { phase: 'contract' as const, consent: { allow: ['ENDS_OLD_APP'] as HazardCode[] } }
  expect((await project.migrate(ending)).verdict).toBe('clean')
  expect((await project.prune(request)).verdict).toBe('clean')
  await project.close()
})

test('a conversation whose session was pruned gets none by a migrate or a rollback, but by a message', async () => {
  await using db = await database(newest(), 'trip-sessions', 100)
  const run = async (...args: string[]) => {
    const ran = await rethread(db.url, [...args, '--track', 'trip-sessions'])
    expect([args, ran.code, ran.report.findings.filter(f => f.level === 'error')]).toEqual([args, 0, []])
    return ran.report
  }
  const without = async () =>
    (
      await db.sql`
        select c.subject from public.conversations c join public.requests r on r.id = c.request_id
        where r.iso_agent_id is not null and not exists (select from public.chat_sessions s where s.conversation_id = c.id) order by 1`
    ).map(r => r.subject)
  await run('migrate')
  await db.sql.unsafe(`
    update public.chat_sessions set last_activity_at = now();
    set session_replication_role = replica;
    update public.chat_sessions set last_activity_at = '2020-01-01' where conversation_id in (select id from public.conversations where subject in ('Trip 1', 'Trip 2'));
    update public.messages set created_at = '2020-01-01';
    reset session_replication_role;`)
  await run(...['prune', '--delete', '--apply', '--older-than', '90d'], ...undoAll(db.name).slice(1))
  expect(await without()).toEqual(['Trip 1', 'Trip 2'])
  await run('migrate')
  expect(await without()).toEqual(['Trip 1', 'Trip 2'])
  await run('verify', '--only', 'every_conversation')
  await run('rollback', ...undoAll(db.name))
  await run('migrate')
  expect(await without()).toEqual(['Trip 1', 'Trip 2'])
  await db.sql`
    insert into public.messages (conversation_id, sender_type, content) select id, 'agent', 'again' from public.conversations where subject = 'Trip 1'`
  await run('migrate')
  expect(await without()).toEqual(['Trip 2'])
  // a session that people delete is opened again, as for every conversation
  await db.sql`delete from public.chat_sessions where conversation_id = (select id from public.conversations where subject = 'Trip 3')`
  await run('migrate')
  expect(await without()).toEqual(['Trip 2'])
})

test(`killed at random moments and run again, prune ends as if it had run once (seed ${seed})`, async () => {
  const server = servers().at(-1)!
  await using db = await database(server, 'workspace-sessions', 100)
  await withSessions(db, 2500)
  await db.sql`update public.chat_sessions set updated_at = now() where title is null or title not like 'Old %'`
  const before = await picture(db.sql)
  const had = await counted(db)
  const next = random(seed)
  let killed = 0
  for (let code: number | null = null; code !== 0 && killed < 12; ) {
    const child = start([...remove(db, 'PRUNES_MOST'), '--format', 'json'], { DATABASE_URL: db.url })
    const timer = killed < 5 ? setTimeout(() => child.kill('SIGKILL'), 350 + next() * 500) : undefined
    code = (await ended(child)).code
    clearTimeout(timer)
    if (code !== 0) killed++
  }
  expect(await counted(db)).toEqual({ sessions: had.sessions - 2500, messages: had.messages - 5000 })
  const back = await rethread(db.url, ['restore', 'latest', ...track])
  expect([back.code, back.report.findings.filter(f => f.level !== 'info')]).toEqual([0, []])
  expect(await picture(db.sql)).toEqual(before)
})
