import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import type { HazardCode, Report } from '../../src/index.js'
import { type Database, database, open, some } from '../support/database.js'
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
      because: expect.arrayContaining([
        `RUNS_FOREIGN_CODE: 002_link_chats_to_sessions: public.chats: ${detail}`,
      ]),
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
    // values are shown as text, through the casts of their type
    await db.sql.unsafe(`
      set role ${mallory};
      create type side.mood as enum ('glad');
      create function side.shown(side.mood) returns text language plpgsql as $$ begin raise 'ran'; end $$;
      create cast (side.mood as text) with function side.shown(side.mood);
      reset role;
      alter table public.chat_sessions add column mood side.mood default 'glad'`)
    const shown = [
      () => project.sessions(),
      () => project.stats(),
      () => project.prune({ olderThanDays: 365, delete: true }),
    ]
    for (const verb of shown) expect((await said(verb())).codes).toEqual(['FOREIGN_OBJECT'])
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })

  test('casts, checks, conditions and operators that are somebody else’s are named like triggers, however deep', async () => {
    await using db = await database(server, 'workspace-sessions', 20)
    await db.sql.unsafe(`
      do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
      create schema side authorization ${mallory};
      set role ${mallory};
      create table side.ran (what text);
      create type side.speaker as enum ('user', 'assistant', 'tool');
      create function side.shown(side.speaker) returns text language plpgsql as $$ begin insert into side.ran values ('cast'); return 'user'; end $$;
      create function side.long(text) returns boolean language plpgsql as $$ begin insert into side.ran values ('check'); return true; end $$;
      create function side.same(text, text) returns boolean language plpgsql immutable as $$ begin insert into side.ran values ('operator'); return true; end $$;
      create function side.apart(float8, float8) returns float8 language plpgsql immutable as $$ begin insert into side.ran values ('difference'); return 1; end $$;
      create cast (side.speaker as text) with function side.shown(side.speaker) as implicit;
      create domain side.said as text check (side.long(value));
      create domain side.told as side.said;
      create type side.turn as (who side.speaker, n int);
      create type side.span as range (subtype = float8, subtype_diff = side.apart);
      create operator side.=== (leftarg = text, rightarg = text, function = side.same);
      reset role;
      create function public.wrapped(text) returns boolean language sql begin atomic select side.same($1, 'x'); end;
      alter table public.chats add column speaker side.speaker default 'user', add column said side.said,
        add column speakers side.speaker[], add column told side.told[], add column turn side.turn, add column span side.span,
        add constraint same check (role operator(side.===) 'x') not valid,
        add constraint typed check ((role::side.told) is not null) not valid,
        add constraint wrapped check (public.wrapped(role)) not valid;
      create statistics public.counted on (role operator(side.===) 'x'), message from public.chats;
      create trigger only_some before update on public.chats for each row when (side.long(new.role))
        execute function suppress_redundant_updates_trigger()`)
    await db.sql.unsafe('truncate side.ran')
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const plan = await said(project.plan())
    const named = plan.steps.flatMap(s => s.hazards).filter(h => h.code === 'RUNS_FOREIGN_CODE')
    expect([...new Set(named.map(h => h.detail))].sort()).toEqual(
      [
        ['cast of speaker', 'shown'],
        ['cast of speakers', 'shown'],
        ['cast of turn', 'shown'],
        ['constraint same', 'same'],
        ['constraint typed', 'long'],
        ['constraint wrapped', 'same'],
        ['domain of said', 'long'],
        ['domain of told', 'long'],
        ['statistics counted', 'same'],
        ['trigger only_some', 'long'],
        ['type of span', 'apart'],
      ].map(([what, name]) => `${what} (side.${name} of ${mallory}) would run as postgres, a superuser`),
    )
    // constraints are not evaluated for the plan either
    expect(plan.codes).toContain('NOT_REHEARSED')
    expect((await said(project.doctor())).codes).toContain('NOT_REHEARSED')
    const refused = await said(project.migrate())
    expect([refused.verdict, refused.findings.find(f => f.code === 'CONSENT_NEEDED')?.facts]).toMatchObject([
      'refused',
      { missing: expect.arrayContaining(['RUNS_FOREIGN_CODE']) },
    ])
    expect(await db.sql`select what from side.ran`).toEqual([])
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })

  test('tables without a schema, in a body, and below a foreign key are looked at too, and event triggers', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
      create schema side authorization ${mallory};
      create sequence side.ran;
      alter sequence side.ran owner to ${mallory};
      create table public.notes (id int primary key, colour text);
      create table public.marks (note int references public.notes on delete cascade);
      create table public.likes (note int references public.notes on update cascade);
      create table public.moods (colour text);
      insert into public.notes values (1, 'red'); insert into public.marks values (1); insert into public.moods values ('red');
      grant trigger on public.notes, public.marks, public.likes, public.moods to ${mallory};
      set role ${mallory};
      create function side.audit() returns trigger language plpgsql as $$ begin perform nextval('side.ran'); return coalesce(new, old); end $$;
      create function side.change() returns event_trigger language plpgsql as $$ begin perform nextval('side.ran'); end $$;
      create trigger of_notes before update on public.notes for each row execute function side.audit();
      create trigger of_marks before delete on public.marks for each row execute function side.audit();
      create trigger of_likes before update on public.likes for each row execute function side.audit();
      create trigger of_moods before update on public.moods for each row execute function side.audit();
      reset role;
      create event trigger every_change on ddl_command_end execute function side.change()`)
    const files = (up: string) =>
      folder({
        'migrations/mine/1_do.sql': up,
        'rollbacks/mine/1_do.sql': 'select 1;',
        'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
      })
    const named = async (up: string) => {
      const project = await inProcess(db.url, { dir: files(up), track: 'mine' })
      await said(project.doctor())
      const { steps } = await said(project.plan())
      return steps
        .flatMap(s => s.hazards)
        .filter(h => h.code === 'RUNS_FOREIGN_CODE')
        .map(h => `${h.subject}: ${/^(event )?trigger \w+/.exec(h.detail)![0]}`)
        .sort()
    }
    const every = `${db.name}: event trigger every_change`
    const notes = 'public.notes: trigger of_notes'
    expect(await named("update notes set colour = 'blue';")).toEqual([notes, every].sort())
    expect(await named('delete from public.notes where id = 1;')).toEqual(
      [notes, every, 'public.marks: trigger of_marks'].sort(),
    )
    expect(await named('update public.notes set id = id + 1;')).toEqual(
      [notes, every, 'public.likes: trigger of_likes'].sort(),
    )
    expect(await named("do $$ begin update moods set colour = 'blue'; end $$;")).toEqual(
      ['public.moods: trigger of_moods', every].sort(),
    )
    expect((await db.sql`select is_called from side.ran`)[0]!.is_called).toBe(false)
    await db.sql.unsafe(`drop event trigger every_change; drop owned by ${mallory} cascade`)
  })

  test('a table that somebody else made by the name of another tool’s history is not read', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
      create schema side authorization ${mallory};
      create sequence side.ran;
      alter sequence side.ran owner to ${mallory};
      set role ${mallory};
      create type side.moment as enum ('now');
      create function side.shown(side.moment) returns text language plpgsql immutable as $$ begin perform nextval('side.ran'); return ''; end $$;
      create cast (side.moment as text) with function side.shown(side.moment);
      create table side.pgmigrations (id serial, name text, run_on side.moment);
      insert into side.pgmigrations (name, run_on) values ('1_notes', 'now');
      reset role`)
    const dir = folder({
      'package.json': '{"devDependencies": {"node-pg-migrate": "8.0.0"}}',
      'migrations/1_notes.sql':
        '-- Up Migration\ncreate table public.notes (id int);\n-- Down Migration\ndrop table public.notes;\n',
    })
    const project = await inProcess(db.url, { dir })
    for (const verb of [() => project.status(), () => project.plan(), () => project.migrate()])
      expect((await said(verb())).findings).toContainEqual(
        expect.objectContaining({ code: 'FOREIGN_OBJECT', subject: 'function side.shown' }),
      )
    expect((await db.sql`select is_called from side.ran`)[0]!.is_called).toBe(false)
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })

  /**
   * Code of somebody else that takes back the role of the session where it can. A sequence keeps its count in
   * a transaction that is rolled back, as a file of the server would.
   */
  const taker = `
    do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
    create schema side authorization ${mallory};
    grant usage on schema side to public;
    create sequence side.taken;
    alter sequence side.taken owner to ${mallory};
    set role ${mallory};
    create function side.take() returns int language plpgsql as $$
    begin
      perform pg_catalog.set_config('role', 'none', false);
      if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then perform pg_catalog.nextval('side.taken'); end if;
      return 1;
    exception
      when others then return 1;
    end $$;
    create function side.audit() returns trigger language plpgsql as $$ begin perform side.take(); return coalesce(new, old); end $$;
    reset role;`

  const isTaken = async (db: Database) =>
    (await db.sql<{ is_called: boolean }[]>`select is_called from side.taken`)[0]!.is_called

  test.each([
    [
      'a trigger',
      'create trigger a_audit before insert or update or delete on public.chats for each row execute function side.audit()',
      'trigger a_audit (side.audit',
    ],
    [
      'a trigger of a table that follows',
      `create table public.marks (chat uuid references public.chats (id) on delete cascade);
       create trigger a_audit before insert or update or delete on public.marks for each row execute function side.audit()`,
      'trigger a_audit (side.audit',
    ],
    [
      'a default',
      'alter table public.chats add column mood int default side.take()',
      'default of mood (side.take',
    ],
    [
      'a policy',
      'create policy side on public.chat_sessions for select to authenticated using (side.take() = 2)',
      'policy side (side.take',
    ],
    [
      'a policy of a table that a policy reads',
      `alter table public.workspaces enable row level security;
       create policy side on public.workspaces for select to authenticated using (side.take() = 2);
       create policy side on public.chat_sessions for select to authenticated using (exists (select from public.workspaces w where w.id = workspace_id and false))`,
      'policy side (side.take',
    ],
    [
      'a view',
      'create view public.peek as select s.*, side.take() as took from public.chat_sessions s; grant select on public.peek to authenticated',
      'view peek (side.take',
    ],
  ])(
    '%s of somebody else takes no superuser’s rights where rows are read and written as somebody',
    async (_, sql, named) => {
      await using db = await database(server, 'workspace-sessions', 300)
      const project = await inProcess(db.url, { track: 'workspace-sessions' })
      expect((await said(project.migrate())).verdict).toBe('clean')
      await db.sql.unsafe(taker)
      await db.sql.unsafe(sql)
      await db.sql.unsafe(`alter sequence side.taken restart`)
      const [person] = await db.sql<{ id: string }[]>`select user_id as id from public.chat_sessions limit 1`
      const verbs: [string, () => Promise<Report>][] = [
        ['verify', () => project.verify({ sample: 2 })],
        ['prove', () => project.prove()],
        ['plan', () => project.plan({ phase: 'contract' })],
        ['status', () => project.status()],
        ['doctor', () => project.doctor()],
        ['stats', () => project.stats()],
      ]
      for (const [name, verb] of verbs) {
        const report = await said(verb())
        expect([name, await isTaken(db)]).toEqual([name, false])
        if (name !== 'verify') continue
        expect(report.verdict).not.toBe('clean')
        expect(report.findings.filter(f => f.code === 'PROBE_SKIPPED').map(f => f.message)).toContainEqual(
          expect.stringContaining(named),
        )
      }
      await expect(project.verify({ asUser: person!.id })).rejects.toThrow(named)
      expect(await isTaken(db)).toBe(false)
      await db.sql.unsafe(`drop owned by ${mallory} cascade`)
    },
  )

  test('what takes back the role of a session would have got it', async () => {
    await using db = await database(server, 'workspace-sessions', 20)
    await db.sql.unsafe(taker)
    const session = open(db.url, 1)
    await session.unsafe('begin; set local role authenticated; select side.take(); rollback')
    await session.end()
    expect(await isTaken(db)).toBe(true)
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })

  test('a rehearsal, a test of the way back and mutants of a superuser ask before they run it', async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    await using copy = await database(server, 'workspace-sessions', 60)
    for (const one of [db, copy])
      await one.sql.unsafe(
        `${taker} create trigger a_audit before insert or update on public.chats for each row execute function side.audit()`,
      )
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    for (const asked of [{ rehearse: true }, { rehearseUrl: copy.url }])
      await expect(project.plan(asked)).rejects.toThrow(
        `trigger a_audit (side.audit of ${mallory}) would run as postgres, a superuser`,
      )
    const wanted = { missing: ['RUNS_FOREIGN_CODE'] }
    const ways = await said(project.testRollbacks({ consent: { confirm: db.name } }))
    expect(ways.findings.find(f => f.code === 'CONSENT_NEEDED')?.facts).toMatchObject(wanted)
    expect([await isTaken(db), await isTaken(copy)]).toEqual([false, false])
    const given = { allow: ['FIRES_TRIGGERS', 'RUNS_FOREIGN_CODE'] as HazardCode[] }
    expect((await said(project.migrate({ consent: given }))).verdict).toBe('clean')
    await db.sql.unsafe('alter sequence side.taken restart')
    const mutants = await said(project.testChecks({ consent: { confirm: db.name } }))
    expect(mutants.findings.find(f => f.code === 'CONSENT_NEEDED')?.facts).toMatchObject(wanted)
    expect(await isTaken(db)).toBe(false)
    for (const one of [db, copy]) await one.sql.unsafe(`drop owned by ${mallory} cascade`)
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
