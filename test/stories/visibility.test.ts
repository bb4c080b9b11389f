import { describe, expect, test } from 'vitest'
import { connect } from '../../src/database/context.js'
import { foreseeVisibility } from '../../src/verify/foresee_visibility.js'
import { contextOf, trackIn } from '../support/context.js'
import { type Database, database, servers } from '../support/database.js'
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
  from generate_series(1, 900) n;
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

describe.each(servers())('who will see which rows, on PostgreSQL $major', server => {
  test('what is predicted for 50 users and every role is what they see once each change has been made', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(application)
    const names = Object.keys(changes).map((name, i) => `${String(i + 1).padStart(3, '0')}_${name}`)
    const dir = folder({
      ...Object.fromEntries(names.map((n, i) => [`migrations/t/${n}.sql`, Object.values(changes)[i]!])),
      ...Object.fromEntries(names.map(n => [`rollbacks/t/${n}.sql`, 'select 1;'])),
      'migrations/t/track.json': JSON.stringify({
        title: 't',
        for: 't',
        sessions: { table: 'app.rooms', id: 'id', active: 'id' },
        persona: { claim: 'sub', of: 'auth.users.id' },
      }),
      'verify/t/x.sql': 'select 1 as object where false',
    })
    const track = trackIn(dir)
    const ctx = contextOf(db.url)
    await using connection = await connect(ctx, 'reader')
    const t0 = performance.now()
    const { prediction, unknown } = await foreseeVisibility(ctx, connection, track, track.migrations, {
      persons: people,
      always: true,
    })
    console.log('predicted in', performance.now() - t0)
    expect(unknown).toEqual([])
    const { seers, moments } = prediction
    expect(seers.filter(s => s.isPerson).length).toBe(people)
    expect(moments[0]!.after).toBeNull()
    const differing: unknown[] = []
    const seen = async (after: string | null) => {
      const moment = [...moments]
        .reverse()
        .find(m => m.after === null || (after !== null && m.after <= after))!
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
