import { describe, expect, test } from 'vitest'
import { type Database, database, newest, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said, sentenceOf } from '../support/in_process.js'

/** What looks like the end of the work and is not: no verb may call it clean. */

/** A track `mine` whose rollbacks do nothing, with one check that finds nothing. */
const trackOf = (files: Record<string, string>): string => {
  const all: Record<string, string> = {
    'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
  }
  for (const [name, text] of Object.entries(files)) {
    all[`migrations/mine/${name}.sql`] = text
    all[`rollbacks/mine/${name}.sql`] = 'select 1;'
  }
  return folder(all)
}

const project = (db: Database, files: Record<string, string>) =>
  inProcess(db.url, { dir: trackOf(files), track: 'mine' })

const notes = `
  create table public.notes (id int primary key, size int, colour text);
  insert into public.notes select n, n from generate_series(1, 20) n`

/** A backfill of the notes' colour, which asks a table of rules. */
const paints = `--! phase: backfill
--! table: public.notes
--! pending: n.colour is null and n.size >= (select r.least from public.rules r)
--! irreversible: colours stay
update public.notes n set colour = 'red' where n.colour is null and n.size >= (select r.least from public.rules r);`

describe.each(some('oldest'))('PostgreSQL $major', server => {
  describe('a finished backfill that is asked again', () => {
    const rules = 'create table public.rules (least int not null); insert into public.rules values (0);'
    const before = { '1_rules': rules, '2_paint': paints }

    test('is done with where a later step has taken away what it asks for, and only there', async () => {
      await using db = await database(server, 'empty')
      await db.sql.unsafe(notes)
      const ends = `--! phase: contract
--! ends-old-app: rules are gone
drop table public.rules;`
      const consent = {
        allow: ['DELETES_DATA' as const, 'ENDS_OLD_APP' as const, 'IGNORES_DRIFT' as const],
        confirm: db.name,
      }
      const mine = await project(db, { ...before, '3_end': ends })
      expect((await said(mine.migrate())).backfill[0]).toMatchObject({ rows: 20, state: 'done' })

      // somebody else has renamed a column: the question has no answer, which is not "nothing to do"
      await db.sql`alter table public.rules rename column least to smallest`
      await db.sql`insert into public.notes values (21, 21)`
      const status = await said(mine.status())
      expect([status.verdict, sentenceOf(status, 'RECHECK_FAILED')]).toEqual([
        'attention',
        expect.stringMatching(/2_paint.*r\.least.*42703/),
      ])
      const ended = await said(mine.migrate({ phase: 'contract', consent }))
      expect([ended.verdict, ended.codes]).toEqual(['attention', expect.arrayContaining(['RECHECK_FAILED'])])
      expect(ended.steps.map(s => s.outcome)).toEqual(['not-run'])

      await db.sql`alter table public.rules rename column smallest to least`
      await db.sql`update public.notes set colour = 'blue' where id = 21`
      expect(await said(mine.migrate({ phase: 'contract', consent }))).toMatchObject({ verdict: 'clean' })
      const after = await said(mine.status())
      expect([after.verdict, after.codes]).toEqual(['clean', expect.not.arrayContaining(['RECHECK_FAILED'])])
    })
  })

  test('how many rows a step takes out is left open only where a step before makes what it asks for', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(notes)
    const out = (pending: string) => `--! phase: contract
--! hazard: QUARANTINES_ROWS
--! ends-old-app: notes need a colour
--! table: public.notes
--! pending: ${pending}
--! irreversible: they are in the quarantine
delete from public.notes t where ${pending};`
    const paint = 'alter table public.notes add column paint text;'
    const planned = async (files: Record<string, string>) =>
      said((await project(db, files)).plan({ phase: 'contract' }))
    const open = await planned({ '1_paint': paint, '2_out': out('t.paint is null') })
    expect([open.verdict, open.codes]).toEqual(['attention', expect.not.arrayContaining(['SQL_ERROR'])])
    // the division is asked of each row, the column is made by nobody
    for (const [files, sqlstate] of [
      [{ '1_paint': paint, '2_out': out('1 / (t.size - 3) > 0') }, '22012'],
      [{ '2_out': out('t.paint is null') }, '42703'],
    ] as const) {
      const failed = await planned(files)
      expect([failed.verdict, failed.findings.find(f => f.code === 'SQL_ERROR')]).toMatchObject([
        'failed',
        {
          subject: 'migrations/mine/2_out.sql',
          facts: { sqlstate, context: 'asked which rows it takes out' },
        },
      ])
    }
  })

  test('a row that others point at by a key of its partition, or of a child, is not taken out', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table public.notes (id int, colour text, primary key (id)) partition by range (id);
      create table public.notes_1 partition of public.notes for values from (0) to (100);
      create table public.stars (note int references public.notes_1 (id) on delete cascade);
      create table public.things (id int primary key, colour text);
      create table public.tall_things (height int unique) inherits (public.things);
      create table public.marks (height int references public.tall_things (height) on delete cascade);
      insert into public.notes select n, case when n > 2 then 'red' end from generate_series(1, 9) n;
      insert into public.stars values (1);
      insert into public.tall_things values (1, null, 180), (2, null, 190);
      insert into public.marks values (190)`)
    const out = (table: string) => `--! phase: contract
--! hazard: QUARANTINES_ROWS
--! ends-old-app: rows need a colour
--! table: ${table}
--! key: id
--! pending: t.colour is null
--! irreversible: they are in the quarantine
delete from ${table} t where t.colour is null;`
    const mine = await project(db, { '1_out': out('public.notes'), '2_out': out('public.things') })
    const consent = {
      allow: ['QUARANTINES_ROWS' as const, 'ENDS_OLD_APP' as const, 'DELETES_DATA' as const],
      confirm: db.name,
    }
    const refused = await said(mine.migrate({ phase: 'contract', consent }))
    expect([refused.verdict, refused.findings.filter(f => f.code === 'ROWS_REFERENCED')]).toMatchObject([
      'refused',
      [
        { subject: 'public.notes', facts: { rows: 1, by: ['stars_note_fkey of public.stars'] } },
        { subject: 'public.things', facts: { rows: 1, by: ['marks_height_fkey of public.marks'] } },
      ],
    ])
    const left = () => db.sql`select (select count(*)::int from public.notes) as notes,
      (select count(*)::int from public.things) as things, (select count(*)::int from public.stars) as stars`
    expect((await left())[0]).toEqual({ notes: 9, things: 2, stars: 1 })
    await db.sql`delete from public.stars`
    await db.sql`delete from public.marks`
    const done = await said(mine.migrate({ phase: 'contract', consent }))
    expect([done.verdict, (await left())[0]]).toEqual(['clean', { notes: 7, things: 0, stars: 0 }])
  })

  test('what is set aside is counted as it is now; a constraint that nobody enforces is not violated', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(notes)
    if (server.major >= 18)
      await db.sql`alter table public.notes add constraint small check (size < 5) not enforced`
    const mine = await project(db, {
      '1_paint': `--! phase: backfill
--! table: public.notes
--! pending: n.colour is null
--! reason: case when n.size > 11 then 'it is too large' end
--! irreversible: colours stay
update public.notes n set colour = 'red' where n.colour is null and n.size <= 11;`,
    })
    const ran = await said(mine.migrate())
    expect([ran.verdict, ran.codes]).toEqual(['clean', expect.not.arrayContaining(['ROWS_VIOLATE'])])
    expect(sentenceOf(ran, 'QUARANTINED')).toMatch(/^9 row/)
    await db.sql`delete from public.notes where id > 17`
    expect(sentenceOf(await said(mine.retryQuarantined()), 'QUARANTINED')).toMatch(/^6 row/)
  })
})

test('rows that functions change are found in their parse trees; what shows only when it runs is said', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`
    create table public."Odd notes" (id int); create table public.spare (id int); create table public.quiet (id int);
    alter table public."Odd notes" replica identity nothing; alter table public.spare replica identity nothing;
    alter table public.quiet replica identity nothing;
    create publication changes for table public."Odd notes", public.spare, public.quiet`)
  const mine = await project(db, {
    '1_functions': `create function public.tidy() returns void language plpgsql set search_path = '' as $f$ begin
  -- update public.quiet is only spoken of
  DELETE
    FROM public."Odd notes" where id < 0;
  execute 'update public.spare set id = 1 where id = 2';
  raise notice 'delete from public.quiet';
end $f$;
revoke all on function public.tidy() from public;
create function public.empty_out(t text) returns void language plpgsql set search_path = '' as $f$ begin
  execute format('delete from %I where id = 0', t);
end $f$;
revoke all on function public.empty_out(text) from public;
create function public.runs(what text, t text) returns void language plpgsql set search_path = '' as $f$
declare
  made text := 'select 1';
begin
  execute made;
  execute what || ' limit 1';
  execute format('%s %I', what, t);
  execute 'select ' || t;
  execute format('analyze %I', t);
end $f$;
revoke all on function public.runs(text, text) from public;`,
  })
  const refused = await said(mine.migrate())
  const lacking = refused.findings.filter(f => f.code === 'NO_REPLICA_IDENTITY').map(f => f.subject)
  expect([refused.verdict, lacking.sort()]).toEqual(['refused', ['public."Odd notes"', 'public.spare']])
  expect(sentenceOf(refused, 'CHANGES_UNKNOWN_ROWS')).toMatch(/1_functions.*delete from %I/)
  expect(refused.findings.flatMap(f => (f.code === 'CHANGES_UNKNOWN_ROWS' ? [f.facts.sql] : []))).toEqual([
    'delete from %I where id = 0',
    'execute made',
    "execute what || ' limit 1'",
    "execute format('%s %I', what, t)",
  ])
})

test('an id that is none, or that nobody has, is a wrong command line that names it', async () => {
  await using db = await database(newest(), 'workspace-sessions', 100)
  const shipped = await inProcess(db.url, { track: 'workspace-sessions' })
  const none = '00000000-0000-4000-8000-000000000000'
  expect((await said(shipped.migrate({ phase: 'expand' }))).verdict).toBe('clean')
  await expect(shipped.backfill({ workspace: 'nobody' })).rejects.toThrow(/USAGE.*--workspace nobody.*uuid/s)
  await expect(shipped.backfill({ workspace: none })).rejects.toThrow(
    /USAGE.*000000.*no row of public.chats/s,
  )
  expect((await said(shipped.migrate())).verdict).toBe('clean')
  const listed = (name: string, id: string) => shipped.sessions({ filter: { [name]: [id] } })
  for (const [name, table] of [
    ['user', 'auth.users'],
    ['workspace', 'public.workspaces'],
  ] as const)
    await expect(listed(name, none)).rejects.toThrow(
      new RegExp(`USAGE.*--filter ${name}=${none}.*no such ${name}: no row of ${table}`, 's'),
    )
  // somebody who is there and has none is no mistake
  const [idle] = await db.sql`insert into auth.users (id) values (gen_random_uuid()) returning id`
  expect((await said(listed('user', idle!.id))).verdict).toBe('clean')
  await expect(shipped.assignQuarantined({ workspace: 'nobody' })).rejects.toThrow(
    /USAGE.*--workspace nobody.*uuid/s,
  )
  // what a person types in capitals is the same id
  const [room] = await db.sql`select workspace_id::text as id from chats where session_id is not null limit 1`
  await db.sql`update chats set session_id = null where workspace_id = ${room!.id}`
  const canary = await said(shipped.backfill({ workspace: room!.id.toUpperCase() }))
  const [after] =
    await db.sql`select count(*)::int as n from chats where workspace_id = ${room!.id} and session_id is null`
  expect([canary.verdict, after!.n]).toEqual(['clean', 0])
})

describe.each(some('oldest'))('workspace-sessions on PostgreSQL $major', server => {
  test('a trigger of the application that fills in the workspace after ours: the message has its session at once', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await db.sql.unsafe(`
      create function public.fill_workspace() returns trigger language plpgsql as $$ begin
        new.workspace_id := coalesce(new.workspace_id, (select w.id from public.workspaces w where w.owner_id is not null order by w.id limit 1));
        return new; end $$;
      create trigger zz_fill_workspace before insert on public.chats for each row execute function public.fill_workspace()`)
    const shipped = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(shipped.migrate())).verdict).toBe('clean')
    const [row] = await db.sql`
      insert into public.chats (user_id, message, role, created_at)
      select owner_id, 'without a workspace', 'user', now() + interval '1 hour' from public.workspaces where owner_id is not null order by id limit 1
      returning id`
    const [after] = await db.sql`
      select s.workspace_id = c.workspace_id as own, s.updated_at = c.created_at as current, (select count(*)::int from chat_private.behind) as behind
      from public.chats c left join public.chat_sessions s on s.id = c.session_id where c.id = ${row!.id}`
    expect(after).toEqual({ own: true, current: true, behind: 0 })
    expect((await said(shipped.status())).codes).not.toContain('BACKFILL_REOPENED')
    expect((await said(shipped.verify())).verdict).toBe('clean')
  })

  test('a message that comes past the triggers after the backfill is not set aside as one whose session was deleted', async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    let came: Promise<unknown> | null = null
    const shipped = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { retryFailedSeconds: 0 },
      onEvent: event => {
        if (event.type === 'step-start' && event.migration === '006_index_and_constrain')
          came ??= db.sql.begin(tx =>
            tx.unsafe(`set local session_replication_role = replica;
              insert into public.chats (workspace_id, user_id, role, message)
              select workspace_id, user_id, role, 'past the triggers' from public.chats where session_id is not null limit 2`),
          )
      },
    })
    const first = await said(shipped.migrate())
    await came
    const aside = await db.sql`
      select q.reason from rethread_archive.quarantine q join public.chats c on q.key = c.id::text where c.message = 'past the triggers'`
    expect([first.verdict, aside.length]).toEqual(['attention', 0])
    expect(sentenceOf(first, 'ROWS_FAILED')).toMatch(/2 rows/)
    // the next run gives them their session, and nothing is left of their failure
    const next = await said(shipped.migrate())
    expect([next.verdict, next.codes.includes('ROWS_FAILED')]).toEqual(['clean', false])
    const [left] = await db.sql`
      select (select count(*)::int from public.chats where message = 'past the triggers' and session_id is not null) as assigned,
        (select count(*)::int from rethread_archive.failed_rows) as failed`
    expect(left).toEqual({ assigned: 2, failed: 0 })
    // and one whose session was deleted before the foreign key is still set aside as that
    await shipped.rollback({ all: true, consent: { allow: ['DELETES_DATA'], confirm: db.name } })
    await shipped.migrate({ to: '005' })
    await db.sql`
      with fresh as (
        insert into public.chat_sessions (workspace_id, user_id, title) select id, owner_id, 'Fresh' from public.workspaces where owner_id is not null limit 1 returning *)
      insert into public.chats (workspace_id, user_id, role, message, session_id) select workspace_id, user_id, 'user', 'in fresh', id from fresh`
    await db.sql`delete from public.chat_sessions where title = 'Fresh'`
    expect((await said(shipped.migrate())).verdict).toBe('clean')
    const [lost] = await db.sql`
      select q.reason from rethread_archive.quarantine q join public.chats c on q.key = c.id::text where c.message = 'in fresh'`
    expect(lost?.reason).toBe('its session was deleted')
  })

  test('a backfill that was reopened and failed ends when the rows that failed are gone', async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    const shipped = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { retryFailedSeconds: 0, triggers: 'fire' },
    })
    const consent = { allow: ['FIRES_TRIGGERS' as const, 'IGNORES_DRIFT' as const] }
    expect((await said(shipped.migrate())).verdict).toBe('clean')
    await db.sql.unsafe(`
      create function public.refuses() returns trigger language plpgsql as $$ begin
        if new.message = 'bad' then raise exception 'not this'; end if; return new; end $$;
      create trigger refuses before update on public.chats for each row execute function public.refuses();
      set session_replication_role = replica;
      insert into public.chats (workspace_id, user_id, role, message)
        select workspace_id, user_id, role, 'bad' from public.chats where session_id is not null limit 1;
      reset session_replication_role`)
    expect(sentenceOf(await said(shipped.migrate({ consent })), 'ROWS_FAILED')).toMatch(/not this/)
    await db.sql`delete from public.chats where message = 'bad'`
    // it is still to do, and the same command ends it
    expect((await said(shipped.status())).codes).toContain('UNFINISHED')
    expect((await said(shipped.migrate({ consent }))).verdict).toBe('clean')
    const after = await said(shipped.status())
    expect(after.codes.filter(code => ['UNFINISHED', 'ROWS_FAILED', 'PENDING'].includes(code))).toEqual([])
    expect((await said(shipped.verify({ only: ['failed_rows'] }))).verdict).toBe('clean')
  })

  test('messages of nobody who is left go to the session that somebody else begins in their workspace', async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    const [room] = await db.sql`
      select w.id from public.workspaces w where w.owner_id is not null and exists (select from public.chats c where c.workspace_id = w.id) order by w.id limit 1`
    const of = room!.id as string
    await db.sql`update public.workspaces set owner_id = null where id = ${of}`
    await db.sql`update public.chats set user_id = null where workspace_id = ${of}`
    const shipped = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { retryFailedSeconds: 0 },
    })
    expect((await said(shipped.migrate())).verdict).toBe('clean')
    await db.sql`
      insert into public.chats (workspace_id, user_id, role, message)
      select ${of}, u.id, 'user', 'anybody here?' from auth.users u order by u.id limit 1`
    const next = await said(shipped.migrate())
    expect([next.verdict, next.codes.includes('ROWS_FAILED')]).toEqual(['clean', false])
    const [left] = await db.sql`
      select count(*) filter (where c.session_id is null)::int as without, count(distinct c.session_id)::int as sessions,
        (select count(*)::int from rethread_archive.quarantine q where q.original ->> 'workspace_id' = ${of}) as aside
      from public.chats c where c.workspace_id = ${of}`
    expect(left).toEqual({ without: 0, sessions: 1, aside: 0 })
  })

  test('a rule that does something beside an update is a decision like a trigger', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await db.sql.unsafe(`
      create table public.moved (id uuid);
      create rule note_moves as on update to public.chats do also insert into public.moved values (new.id)`)
    const shipped = await inProcess(db.url, { track: 'workspace-sessions' })
    const refused = await said(shipped.migrate())
    expect([refused.verdict, sentenceOf(refused, 'CONSENT_NEEDED')]).toEqual([
      'refused',
      expect.stringMatching(/FIRES_TRIGGERS: 005_assign_messages.*note_moves \(rule\)/),
    ])
    const fired = await said(shipped.migrate({ consent: { allow: ['FIRES_TRIGGERS'] } }))
    expect([fired.verdict, fired.codes]).toEqual(['clean', expect.arrayContaining(['FIRING_TRIGGERS'])])
    const [counted] =
      await db.sql`select (select count(*)::int from public.moved) as moved, (select count(session_id)::int from public.chats) as bound`
    expect(counted!.moved).toBe(counted!.bound)
  })
})

test('where columns are granted one by one, a probe says which rights of the new column are missing', async () => {
  await using db = await database(newest(), 'workspace-sessions', 40)
  const old = 'id, workspace_id, user_id, role, message, created_at'
  await db.sql.unsafe(`
    revoke all on public.chats from public, anon, authenticated;
    grant select (${old}), insert (${old}), update (message), delete on public.chats to authenticated`)
  const shipped = await inProcess(db.url, { track: 'workspace-sessions' })
  const consent = { allow: ['ENDS_OLD_APP' as const, 'QUARANTINES_ROWS' as const] }
  expect((await said(shipped.migrate())).verdict).toBe('clean')
  expect((await said(shipped.migrate({ phase: 'contract', consent }))).verdict).toBe('clean')
  const probed = async () => (await said(shipped.verify({ only: ['probe_chatting'] }))).checks[0]!
  const found = await probed()
  expect([found.outcome, found.found.map(f => [f.object, f.detail])]).toEqual([
    'found',
    ['INSERT', 'SELECT'].map(right => [
      'public.chats.session_id',
      `authenticated may not ${right} it: grant ${right.toLowerCase()} (session_id) on public.chats to authenticated;`,
    ]),
  ])
  for (const { detail } of found.found) await db.sql.unsafe(detail.split(': ')[1]!)
  expect((await probed()).outcome).toBe('pass')
})
