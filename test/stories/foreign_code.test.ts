import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import type { HazardCode, Report } from '../../src/index.js'
import { database, open, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said } from '../support/in_process.js'

describe.each(some('newest'))('functions of others on the tables of a track on PostgreSQL $major', server => {
  const mallory = `mallory_${randomBytes(4).toString('hex')}`

  afterAll(async () => {
    const sql = open(server.url, 1)
    await sql.unsafe(`drop role if exists ${mallory}`)
    await sql.end()
  })

  test('a trigger of somebody else is named, and no superuser runs it unless it is allowed', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await db.sql.unsafe(`
      create role ${mallory};
      create schema side authorization ${mallory};
      grant trigger on public.chats to ${mallory};
      set role ${mallory};
      create function side.audit() returns trigger language plpgsql as $$
      begin
        if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then alter role ${mallory} superuser; end if;
        return new;
      end $$;
      create trigger a_audit before update on public.chats for each row execute function side.audit();
      reset role`)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const detail = `trigger a_audit (side.audit of ${mallory}) would run as postgres, a superuser`
    const plan = await said(project.plan())
    expect(plan.steps.flatMap(s => s.hazards).filter(h => h.code === 'RUNS_FOREIGN_CODE')).toContainEqual({
      code: 'RUNS_FOREIGN_CODE',
      subject: 'public.chats',
      detail,
    })
    const refused = await said(project.migrate({ consent: { allow: ['FIRES_TRIGGERS'] } }))
    expect([refused.verdict, refused.codes]).toEqual(['refused', expect.arrayContaining(['CONSENT_NEEDED'])])
    expect(refused.findings.find(f => f.code === 'CONSENT_NEEDED')!.facts).toMatchObject({
      missing: ['RUNS_FOREIGN_CODE'],
    })
    const isSuper = async () =>
      (await db.sql`select rolsuper from pg_roles where rolname = ${mallory}`)[0]!.rolsuper
    expect(await isSuper()).toBe(false)
    // its owner may well be trusted: then it runs, and does what it does
    const allowed = await said(
      project.migrate({ consent: { allow: ['FIRES_TRIGGERS', 'RUNS_FOREIGN_CODE'] } }),
    )
    expect(allowed.findings.filter(f => f.level === 'error')).toEqual([])
    expect(await isSuper()).toBe(true)
    await db.sql.unsafe(`alter role ${mallory} nosuperuser; drop owned by ${mallory} cascade`)
  })

  test('neither a rollback, nor a restore, nor a prune of a superuser runs it unless it is allowed', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(project.migrate())).verdict).toBe('clean')
    await db.sql.unsafe(`
      do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
      create schema side authorization ${mallory};
      grant trigger on public.chats to ${mallory};
      set role ${mallory};
      create table side.ran (as_role text, op text);
      create function side.audit() returns trigger language plpgsql as $$
      begin
        insert into side.ran values (current_user, tg_op);
        return coalesce(new, old);
      end $$;
      create trigger a_audit before insert or update or delete on public.chats for each row execute function side.audit();
      reset role;
      set session_replication_role = replica;
      update public.chats set created_at = '2020-01-01' where session_id = (select id from public.chat_sessions order by id limit 1);
      update public.chat_sessions set updated_at = '2020-01-01' where id = (select id from public.chat_sessions order by id limit 1)`)
    await db.sql.unsafe('reset session_replication_role')
    const ran = async () => (await db.sql<{ n: number }[]>`select count(*)::int as n from side.ran`)[0]!.n
    const given: HazardCode[] = [
      'DELETES_DATA',
      'IGNORES_RECENT_WRITES',
      'IGNORES_DRIFT',
      'PRUNES_MOST',
      'FIRES_TRIGGERS',
    ]
    const consent = (...more: HazardCode[]) => ({ allow: [...given, ...more], confirm: db.name })
    const verbs: [string, (asked: ReturnType<typeof consent>) => Promise<Report>][] = [
      ['prune', c => project.prune({ olderThanDays: 365, delete: true, apply: true, consent: c })],
      ['rollback', c => project.rollback({ all: true, consent: c })],
      ['restore', c => project.restore({ archive: 'latest', consent: c })],
    ]
    for (const [name, verb] of verbs) {
      const before = await ran()
      const refused = await said(verb(consent()))
      const asked = refused.findings.find(f => f.code === 'CONSENT_NEEDED')?.facts
      expect([name, refused.verdict, asked]).toMatchObject([
        name,
        'refused',
        { missing: ['RUNS_FOREIGN_CODE'] },
      ])
      expect(await ran()).toBe(before)
      const allowed = await said(verb(consent('RUNS_FOREIGN_CODE')))
      expect([name, allowed.verdict, allowed.findings.filter(f => f.level === 'error')]).toEqual([
        name,
        'clean',
        [],
      ])
    }
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })

  test('casts and checks of a type that is somebody else’s are named like triggers', async () => {
    await using db = await database(server, 'workspace-sessions', 20)
    await db.sql.unsafe(`
      do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
      create schema side authorization ${mallory};
      set role ${mallory};
      create table side.ran (what text);
      create type side.speaker as enum ('user', 'assistant', 'tool');
      create function side.shown(side.speaker) returns text language plpgsql as $$ begin insert into side.ran values ('cast'); return 'user'; end $$;
      create function side.long(text) returns boolean language plpgsql as $$ begin insert into side.ran values ('check'); return true; end $$;
      create cast (side.speaker as text) with function side.shown(side.speaker) as implicit;
      create domain side.said as text check (side.long(value));
      reset role;
      alter table public.chats add column speaker side.speaker default 'user', add column said side.said`)
    await db.sql.unsafe('truncate side.ran')
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const plan = await said(project.plan())
    const named = plan.steps.flatMap(s => s.hazards).filter(h => h.code === 'RUNS_FOREIGN_CODE')
    expect([...new Set(named.map(h => h.detail))].sort()).toEqual([
      `cast of speaker (side.shown of ${mallory}) would run as postgres, a superuser`,
      `domain of said (side.long of ${mallory}) would run as postgres, a superuser`,
    ])
    const refused = await said(project.migrate())
    expect([refused.verdict, refused.findings.find(f => f.code === 'CONSENT_NEEDED')?.facts]).toMatchObject([
      'refused',
      { missing: ['RUNS_FOREIGN_CODE'] },
    ])
    expect(await db.sql`select what from side.ran`).toEqual([])
    await db.sql.unsafe(
      `alter table public.chats drop column speaker, drop column said; drop owned by ${mallory} cascade`,
    )
  })

  test('a role of its own that lends no superuser’s rights is shown whose functions they are', async () => {
    await using db = await database(server, 'empty')
    const deployer = `deployer_${mallory}`
    await db.sql.unsafe(`
      create role ${deployer} login;
      grant create on database ${db.name} to ${deployer};
      grant create on schema public to ${deployer};
      set role ${deployer};
      create table public.notes (id int primary key, colour text);
      grant trigger on public.notes to ${mallory};
      reset role;
      create schema side authorization ${mallory};
      set role ${mallory};
      create function side.audit() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger a_audit before update on public.notes for each row execute function side.audit();
      reset role`)
    const dir = folder({
      'migrations/mine/1_size.sql': 'alter table public.notes add column size int;',
      'rollbacks/mine/1_size.sql': 'alter table public.notes drop column size;',
      'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
    const url = new URL(db.url)
    url.username = deployer
    const migrated = await said((await inProcess(url.href, { dir, track: 'mine' })).migrate())
    expect([migrated.verdict, migrated.findings.find(f => f.code === 'FOREIGN_CODE')]).toMatchObject([
      'clean',
      {
        subject: 'public.notes',
        facts: { code: [`trigger a_audit (side.audit of ${mallory})`], role: deployer },
      },
    ])
    await db.sql.unsafe(
      `drop owned by ${mallory} cascade; drop owned by ${deployer} cascade; drop role ${deployer}`,
    )
  })
})
