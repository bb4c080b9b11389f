import { describe, expect, test } from 'vitest'
import { configured, contract, contractWith, rethread } from '../support/cli.js'
import { type Database, database, inTurn, picture, root, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess } from '../support/in_process.js'

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
  const test = inTurn(server)

  test('a table that Citus has distributed, as its catalog says: refused, with what a copy of the track needs', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    // the extension is not here: this is the part of its catalog that is read
    await db.sql.begin(async tx => {
      await tx`set local allow_system_table_mods = on`
      await tx`create table pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text)`
      await tx`insert into pg_catalog.pg_dist_partition
        select attrelid, 'h', format('{VAR :varno 1 :varattno %s :vartype 2950}', attnum) from pg_attribute where attrelid = 'public.chats'::regclass and attname = 'workspace_id'`
      await tx`insert into pg_catalog.pg_dist_partition values ('public.workspaces', 'n', null)`
    })
    const found = await refusedEverywhere(db, 'DISTRIBUTED_TABLE')
    expect(found.map(f => [f.subject, f.facts])).toEqual([
      [
        'public.chats',
        {
          column: 'workspace_id',
          needs: [
            '002_link_chats_to_sessions: set citus.enable_unsafe_triggers = on, for its triggers',
            '003_collect_legacy_sessions: --! key: workspace_id and the columns of the primary key',
            '005_assign_messages: --! key: workspace_id and the columns of the primary key',
            '006_index_and_constrain: the key chats_session_id_fkey with workspace_id in it',
            '007_release_lost_messages: --! key: workspace_id and the columns of the primary key',
            '009_set_aside_unassigned: --! key: workspace_id and the columns of the primary key',
            '009_set_aside_unassigned: --! unit: workspace_id',
            '011_follow_the_session: set citus.enable_unsafe_triggers = on, for its triggers',
          ],
          migration: 'migrations/workspace-sessions/002_link_chats_to_sessions.sql',
        },
      ],
    ])
  })

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
    // with what we make beside it, the application may still delete a session
    expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
    const gone = await db.sql.unsafe(
      'delete from public.chat_sessions where id = (select min(id::text)::uuid from public.chat_sessions)',
    )
    expect(gone.count).toBe(1)
    const verified = await rethread(db.url, ['verify', ...track, '--only', 'access_overlap'])
    expect(verified.report.checks.map(c => [c.check, c.outcome])).toEqual([['access_overlap', 'pass']])
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

  test('rows that violate such a check and that no backfill updates refuse nothing', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`update public.chats set message = '' where workspace_id is null;
      alter table public.chats add constraint not_blank check (message <> '') not valid`)
    for (const command of ['doctor', 'plan']) {
      const ran = await rethread(db.url, [command, ...track])
      const codes = ran.report.findings.map(f => f.code)
      expect([command, ran.code, codes.filter(c => c.startsWith('ROWS_'))]).toEqual([command, 0, []])
    }
    // with this setting they are messages of a workspace like any other: the backfill would update them
    const [some] = await db.sql`select id from public.workspaces where owner_id is not null limit 1`
    const cwd = configured({ settings: { null_workspace: some!.id }, dir: root })
    const other = await rethread(db.url, ['migrate', ...track], { cwd })
    expect([other.code, other.report.findings.filter(f => f.level === 'refused').map(f => f.code)]).toEqual([
      3,
      ['ROWS_VIOLATE'],
    ])
    expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
    const gone = await rethread(db.url, ['migrate', ...track, ...contract])
    expect([gone.code, gone.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
  })

  test('a check that takes too long to look at is named, and no plan is clean', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`create function public.slow(text) returns boolean language plpgsql immutable as $$ begin perform pg_sleep(0.2); return true; end $$;
      alter table public.chats add constraint slow check (public.slow(message)) not valid`)
    for (const command of ['doctor', 'plan']) {
      const ran = await rethread(db.url, [command, ...track])
      const found = ran.report.findings.filter(f => f.code.startsWith('ROWS_'))
      expect([command, ran.code, ran.report.verdict, found.map(f => [f.code, f.subject])]).toEqual([
        command,
        1,
        'attention',
        [
          ['ROWS_NOT_LOOKED_AT', 'public.chats'],
          ['ROWS_NOT_LOOKED_AT', 'public.chats'],
        ],
      ])
    }
  })

  test('what a body changes, and what only a text that is put together makes: named, and no plan is clean', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`create table public.notes (id int primary key, said text);
      insert into public.notes values (1, ''); alter table public.notes add constraint blank check (said <> '') not valid`)
    const dir = folder({
      'migrations/mine/001_hidden.sql': `--! title: Change in bodies
--! phase: expand
-- locks: public.notes ROW EXCLUSIVE
do $$ begin update public.notes set id = id + 1; end $$;
create function public.shift_notes() returns void language sql as $$ update public.notes set id = id + 1 $$;
-- locks: public.notes ROW EXCLUSIVE
select public.shift_notes();
-- locks: public.notes ACCESS EXCLUSIVE
do $$ begin execute format('alter table public.notes add column %I int', 'size'); end $$;
alter table public.notes add constraint sized check (size > 0) not valid;`,
      'verify/mine/always.sql': `--! title: Nothing is wrong\nselect '' as object, '' as detail where false;`,
      'rollbacks/mine/001_hidden.sql':
        'alter table public.notes drop column size; drop function public.shift_notes();',
    })
    const plan = async () => {
      const report = await (await inProcess(db.url, { dir, track: 'mine' })).plan()
      const codes = ['ROWS_NOT_LOOKED_AT', 'NOT_TRIED']
      return [
        report.verdict,
        report.findings.filter(f => codes.includes(f.code)).map(f => [f.code, f.subject]),
      ]
    }
    const notTried = ['NOT_TRIED', 'migrations/mine/001_hidden.sql:10']
    const notLooked = ['ROWS_NOT_LOOKED_AT', 'public.notes']
    expect(await plan()).toEqual(['attention', [notLooked, notLooked, notTried]])
    // rows that violate nothing leave one question
    await db.sql`update public.notes set said = 'x'`
    expect(await plan()).toEqual(['attention', [notTried]])
  })

  test('a partitioned table: what is run partition by partition is not refused', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    await db.sql.unsafe(`
      alter table public.chats rename to chats_before;
      create table public.chats (like public.chats_before including defaults, primary key (id, created_at)) partition by range (created_at);
      create table public.chats_rest partition of public.chats default;
      insert into public.chats select * from public.chats_before where created_at is not null;
      drop table public.chats_before cascade`)
    for (const command of ['plan', 'doctor']) {
      const ran = await rethread(db.url, [command, ...track])
      const codes = ran.report.findings.map(f => f.code)
      const refusals = ['PARTITIONED_TABLE', 'WOULD_FAIL', 'NOT_REHEARSED']
      expect([command, ran.code, codes.filter(c => refusals.includes(c))]).toEqual([command, 0, []])
    }
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

  test('drift between two runs is refused before the next step, and taken over only by name and with a word', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
    await db.sql.unsafe(`drop policy chat_sessions_select on public.chat_sessions;
      create index somebodys on public.chats (role);
      alter table public.chats alter column role set default 'user';
      create table public.chats_of_others (id int primary key)`)
    // nothing to do is no reason to say nothing
    const idle = await rethread(db.url, ['migrate', ...track])
    expect([idle.code, idle.report.findings.map(f => f.code)]).toEqual([
      1,
      expect.arrayContaining(['DRIFT', 'NOTHING_TO_DO']),
    ])
    const before = await picture(db.sql)
    const refused = await rethread(db.url, ['migrate', ...track, ...contract])
    const wanted = refused.report.findings.find(f => f.code === 'CONSENT_NEEDED')!
    // without the policy that was dropped nobody would reach a message after 011
    expect([refused.code, (wanted.facts as { missing: string[] }).missing]).toEqual([
      3,
      ['IGNORES_DRIFT', 'HIDES_ROWS'],
    ])
    for (const name of [
      '- policy public.chat_sessions.chat_sessions_select',
      '+ index public.chats.somebodys',
      '~ column public.chats.role',
    ])
      expect(wanted.message).toContain(name)
    expect(wanted.message).not.toContain('chats_of_others')
    expect(await picture(db.sql)).toEqual(before)
    const plan = await rethread(db.url, ['plan', ...track, ...contract])
    expect(plan.code).toBe(1)
    const allowed = contractWith('IGNORES_DRIFT', 'HIDES_ROWS')
    const gone = await rethread(db.url, ['migrate', ...track, ...allowed])
    expect([gone.code, gone.report.findings.find(f => f.code === 'DRIFT')?.message]).toEqual([
      0,
      expect.stringContaining('chats_of_others'),
    ])
    expect((await rethread(db.url, ['migrate', ...track])).report.findings.map(f => f.code)).not.toContain(
      'DRIFT',
    )
  })
})

/** Messages with a time of their last change, moved by the usual trigger, and one that calls out. */
const triggers = `
  alter table public.chats add column updated_at timestamptz default '2020-01-01';
  create table public.sent (n bigserial primary key, what text);
  create function public.call_out() returns trigger language plpgsql as $$ begin
    insert into public.sent (what) values (tg_op); return null; end $$;
  create trigger chats_updated_at before update on public.chats for each row execute function public.update_updated_at();
  create trigger call_out after insert or update on public.chats for each row execute function public.call_out();
  create trigger on_edit after update on public.chats for each row
    when (old.message is distinct from new.message) execute function public.call_out();
  create trigger on_role after update of role on public.chats for each row execute function public.call_out()`

const touched = async (db: Database) =>
  (
    await db.sql<{ moved: number; sent: number; assigned: boolean }[]>`
      select (select count(*)::int from public.chats where updated_at <> '2020-01-01') as moved,
        (select count(*)::int from public.sent) as sent, exists (select from public.chats where session_id is not null) as assigned`
  )[0]!

describe.each(servers())('columns of another kind on PostgreSQL $major', server => {
  test.each([
    [
      'workspace-sessions',
      'alter table public.chats drop column created_at, add column created_at bigint',
      'column public.chats.created_at is bigint; timestamptz or date is needed.',
    ],
    [
      'workspace-sessions',
      'alter table public.chats drop column created_at',
      'column public.chats.created_at timestamptz|date is missing.',
    ],
    [
      'conversation-history',
      'alter table public.chat_sessions drop column metadata',
      'column public.chat_sessions.metadata jsonb is missing.',
    ],
    [
      'conversation-history',
      'alter table public.chat_sessions drop column updated_at cascade',
      'column public.chat_sessions.updated_at timestamptz is missing.',
    ],
    [
      'conversation-history',
      'alter table public.chat_sessions drop column messages, add column messages jsonb[]',
      'column public.chat_sessions.messages is jsonb[]; jsonb or json is needed.',
    ],
    [
      'conversation-history',
      'drop table public.tenants cascade; create type public.tenants as (id uuid)',
      'table public.tenants is missing.',
    ],
    [
      'conversation-history',
      'alter table public.chat_sessions rename messages to turns',
      'column public.chat_sessions.messages jsonb|json is missing.',
    ],
    [
      'helper-chats',
      'alter table public.projects drop column user_id, add column user_id text',
      'column public.projects.user_id is text; uuid is needed.',
    ],
  ])('%s: %s', async (name, sql, message) => {
    await using db = await database(server, name, 20)
    await db.sql.unsafe(sql)
    const ran = await rethread(db.url, ['migrate', '--track', name])
    expect([ran.code, ran.report.findings.map(f => f.message)]).toEqual([
      3,
      expect.arrayContaining([message]),
    ])
    expect((await rethread(db.url, ['plan', '--track', name])).code).toBe(1)
  })
})

describe.each(servers())('triggers of the application on PostgreSQL $major', server => {
  test('a backfill that would fire them wants a decision; the plan says which functions and how many rows', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    await db.sql.unsafe(`${triggers}; analyze public.chats`)
    const plan = await rethread(db.url, ['plan', ...track])
    const said = plan.report.findings.find(f => f.code === 'FIRING_TRIGGERS')!
    expect([plan.code, said.facts]).toMatchObject([
      1,
      {
        triggers: ['call_out (public.call_out)', 'chats_updated_at (public.update_updated_at)'],
        held: false,
        migration: '005_assign_messages',
      },
    ])
    expect((said.facts as { rows: number }).rows).toBeGreaterThan(150)
    const [consent] = await refusedEverywhere(db, 'CONSENT_NEEDED')
    expect(consent!.facts).toMatchObject({ missing: ['FIRES_TRIGGERS'] })
    expect((await rethread(db.url, ['doctor', ...track])).report.next).toBe(
      'rethread migrate --track workspace-sessions --allow FIRES_TRIGGERS',
    )
    expect((await db.sql`select to_regnamespace('rethread') as made`)[0]!.made).toBeNull()
    // a canary is a backfill as well
    expect((await rethread(db.url, ['migrate', ...track, '--phase', 'expand'])).code).toBe(0)
    const [workspace] =
      await db.sql`select workspace_id as id from public.chats where workspace_id is not null limit 1`
    const canary = await rethread(db.url, ['backfill', ...track, '--workspace', workspace!.id])
    expect([canary.code, await touched(db)]).toMatchObject([3, { moved: 0, sent: 0 }])
    const fired = await rethread(db.url, ['migrate', ...track, '--allow', 'FIRES_TRIGGERS'])
    expect(fired.code).toBe(0)
    const after = await touched(db)
    expect(after.moved).toBeGreaterThan(150)
    // what the trigger did is found afterwards
    const verified = await rethread(db.url, ['verify', ...track, '--only', 'times_unmoved'])
    expect(verified.report.checks.map(c => [c.check, c.outcome])).toEqual([['times_unmoved', 'found']])
  })

  test('held off by the configuration: no time moves, nobody is called, and the application’s own statements fire them', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    await db.sql.unsafe(triggers)
    const cwd = configured({ triggers: 'hold', dir: root })
    const plan = await rethread(db.url, ['plan', ...track], { cwd })
    expect([plan.code, plan.report.findings.find(f => f.code === 'FIRING_TRIGGERS')!.facts]).toMatchObject([
      0,
      { held: true },
    ])
    expect((await rethread(db.url, ['migrate', ...track], { cwd })).code).toBe(0)
    expect(await touched(db)).toEqual({ moved: 0, sent: 0, assigned: true })
    const verified = await rethread(db.url, ['verify', ...track, '--only', 'times_unmoved'])
    expect(verified.report.checks.map(c => [c.check, c.outcome])).toEqual([['times_unmoved', 'pass']])
    await db.sql.unsafe(
      `update public.chats set role = role where id = (select id from public.chats limit 1)`,
    )
    expect(await touched(db)).toMatchObject({ moved: 1, sent: 2 })
  })

  test('held off only where that is safe: what may not, or would pass over foreign keys, is refused with the reason', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const cwd = configured({ triggers: 'hold', dir: root })
    const because = async (setup: string) => {
      await db.sql.unsafe(setup)
      const ran = await rethread(db.url, ['migrate', ...track], { cwd })
      expect(ran.code).toBe(3)
      return ran.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.message
    }
    await db.sql.unsafe(triggers)
    expect(await because('alter table public.chats enable always trigger call_out')).toContain(
      'call_out is enabled always',
    )
    await db.sql.unsafe('alter table public.chats enable trigger call_out')
    const role = `deployer_${db.name}`
    await db.sql.unsafe(
      `create role ${role} login bypassrls in role ${(await db.sql`select current_user as me`)[0]!.me}`,
    )
    try {
      const url = new URL(db.url)
      url.username = role
      await db.sql.unsafe(
        `grant create on database ${db.name} to ${role}; alter database ${db.name} owner to ${role}`,
      )
      const ran = await rethread(url.toString(), ['migrate', ...track], { cwd })
      expect([ran.code, ran.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.message]).toEqual([
        3,
        expect.stringContaining(`grant set on parameter session_replication_role to ${role}`),
      ])
      await db.sql.unsafe(`grant set on parameter session_replication_role to ${role}`)
      const after = await rethread(url.toString(), ['plan', ...track], { cwd })
      expect(after.report.findings.find(f => f.code === 'FIRING_TRIGGERS')!.facts).toMatchObject({
        held: true,
      })
    } finally {
      await db.sql
        .unsafe(`alter database ${db.name} owner to current_user;
        revoke set on parameter session_replication_role from ${role}; drop owned by ${role}; drop role ${role}`)
        .catch(() => {})
    }
  })
})
