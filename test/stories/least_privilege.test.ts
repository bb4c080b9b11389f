import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import type { HazardCode, Report } from '../../src/index.js'
import { rethread } from '../support/cli.js'
import { type Database, database, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said } from '../support/in_process.js'

/** One track in CI, all of them in the soak. */
const tracks = (one: string): string[] =>
  process.env.RETHREAD_SOAK ? discover(root).tracks.map(t => t.name) : [one]

/** The whole life cycle as a role, which must need no right that it has not got. */
async function liveAs(db: Database, role: string, track: string): Promise<void> {
  const url = new URL(db.url)
  url.username = role
  const project = await inProcess(url.toString(), { track })
  const contract = {
    phase: 'contract' as const,
    consent: { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] as HazardCode[] },
  }
  const away = {
    all: true,
    consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[], confirm: db.name },
  }
  const verbs: [string, () => Promise<Report>][] = [
    ['doctor', () => project.doctor()],
    ['plan', () => project.plan()],
    ['migrate', () => project.migrate()],
    ['migrate', () => project.migrate(contract)],
    ['verify', () => project.verify()],
    ['rollback', () => project.rollback(away)],
    ['restore', () => project.restore({ archive: 'latest', consent: contract.consent })],
    ['verify', () => project.verify()],
  ]
  const came: unknown[] = []
  for (const [name, verb] of verbs) {
    const { verdict, findings } = await said(verb())
    came.push([
      name,
      verdict,
      findings.filter(f => ['error', 'refused'].includes(f.level)).map(f => f.message),
    ])
    expect(findings.map(f => f.code)).not.toContain('RUNS_AS_SUPERUSER')
  }
  expect(came).toEqual(verbs.map(([name]) => [name, 'clean', []]))
}

describe.each(some('oldest'))('less than a superuser on PostgreSQL $major', server => {
  test.each(tracks('workspace-sessions'))(
    'the role that doctor says, with the rights that it says, does everything (%s)',
    async track => {
      await using db = await database(server, track, 300)
      const doctor = await said((await inProcess(db.url, { track })).doctor())
      const lesser = doctor.findings.find(f => f.code === 'RUNS_AS_SUPERUSER')!
      expect(lesser.facts).toMatchObject({ track, instead: 'rethread_deploy' })
      // the people belong to a service, which could not alter them any more
      expect(lesser.fix).not.toMatch(/alter table auth\.users owner/)
      const role = `deploy_${randomBytes(4).toString('hex')}`
      await db.sql.unsafe(lesser.fix!.replaceAll('rethread_deploy', role))
      // which some services do not let their users ask
      await db.sql`revoke execute on function pg_catalog.pg_control_system() from public`
      await liveAs(db, role, track)
      await db.sql.unsafe(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`)
    },
  )

  test('what triggers write and what references rows to take out: refused beforehand, until granted', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`
      create table public.audit (id bigserial primary key, chat uuid);
      create function public.note_change() returns trigger language plpgsql set search_path = '' as $f$ begin
        insert into public.audit (chat) values (new.id); return new; end $f$;
      create trigger noted after update on public.chats for each row execute function public.note_change();
      create table public.stars (chat uuid references public.chats);
      create table public.ruled (chat uuid);
      create rule also as on update to public.chats do also insert into public.ruled values (new.id)`)
    const doctor = async () =>
      (await said((await inProcess(db.url, { track: 'workspace-sessions' })).doctor())).findings
    const lesser = async () => (await doctor()).find(f => f.code === 'RUNS_AS_SUPERUSER')!.fix!
    const grants = (await lesser()).split('\n').filter(line => /audit|stars|ruled/.test(line))
    expect(grants).toEqual([
      'grant insert on public.audit to rethread_deploy;',
      'grant insert on public.ruled to rethread_deploy;',
      'grant select on public.stars to rethread_deploy;',
      'grant usage on sequence public.audit_id_seq to rethread_deploy;',
    ])
    const role = `deploy_${randomBytes(4).toString('hex')}`
    // of what is granted to the roles that it may act as, it has nothing by itself
    const others = (await lesser())
      .replaceAll('rethread_deploy', role)
      .replace(/^(create role .* login)/m, '$1 noinherit')
      .split('\n')
    await db.sql.unsafe(others.filter(line => !/audit|stars|ruled/.test(line)).join('\n'))
    const url = new URL(db.url)
    url.username = role
    const project = await inProcess(url.toString(), { track: 'workspace-sessions' })
    const consent = { allow: ['FIRES_TRIGGERS', 'RUNS_FOREIGN_CODE'] as HazardCode[] }
    const refused = await said(project.migrate({ consent }))
    expect([refused.verdict, refused.findings.filter(f => f.level === 'refused').map(f => f.fix)]).toEqual([
      'refused',
      [
        `grant insert on public.audit to ${role};   as postgres or an administrator.`,
        `grant insert on public.ruled to ${role};   as postgres or an administrator.`,
        `grant select on public.stars to ${role};   as postgres or an administrator.`,
      ],
    ])
    await db.sql.unsafe(grants.join('\n').replaceAll('rethread_deploy', role))
    expect((await said(project.migrate({ consent }))).verdict).toBe('clean')
    expect((await db.sql`select count(*)::int as n from public.audit`)[0]!.n).toBeGreaterThan(0)
    await db.sql.unsafe(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`)
  })

  test('whoever alters a partitioned table alters its partitions: those of another owner are named beforehand', async () => {
    await using db = await database(server, 'empty')
    const role = `owner_${randomBytes(4).toString('hex')}`
    await db.sql.unsafe(`
      create role ${role} login;
      grant create on database ${db.name} to ${role};
      create table public.parts (id int primary key) partition by range (id);
      create table public.parts_0 partition of public.parts for values from (0) to (10);
      alter table public.parts owner to ${role}`)
    const cwd = folder({
      'migrations/mine/1_add.sql': 'alter table public.parts add column b int;',
      'rollbacks/mine/1_add.sql': 'alter table public.parts drop column b;',
      'verify/mine/none.sql': '--! title: nothing\nselect 1 as object, 2 as detail where false',
    })
    const url = new URL(db.url)
    url.username = role
    const { code, report } = await rethread(url.href, ['plan', '--dir', '.'], { cwd })
    expect([
      code,
      report.findings.filter(f => f.code === 'MISSING_PRIVILEGE').map(f => [f.subject, f.facts]),
    ]).toEqual([1, [['public.parts_0', { wants: 'OWNERSHIP', owner: 'postgres', role }]]])
    await db.sql.unsafe(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`)
  })

  test('a role that may not read the ledger of another one is told whose it is', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const role = `guest_${randomBytes(4).toString('hex')}`
    const owner = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(owner.migrate())).verdict).toBe('clean')
    // whoever has begun goes on: another role would own nothing of what is there
    expect((await said(owner.doctor())).findings.map(f => f.code)).not.toContain('RUNS_AS_SUPERUSER')
    await db.sql.unsafe(`create role ${role} login`)
    const url = new URL(db.url)
    url.username = role
    const guest = await inProcess(url.toString(), { track: 'workspace-sessions' })
    const verbs = [guest.doctor(), guest.plan(), guest.migrate(), guest.status(), guest.verify()]
    for (const report of await Promise.all(verbs.map(said))) {
      const found = report.findings.filter(f => f.code === 'MISSING_PRIVILEGE')
      expect([report.command, found.map(f => [f.subject, f.facts])]).toEqual([
        report.command,
        [['schema rethread', { wants: 'LEDGER', owner: 'postgres', role }]],
      ])
    }
    // the archive is a schema of its own
    await db.sql.unsafe(
      `grant usage on schema rethread to ${role}; grant select on all tables in schema rethread to ${role}`,
    )
    for (const verb of [guest.restore({ archive: 'latest' }), guest.status(), guest.listQuarantine()]) {
      const { verdict, findings } = await said(verb)
      expect([verdict, findings.map(f => [f.code, f.subject, f.fix])]).toEqual([
        'refused',
        [
          [
            'MISSING_PRIVILEGE',
            'schema rethread_archive',
            `Connect as postgres, or as a role that is a member of it: grant postgres to ${role};`,
          ],
        ],
      ])
    }
    await db.sql.unsafe(`drop owned by ${role}`)
    await db.sql.unsafe(`drop role ${role}`)
  })

  test('a role that lacks a right on a schema is reported before the first step, and one that may not write rows for probes proves no access', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const role = `owner_${randomBytes(4).toString('hex')}`
    // noinherit: a member of authenticated is a reader of the databases that other files have on this server
    await db.sql.unsafe(`
      create role ${role} login noinherit;
      grant create on database ${db.name} to ${role};
      grant usage, create on schema public to ${role};
      alter table public.workspaces owner to ${role};
      alter table public.chats owner to ${role};
      revoke usage on schema auth from public`)
    const url = new URL(db.url)
    url.username = role
    const project = await inProcess(url.toString(), { track: 'workspace-sessions' })
    for (const report of await Promise.all([project.doctor(), project.plan(), project.migrate()].map(said)))
      expect([
        report.command,
        report.findings.filter(f => f.level !== 'info').map(f => [f.code, f.fix]),
      ]).toEqual([
        report.command,
        [['MISSING_PRIVILEGE', `grant usage on schema auth to ${role};   as postgres or an administrator.`]],
      ])
    await db.sql.unsafe(
      `grant usage on schema auth to ${role}; grant select, references on auth.users to ${role};
      grant anon, authenticated, service_role to ${role}`,
    )
    expect((await said(project.migrate())).verdict).toBe('clean')
    const { verdict, findings, checks } = await said(project.verify())
    expect(verdict).toBe('attention')
    expect(checks.filter(c => c.outcome === 'failed')).toEqual([])
    expect(checks.filter(c => c.outcome === 'skipped' && c.applies === 'now').map(c => c.reason)).toEqual([
      expect.stringMatching(
        /^this role may not write the rows that it needs \(42501: permission denied for table users\)/,
      ),
    ])
    expect(findings.map(f => f.code)).toContain('PROBE_SKIPPED')
    await db.sql.unsafe(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`)
  })

  test.each(tracks('conversation-history'))(
    'a platform’s administrator who is no superuser and owns the database does everything (%s)',
    async track => {
      await using db = await database(server, track, 300)
      const role = `admin_${randomBytes(4).toString('hex')}`
      // as Supabase has it: no superuser, passes row security, owns what is in public, and a guest in auth
      await db.sql.unsafe(`
      create role ${role} login bypassrls createrole createdb;
      alter database ${db.name} owner to ${role};
      grant anon, authenticated, service_role to ${role} with admin option;
      grant usage on schema auth to ${role};
      grant all on all tables in schema auth to ${role};
      grant usage, create on schema public to ${role};
      do $$
      declare r record;
      begin
        for r in select c.oid::regclass as name from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r' loop
          execute format('alter table %s owner to ${role}', r.name);
        end loop;
        for r in select p.oid::regprocedure as name from pg_proc p where pronamespace = 'public'::regnamespace loop
          execute format('alter function %s owner to ${role}', r.name);
        end loop;
      end $$`)
      await liveAs(db, role, track)
      await db.sql.unsafe(
        `alter database ${db.name} owner to postgres; reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`,
      )
    },
  )
})
