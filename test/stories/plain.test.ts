import { expect, test } from 'vitest'
import { trackCopier } from '../../src/adapt/without_api.js'
import { discover } from '../../src/files/discover.js'
import { copiedFiles } from '../../src/files/scaffold.js'
import { parseStatements } from '../../src/files/statements.js'
import { readTrackInfo } from '../../src/files/track_info.js'
import { contract, rethread, undoAll } from '../support/cli.js'
import { type Database, database, open, picture, root, servers } from '../support/database.js'
import { folder } from '../support/folder.js'

/** Databases without an API: no schema auth, no row security, roles of the application's own. */

const stamp = `create function public.update_updated_at() returns trigger language plpgsql as $$
  begin new.updated_at = now(); return new; end $$;`

const roles = ['plain_rw', 'plain_ro', '"Plain Worker"']

const make = async (db: Database, tables: string): Promise<void> => {
  await db.sql.unsafe(`
    drop schema auth cascade;
    alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
    ${roles.map(r => `do $$ begin create role ${r}; exception when duplicate_object or unique_violation then null; end $$;`).join('\n')}
    grant usage on schema public to ${roles.join(', ')};
    ${stamp} ${tables}`)
}

const chats = `
  create table public.users (id bigint generated always as identity primary key, email text);
  create table public.rooms (id uuid primary key, owner_id bigint not null references public.users (id));
  create table public.messages (
    id bigint generated always as identity primary key, room_id uuid references public.rooms (id),
    user_id bigint references public.users (id), role text not null, content text, created_at timestamptz default now());
  grant select, insert, update, delete on public.messages to plain_rw;
  grant select on public.messages to plain_ro;
  grant select, update on public.messages to "Plain Worker";
  grant select on public.rooms to plain_rw;
  insert into public.users (email) select 'u' || i from generate_series(1, 4) i;
  insert into public.rooms select md5('r' || i)::uuid, 1 + i % 4 from generate_series(1, 6) i;
  insert into public.messages (room_id, user_id, role, content)
  select md5('r' || 1 + i % 6)::uuid, 1 + (1 + i % 6) % 4, 'user', 'm' || i from generate_series(1, 60) i;
  analyze`

const projects = `
  create table public.accounts (id uuid primary key default gen_random_uuid());
  create table public.projects (id uuid primary key, user_id uuid not null references public.accounts (id));
  grant select, insert on public.projects to plain_rw;
  grant select on public.projects to plain_ro;
  insert into public.accounts (id) select md5('a' || i)::uuid from generate_series(1, 4) i;
  insert into public.projects select md5('p' || i)::uuid, md5('a' || 1 + i % 4)::uuid from generate_series(1, 6) i`

const cases = [
  {
    track: 'workspace-sessions',
    tables: chats,
    made: 'public.chat_sessions',
    old: (as: Database['sql']) =>
      as`insert into public.messages (room_id, user_id, role, content) select id, owner_id, 'user', 'old' from public.rooms limit 1`,
  },
  {
    track: 'helper-chats',
    tables: projects,
    made: 'public.chat_messages',
    old: (as: Database['sql']) =>
      as`insert into public.projects select gen_random_uuid(), user_id from public.projects limit 1`,
  },
]

test.each(
  cases.map((c, n) => {
    const server = servers()[n % servers().length]!
    return [c.track, server.major, server, c] as const
  }),
)(
  '%s on a plain PostgreSQL %i: from init to restore, with the grants of the application’s roles',
  async (_, __, server, { track, tables, made, old }) => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await make(db, tables)
    const before = await picture(db.sql)
    const ran = async (...args: string[]) => {
      const { code, report } = await rethread(db.url, args, { cwd })
      const loud = [
        ...report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message),
        ...report.checks
          .filter(c => c.outcome === 'failed' || (c.outcome === 'found' && c.level === 'error'))
          .map(c => [c.check, c.found]),
      ]
      expect([args, code, loud]).toEqual([args, 0, []])
      return report
    }
    const named =
      track === 'helper-chats'
        ? ['--map', 'auth.users=accounts']
        : [
            '--map',
            'auth.users=users,workspaces=rooms,chats.workspace_id=room_id,chats=messages,chats.message=content',
          ]
    const copied = await ran('init', '--track', track, ...named)
    const said = copied.findings.find(f => f.code === 'WITHOUT_API')!
    expect(said.facts).toEqual({ roles: expect.arrayContaining(['plain_rw', 'plain_ro']) })
    await ran('init', '--check')
    await ran('migrate', ...contract)
    const grants = await db.sql`
      select r.rolname as role, string_agg(lower(a.privilege_type), ' ' order by a.privilege_type) as may
      from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
      where c.oid = ${made}::regclass and a.grantee <> c.relowner group by 1 order by 1`
    const wanted = {
      'workspace-sessions': {
        'Plain Worker': 'select update',
        plain_ro: 'select',
        plain_rw: 'delete insert select update',
      },
      'helper-chats': { plain_ro: 'select', plain_rw: 'insert select' },
    }
    expect(Object.fromEntries(grants.map(g => [g.role, g.may]))).toEqual(wanted[track as keyof typeof wanted])
    const [policies] = await db.sql`select count(*)::int as n from pg_policies where schemaname = 'public'`
    expect(policies!.n).toBe(0)
    await ran('verify')
    await ran('prove')
    await ran('rollback', ...undoAll(db.name))
    expect(await picture(db.sql)).toEqual(before)
    await ran('restore', 'latest')
    // the application goes on as the role that it has
    const app = open(db.url, 1)
    await app`set role plain_rw`
    await old(app)
    expect((await app.unsafe(`select count(*)::int as n from ${made}`))[0]!.n).toBeGreaterThanOrEqual(0)
    await app.end()
  },
)

test('of no track is anything left for an API', async () => {
  for (const track of discover(root).tracks) {
    const { info } = await readTrackInfo(track)
    const copier = await trackCopier(track, info, {
      identity: 'null::uuid',
      api: 'app_rw=select+insert "App Ro"=select',
    })
    for (const { path, text } of await copiedFiles(track, copier)) {
      const said = text.replace(/--.*$/gm, '')
      expect([
        path,
        said.match(/\b(authenticated|anon|service_role|create policy|auth\.uid|row level security)\b/),
      ]).toEqual([path, null])
      if (path.startsWith('migrations') && /create table public/.test(said))
        expect(said).toContain('to "App Ro"')
      if (path.endsWith('.sql')) await parseStatements(text)
    }
  }
})
