import { describe, expect, test } from 'vitest'
import { connect } from '../../src/database/context.js'
import { foreseeVisibility } from '../../src/verify/foresee_visibility.js'
import { rethread } from '../support/cli.js'
import { contextOf, trackIn } from '../support/context.js'
import { type Database, database, some, turn } from '../support/database.js'
import { folder } from '../support/folder.js'

const people = 50

/** A chat application: notes of owners in tenants, with rooms and members; five roles of programs. */
const application = `
  do $$ begin create role vis_worker login; exception when duplicate_object or unique_violation then null; end $$;
  do $$ begin create role vis_auditor login; exception when duplicate_object or unique_violation then null; end $$;
  do $$ begin create role vis_group; exception when duplicate_object or unique_violation then null; end $$;
  do $$ begin create role vis_owner login; exception when duplicate_object or unique_violation then null; end $$;
  alter role vis_auditor nobypassrls;
  create schema app;
  create table app.members (tenant int not null, person uuid not null, kind text not null);
  create table app.rooms (id int primary key, tenant int not null, owner uuid not null);
  create table app.notes (id int primary key, tenant int, owner uuid, room int, hidden boolean, said text, extra json);
  insert into auth.users (id, email) select md5('seer ' || n)::uuid, 'seer' || n from generate_series(1, ${people}) n;
  insert into app.members select n % 7, md5('seer ' || n)::uuid, case when n % 5 = 0 then 'admin' else 'member' end from generate_series(1, ${people}) n;
  insert into app.rooms select n, n % 7, md5('seer ' || (n * 3 % ${people} + 1))::uuid from generate_series(1, 40) n;
  insert into app.notes select n, n % 7, case when n % 11 <> 0 then md5('seer ' || (n % ${people} + 1))::uuid end, n % 45, n % 4 = 0, repeat('x', n % 50), '{}'
  from generate_series(1, 260) n;
  create function app.tenant_of(person uuid) returns int language sql stable security definer set search_path = ''
    as 'select m.tenant from app.members m where m.person = $1';
  alter table app.notes owner to vis_owner;
  grant usage on schema app to authenticated, anon, vis_worker, vis_auditor, vis_group;
  grant select on app.members, app.rooms to authenticated, vis_worker;
  grant select on app.notes to authenticated, vis_worker, vis_owner;
  grant select (id, said) on app.notes to vis_auditor;
  create policy own on app.notes to authenticated using (owner = (select auth.uid()));
  analyze app.notes`

/** Each is one migration; the ones before stay. Names are unqualified in some, as people write them. */
const changes: Record<string, string> = {
  on: 'alter table app.notes enable row level security;',
  tenant: `create policy tenant on app.notes for select to authenticated using (app.notes.tenant = app.tenant_of((select auth.uid())));`,
  restrictive: `create policy shown on app.notes as restrictive for select to authenticated using (not hidden);`,
  public_restrictive: 'create policy said on app.notes as restrictive to public using (length(said) > 3);',
  worker: 'create policy work on app.notes for select to vis_worker using (true);',
  writers_only: 'create policy put on app.notes for insert to vis_worker with check (id > 0);',
  forced: 'alter table app.notes force row level security;',
  owner_again: 'create policy keeper on app.notes to vis_owner using (tenant < 3);',
  not_forced: 'alter table app.notes no force row level security;',
  room: `create policy room on app.notes for select to authenticated
    using (exists (select from app.rooms r where r.id = notes.room and r.owner = (select auth.uid())));`,
  altered:
    'alter policy tenant on app.notes using (tenant = app.tenant_of((select auth.uid())) and id % 2 = 0);',
  renamed: 'alter policy tenant on app.notes rename to tenants; drop policy tenants on app.notes;',
  other_roles: 'alter policy work on app.notes to vis_group;',
  member: 'grant vis_group to vis_worker;',
  no_member: 'revoke vis_group from vis_worker;',
  auditor: 'create policy audit on app.notes for select to vis_auditor using (id <= 100);',
  column_revoked: 'revoke select (said) on app.notes from vis_auditor;',
  last_column_revoked: 'revoke select (id) on app.notes from vis_auditor;',
  column_granted: 'grant select (tenant) on app.notes to vis_auditor;',
  bypass: 'alter role vis_auditor bypassrls;',
  no_bypass: 'alter role vis_auditor nobypassrls;',
  table_revoked: 'revoke all on app.notes from authenticated;',
  table_granted: 'grant select, insert on app.notes to authenticated;',
  new_function: `create function app.is_admin() returns boolean language sql stable security definer set search_path = ''
      as $$ select exists (select from app.members m where m.person = (select auth.uid()) and m.kind = 'admin') $$;
    grant execute on function app.is_admin() to authenticated;
    create policy admins on app.notes for select to authenticated using (app.is_admin());`,
  replaced_function: `create or replace function app.is_admin() returns boolean language sql stable security definer set search_path = ''
      as $$ select exists (select from app.members m where m.person = (select auth.uid()) and m.tenant = 3) $$;`,
  members_closed: `alter table app.rooms enable row level security;
    create policy mine on app.rooms for select to authenticated using (tenant < 5);`,
  counted: `create policy few on app.notes as restrictive for select to authenticated
    using ((select count(*) from app.rooms x where x.tenant = notes.tenant) > 1);`,
  schema_closed: 'revoke usage on schema app from vis_worker;',
  all_tables:
    'grant usage on schema app to vis_worker; grant select on all tables in schema app to vis_worker, vis_group;',
  unqualified: `set local search_path = app; create policy late on app.notes for select to authenticated using (owner is null);`,
  off: 'alter table app.notes disable row level security;',
}

const trackInfo = JSON.stringify({
  title: 't',
  for: 't',
  sessions: { table: 'app.rooms', id: 'id', active: 'id' },
  persona: { claim: 'sub', of: 'auth.users.id' },
})

const subjects = ['app.notes', 'app.rooms']

/** What somebody really sees, as a statement of theirs finds it. */
async function really(
  db: Database,
  table: string,
  role: string,
  person: string | null,
): Promise<number | string> {
  const claims = person === null ? { role } : { sub: person, role }
  try {
    // one message, one transaction
    const results = (await db.sql.unsafe(
      `select set_config('request.jwt.claims', '${JSON.stringify(claims)}', true); set local role ${role};
       select count(*)::int as n from ${table}`,
    )) as unknown as { n: number }[][]
    return results.at(-1)![0]!.n
  } catch (error) {
    return `refused (${(error as { code: string }).code})`
  }
}

describe.each(turn('who will see which rows'))('who will see which rows, on PostgreSQL $major', server => {
  test('what is predicted for 50 users and every role is what they see once each change has been made', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(application)
    const names = Object.keys(changes).map((name, i) => `${String(i + 1).padStart(3, '0')}_${name}`)
    const track = trackOf(Object.fromEntries(names.map((n, i) => [n, Object.values(changes)[i]!])))
    const ctx = contextOf(db.url)
    await using connection = await connect(ctx, 'reader')
    const { prediction, unknown } = await foreseeVisibility(ctx, connection, track, track.migrations, {
      persons: people,
      always: true,
    })
    expect(unknown).toEqual([])
    const { seers, moments } = prediction
    expect(seers.filter(s => s.isPerson).length).toBe(people)
    expect(moments[0]!.after).toBeNull()
    const differing: unknown[] = []
    const seen = async (after: string | null) => {
      const moment = moments.filter(m => m.after === null || (after !== null && m.after <= after)).at(-1)!
      for (const table of subjects) {
        const sight = moment.sights.get(table)
        for (const [i, seer] of seers.entries()) {
          const of = Array.isArray(sight) ? sight[i]! : null
          const predicted = of === null ? 'not known' : of.fault === null ? of.rows : `refused (${of.fault})`
          const actual = await really(db, table, seer.role, seer.isPerson ? seer.name : null)
          if (predicted !== actual) differing.push({ after, table, who: seer.name, predicted, actual })
        }
      }
    }
    await seen(null)
    for (const m of track.migrations) {
      await db.sql.begin(tx => tx.unsafe(m.file.text))
      await seen(m.name)
    }
    expect(differing).toEqual([])
  })
})

/** A track of files whose persons are the users. */
const trackOf = (files: Record<string, string>) =>
  trackIn(
    folder({
      ...Object.fromEntries(Object.entries(files).map(([n, sql]) => [`migrations/t/${n}.sql`, sql])),
      ...Object.fromEntries(Object.keys(files).map(n => [`rollbacks/t/${n}.sql`, 'select 1;'])),
      'migrations/t/track.json': trackInfo,
      'verify/t/x.sql': 'select 1 as object where false',
    }),
  )

const workspace = ['--track', 'workspace-sessions']
const contract = [...workspace, '--phase', 'contract']
const allowed = ['--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS,HIDES_ROWS,SHOWS_ROWS,WIDENS_ACCESS']

const reporting = `
  do $$ begin create role report_worker login; exception when duplicate_object or unique_violation then null; end $$;
  grant usage on schema public to report_worker; grant select on chats to report_worker`

describe.each(some('newest'))('the preview of a plan, on PostgreSQL $major', server => {
  const preview = async (db: Database, ...more: string[]) => {
    const plan = await rethread(db.url, ['plan', ...contract, '--visibility', ...more])
    const table = plan.report.tables.find(t => t.title.startsWith('Who sees which rows of public.chats'))!
    const unknown = plan.report.findings.filter(f => f.code === 'VISIBILITY_UNKNOWN')
    const hazards = plan.report.steps.flatMap(s =>
      s.hazards.filter(h => /_ROWS$/.test(h.code)).map(h => `${s.migration} ${h.code} ${h.detail}`),
    )
    return { plan, table, unknown, hazards }
  }
  const last = (table: { columns: string[] }) => table.columns.indexOf('after 011_follow_the_session')

  test('steps that change no rule of who sees what are said to change nothing', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe('create table public.notes (id int primary key)')
    const cwd = folder({
      'migrations/own/1_add.sql': 'alter table public.notes add column said text;',
      'rollbacks/own/1_add.sql': 'alter table public.notes drop column said;',
      'verify/own/x.sql': 'select 1 as object where false',
    })
    const { report } = await rethread(db.url, ['plan', '--visibility'], { cwd })
    expect([report.findings.map(f => f.code), report.tables.map(t => t.title)]).toEqual([
      expect.arrayContaining(['SAME_VISIBILITY']),
      expect.not.arrayContaining([expect.stringMatching(/^Who sees/)]),
    ])
  })

  test('a worker that reads every message and persons who read those of others: foreseen, and so it comes', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await using copy = await database(server, 'workspace-sessions', 300)
    for (const of of [db, copy])
      await of.sql.unsafe(`alter table chats disable row level security; ${reporting}`)
    // the column that the policies ask for is not there yet: nobody guesses
    const early = await preview(db)
    expect(new Set(early.unknown.map(f => f.subject))).toEqual(new Set(['public.chats']))
    expect(early.plan.code).toBe(1)
    expect(early.table.rows.find(r => r[0] === 'role report_worker')).toEqual(
      expect.arrayContaining(['not known']),
    )
    // a copy knows, because everything runs there
    const onCopy = await preview(db, '--rehearse-url', copy.url)
    expect(onCopy.unknown).toEqual([])
    expect((await rethread(db.url, ['migrate', ...workspace])).code).toBe(0)
    const late = await preview(db)
    expect(late.unknown).toEqual([])
    const worker = late.table.rows.find(r => r[0] === 'role report_worker')!
    expect([worker[1], worker[last(late.table)], worker.at(-1)]).toEqual([expect.any(Number), 0, 'loses all'])
    expect(worker[1]).toBeGreaterThan(200)
    expect(late.hazards.join()).toMatch(/011_follow_the_session HIDES_ROWS role report_worker/)
    expect(late.hazards.join()).not.toMatch(/SHOWS_ROWS/)
    const migrated = await rethread(db.url, ['migrate', ...contract, ...allowed])
    expect(migrated.report.findings.filter(f => f.level === 'error')).toEqual([])
    expect(migrated.code).toBe(0)
    for (const { table } of [late, onCopy])
      for (const row of table.rows) {
        const who = String(row[0])
        const role = /^role (.*)/.exec(who)?.[1]
        const seen = await really(db, 'public.chats', role ?? 'authenticated', role ? null : who)
        expect([who, row[last(table)]]).toEqual([who, seen])
      }
    // `verify` finds the same of those whom it samples too
    const verified = await rethread(db.url, ['verify', ...workspace, '--sample', '10'])
    const sampled = verified.report.tables.find(t => t.title === 'What real users see')!
    const both = sampled.rows.filter(r => r[1] === 'public.chats' && late.table.rows.some(l => l[0] === r[0]))
    expect(both.length).toBeGreaterThan(0)
    for (const [who, , , sees] of both)
      expect([who, late.table.rows.find(l => l[0] === who)![last(late.table)]]).toEqual([who, sees])
  })

  test('messages that only their author reads and that the owner of the workspace would read', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await db.sql.unsafe(`
      alter table chats enable row level security;
      create policy mine on chats to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
      update workspaces set owner_id = (select user_id from chats where user_id is not null group by 1 order by count(*) desc limit 1)`)
    expect((await rethread(db.url, ['migrate', ...workspace, '--allow', 'SHOWS_ROWS'])).code).toBe(0)
    const { table, hazards, unknown } = await preview(db)
    expect(unknown).toEqual([])
    const winners = table.rows.filter(r => /^gains/.test(String(r.at(-1))))
    expect(winners.length).toBe(1)
    expect(hazards.join()).toMatch(/011_follow_the_session SHOWS_ROWS 1 of \d+ sampled person/)
    const refused = await rethread(db.url, [
      ...['migrate', ...contract, '--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS'],
    ])
    expect([refused.code, JSON.stringify(refused.report.findings)]).toEqual([
      3,
      expect.stringMatching(/SHOWS_ROWS: 011_follow_the_session/),
    ])
    expect((await rethread(db.url, ['migrate', ...contract, ...allowed])).code).toBe(0)
    for (const row of table.rows.filter(r => !String(r[0]).startsWith('role ')))
      expect([row[0], row[last(table)]]).toEqual([
        row[0],
        await really(db, 'public.chats', 'authenticated', String(row[0])),
      ])
  })

  test('what the twins cannot show is not known, and says why', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(application)
    await db.sql.unsafe(`
      alter table app.notes enable row level security;
      create function app.notes_of(person uuid) returns setof int language sql stable set search_path = '' as 'select n.id from app.notes n where n.owner = $1';
      create function app.put_together() returns boolean language plpgsql stable as $f$ begin execute 'select 1'; return true; end $f$`)
    await using connection = await connect(contextOf(db.url), 'reader')
    const why = async (...files: string[]) => {
      const track = trackOf(Object.fromEntries(files.map((f, i) => [`00${i + 1}_x`, f])))
      const options = { persons: 3, always: true }
      const { unknown } = await foreseeVisibility(
        contextOf(db.url),
        connection,
        track,
        track.migrations,
        options,
      )
      return unknown.map(u => `${u.subject} ${u.migration}: ${u.reason}`).join('; ')
    }
    const policy = (using: string) => `create policy p on app.notes to authenticated using (${using});`
    // somebody is writing: no lock that would wait for them is taken
    await using other = await connect(contextOf(db.url), 'worker')
    await other.sql.unsafe('begin; update app.notes set said = said')
    expect(await why(policy('true'))).toBe('')
    await other.sql.unsafe('rollback')
    expect(await why(policy('id in (select app.notes_of((select auth.uid())))'))).toMatch(
      /app\.notes 001_x: app\.notes_of reads app\.notes, whose policies or rights 001_x changes too/,
    )
    expect(await why(policy('app.put_together()'))).toMatch(/puts its statements together/)
    expect(await why('alter table app.notes add team int;', policy('team = 1'))).toMatch(
      /002_x cannot be tried before it runs: 42703/,
    )
    expect(await why('update app.notes set tenant = 1;', policy('tenant = 1'))).toMatch(
      /001_x has rows of app\.notes to write before/,
    )
    // nothing is asked of what that changes
    expect(await why('update app.notes set said = 1;', policy('tenant = 1'))).toBe('')
    expect(
      await why(
        'insert into app.rooms values (99, 1, gen_random_uuid());',
        policy('exists (select from app.rooms r where r.id = room)'),
      ),
    ).toMatch(/its policies read app\.rooms; 001_x has rows of app\.rooms to write before/)
    const block = (...above: string[]) =>
      `${above.map(a => `-- ${a}\n`).join('')}do $$ begin execute 'alter table app.notes disable row level security'; end $$;`
    expect(await why(block('locks: app.notes ACCESS EXCLUSIVE'))).toMatch(/only running 001_x shows/)
    expect(await why(policy('true'), block())).toMatch(/app\.notes 002_x: only running 002_x shows/)
    expect(await why(policy('true'), block('access: none'))).toBe('')
  })
})
