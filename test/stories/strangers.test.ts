import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type MigrateRequest,
  type OpenedProject,
  openProject,
  type Report,
  type RollbackRequest,
  worded,
} from '../../src/index.js'
import { fingerprintOf, objects } from '../../src/run/schema_snapshot.sql.js'
import { contractWith, rethread } from '../support/cli.js'
import {
  type Database,
  database,
  inTurn,
  newest,
  open,
  picture,
  root,
  servers,
  turn,
} from '../support/database.js'
import { folder } from '../support/folder.js'
import { record } from '../support/recorder.js'
import type { Server } from '../support/servers.js'

/**
 * Databases of people whom nobody asked: what would stop their application or take rows of theirs away is
 * said before the first change, and what goes through can be taken back.
 */

const people = `insert into auth.users (id, email) select md5('person ' || n)::uuid, n || '@example.org' from generate_series(1, 3) n;`

/** Rooms with notes in them; `key` is the key of a note, `more` what else is there. */
const rooms = (key: string, more = '') => `
  create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
  create table public.workspaces (id uuid primary key, name text not null, owner_id uuid references auth.users (id), updated_at timestamptz default now());
  ${people}
  insert into public.workspaces (id, name, owner_id) select md5('room ' || n)::uuid, 'Room ' || n, md5('person ' || n)::uuid from generate_series(1, 3) n;
  create table public.chats (${key}, workspace_id uuid references public.workspaces (id) on delete cascade, user_id uuid, role text, message text, created_at timestamptz default now());
  insert into public.chats (workspace_id, user_id, role, message) select md5('room ' || (n % 3 + 1))::uuid, md5('person ' || (n % 3 + 1))::uuid, 'user', 'note ' || n from generate_series(1, 12) n;
  insert into public.chats (role, message) values ('user', 'on the doorstep');
  ${more}`

const keyed = 'id uuid primary key default gen_random_uuid()'

/** Threads with their messages in one column of type `kept`; `columns` are further ones. */
const threads = (kept: string, columns = '', more = '') => `
  create table public.tenants (id uuid primary key, name text);
  create table public.tenant_users (tenant_id uuid references public.tenants (id), user_id uuid references auth.users (id), role text not null default 'user', primary key (tenant_id, user_id));
  alter table public.tenant_users enable row level security;
  create table public.chat_sessions (id uuid primary key default gen_random_uuid(), tenant_id uuid, user_id uuid, title text, messages ${kept} default '[]',
    metadata jsonb default '{}', created_at timestamptz default now(), updated_at timestamptz default now() ${columns});
  ${people}
  insert into public.tenants (id, name) values (md5('firm')::uuid, 'Firm');
  insert into public.tenant_users (tenant_id, user_id) select md5('firm')::uuid, id from auth.users;
  ${more}`

async function on(
  server: Server,
  track: string,
  schema: string,
  story: (db: Database, project: OpenedProject) => Promise<void>,
): Promise<void> {
  await using db = await database(server, 'empty')
  await db.sql.unsafe(schema)
  const project = await openProject({ databaseUrl: db.url, track, config: {}, lockWaitSeconds: 5 })
  try {
    await story(db, project)
  } finally {
    await project.close()
  }
}

/** The findings that refuse or fail, each with a fix; the recorder of codes sees all of them. */
function loud(report: Report): string[] {
  record(report.findings.map(worded))
  for (const f of report.findings.filter(f => f.level === 'refused' || f.level === 'error'))
    expect([f.code, worded(f).fix]).not.toEqual([f.code, null])
  return report.findings
    .filter(f => f.level === 'refused' || f.level === 'error')
    .map(f => `${f.code} ${f.subject}`)
}

/** What `migrate` refuses with nothing changed; `plan` warns of it too, and `doctor` where it is asked. */
async function refusal(db: Database, project: OpenedProject, withDoctor = false): Promise<string[]> {
  const before = await picture(db.sql)
  const refused = loud(await project.migrate()).sort()
  for (const report of [await project.plan(), ...(withDoctor ? [await project.doctor()] : [])]) {
    const codes = new Set(refused.map(r => r.split(' ')[0]))
    const said = report.findings.filter(f => codes.has(f.code)).map(f => `${f.code} ${f.subject}`)
    expect([report.command, report.verdict, said.sort()]).toEqual([report.command, 'attention', refused])
  }
  expect(await picture(db.sql)).toEqual(before)
  return refused
}

const contract: MigrateRequest = {
  phase: 'contract',
  consent: { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] },
}

const undo = (db: Database): RollbackRequest => ({
  all: true,
  consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: db.name },
})

describe.each(servers())('a database of strangers on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a rule of the application does not stand in the way of a restore', () =>
    on(
      server,
      'workspace-sessions',
      rooms(
        keyed,
        'create table public.edits (n int); create rule also as on update to public.chats do also insert into public.edits values (1);',
      ),
      async (db, project) => {
        const fires: MigrateRequest = { consent: { allow: ['FIRES_TRIGGERS'] } }
        expect(loud(await project.migrate(fires))).toEqual([])
        await db.sql`
          with opened as (insert into public.chat_sessions (workspace_id, user_id) values (md5('room 1')::uuid, md5('person 1')::uuid) returning id)
          insert into public.chats (workspace_id, user_id, role, message, session_id) select md5('room 1')::uuid, md5('person 1')::uuid, 'user', 'new', id from opened`
        expect(loud(await project.rollback(undo(db)))).toEqual([])
        expect(loud(await project.restore({ archive: 'latest', ...fires }))).toEqual([])
        const [row] = await db.sql`
          select count(*)::int as n from public.chats c join public.chat_sessions s on s.id = c.session_id where c.message = 'new'`
        expect(row!.n).toBe(1)
      },
    ))

  test('what would break with a further column, or would not do what it says, is named before the first change', () =>
    on(
      server,
      'workspace-sessions',
      rooms(
        keyed,
        `create table public.chats_before (like public.chats);
        create function public.keep_before() returns trigger language plpgsql as $$
          begin -- a copy; of every change
            insert into public.chats_before select old.*; return new; end $$;
        create trigger keep_before before update on public.chats for each row when (new.message <> old.message) execute function public.keep_before();
        create function public.notes_of(room uuid) returns table (id uuid, workspace_id uuid, user_id uuid, role text, message text, created_at timestamptz)
          language sql as 'select c.* from public.chats c where c.workspace_id = room';
        create function public.count_both() returns bigint language plpgsql as $$ declare n bigint; begin
          insert into public.chats_before select * from public.chats where false returning 1 into n; return n; end $$;
        create function public.blank() returns public.chats language sql as $$ select row(null, null, null, null, '', now())::public.chats $$;
        -- none of these minds another column
        create table public.log (entry jsonb, what text);
        create function public.log_note() returns trigger language plpgsql as $$ begin
          insert into public.log values (to_jsonb(new.*), 'chats'); insert into public.chats_before (id, message) select new.id, new.message; return new; end $$;
        create trigger log_note before insert on public.chats for each row execute function public.log_note();
        create function public.all_notes() returns setof public.chats language sql as 'select * from public.chats';
        create rule keep_notes as on delete to public.chats do instead nothing;
        create table public.chats_attic () inherits (public.chats);
        create type public.chat_sessions as enum ('open', 'closed');
        -- a table keeps the numbers of its dropped columns for ever
        do $$ begin for k in 1..4 loop
          execute (select 'alter table public.chats_attic ' || string_agg(format('add column c%s int', n), ', ') from generate_series(1, 390) n);
          execute (select 'alter table public.chats_attic ' || string_agg(format('drop column c%s', n), ', ') from generate_series(1, 390) n); end loop;
          execute (select 'alter table public.chats_attic ' || string_agg(format('add column c%s int', n), ', ') from generate_series(1, 1600 - 1560 - 6) n); end $$;
        create schema rethread; create table rethread.ledger (amount numeric);`,
      ),
      async (db, project) => {
        expect(await refusal(db, project, true)).toEqual([
          'COLUMNS_USED_UP public.chats_attic',
          'COUNTS_COLUMNS function public.blank()',
          'COUNTS_COLUMNS function public.count_both()',
          'COUNTS_COLUMNS function public.keep_before()',
          'COUNTS_COLUMNS function public.notes_of(room uuid)',
          'INHERITED_TABLE public.chats',
          'NAME_TAKEN schema rethread',
          'NAME_TAKEN type public.chat_sessions',
          'REWRITTEN_BY_RULE public.chats',
        ])
      },
    ))

  test('an event trigger that refuses DDL, and a table that no key may point at, are found on the copies', async () => {
    const noDdl = `create function public.ask_first() returns event_trigger language plpgsql as $$ begin raise exception 'ask first'; end $$;
      create event trigger no_ddl on ddl_command_end when tag in ('CREATE TABLE') execute function public.ask_first();`
    await on(server, 'workspace-sessions', rooms(keyed, noDdl), async (db, project) => {
      expect(await refusal(db, project)).toEqual(['EVENT_TRIGGER_RAISES no_ddl'])
    })
    const unlogged = `${people} create unlogged table public.projects (id uuid primary key, user_id uuid, name text);`
    await on(server, 'helper-chats', unlogged, async (db, project) => {
      expect((await refusal(db, project)).map(r => r.replace(/:\d+$/, ''))).toEqual([
        'WOULD_FAIL migrations/helper-chats/001_create_chat_tables.sql',
      ])
    })
    // no table has more columns
    const full = `do $$ begin execute (select 'alter table public.chats ' || string_agg('add column c' || n || ' bool', ', ') from generate_series(1, 1594) n); end $$`
    await on(server, 'workspace-sessions', rooms(keyed, full), async (db, project) => {
      expect((await refusal(db, project)).map(r => r.replace(/:\d+$/, ''))).toEqual([
        'COLUMNS_USED_UP public.chats',
      ])
    })
  })

  test('tables that are none of their own, and columns that the server computes, are refused before the first change', async () => {
    const chats = /create table public\.chats \(.*\);\n/
    const columns = 'workspace_id uuid, user_id uuid, role text, message text, created_at timestamptz'
    const typed = `create type public.note as (id uuid, ${columns}); create table public.chats of public.note (id with options primary key default gen_random_uuid());\n`
    await on(server, 'workspace-sessions', rooms(keyed).replace(chats, typed), async (db, project) => {
      expect(await refusal(db, project, true)).toEqual(['UNFIT_TABLE public.chats'])
      await db.sql`alter table public.chats not of`
      expect((await project.plan()).verdict).toBe('clean')
    })
    const seen = `create table public.notes (id uuid primary key default gen_random_uuid(), ${columns}); create view public.chats as select * from public.notes;\n`
    await on(server, 'workspace-sessions', rooms(keyed).replace(chats, seen), async (db, project) => {
      expect(await refusal(db, project, true)).toEqual(['UNFIT_TABLE public.chats'])
    })
    const parted = `create table public.all_notes (id uuid not null default gen_random_uuid(), ${columns}) partition by list (role);
      create table public.chats partition of public.all_notes default; alter table public.chats alter id set default gen_random_uuid();\n`
    await on(server, 'workspace-sessions', rooms(keyed).replace(chats, parted), async (db, project) => {
      expect(await refusal(db, project, true)).toEqual(['UNFIT_TABLE public.chats'])
    })
    // one part of it is elsewhere: a column of its own would be none there
    const elsewhere = `create extension file_fdw; create server elsewhere foreign data wrapper file_fdw;
      create table public.chats (id uuid not null default gen_random_uuid(), ${columns}) partition by list (role);
      create table public.chats_here partition of public.chats default;
      create foreign table public.chats_there partition of public.chats for values in ('old') server elsewhere options (filename '/dev/null');\n`
    await on(server, 'workspace-sessions', rooms(keyed).replace(chats, elsewhere), async (db, project) => {
      expect(await refusal(db, project, true)).toEqual(['UNFIT_TABLE public.chats_there'])
    })
    const alike = `create collation public.alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`
    const titles = `${alike} alter table public.chat_sessions alter title type text collate public.alike`
    await on(server, 'conversation-history', threads('jsonb', '', titles), async (db, project) => {
      expect(await refusal(db, project)).toEqual(['WRONG_TYPE column public.chat_sessions.title'])
    })
    const computed = threads('jsonb').replace(
      "messages jsonb default '[]'",
      'raw jsonb, messages jsonb generated always as (raw) stored',
    )
    await on(server, 'conversation-history', computed, async (db, project) => {
      expect(await refusal(db, project, true)).toEqual(['GENERATED_COLUMN public.chat_sessions.messages'])
      await db.sql`alter table public.chat_sessions alter column messages drop expression`
      expect((await project.plan()).verdict).toBe('clean')
    })
  })

  test('a table that a subscription writes is refused: its worker fires no triggers', async () => {
    await using source = await database(server, 'empty')
    await on(server, 'workspace-sessions', rooms(keyed), async (db, project) => {
      const slot = `slot_${db.name}`
      await source.sql.unsafe(rooms(keyed))
      await source.sql.unsafe('create publication notes for table public.chats')
      await source.sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`
      const [at] = await source.sql`select current_setting('port') as port`
      try {
        await db.sql.unsafe(
          `create subscription copies connection 'host=127.0.0.1 port=${at!.port} user=${new URL(server.url).username} dbname=${source.name}' publication notes with (create_slot = false, enabled = false, slot_name = '${slot}', copy_data = false)`,
        )
        expect(await refusal(db, project, true)).toEqual(['UNFIT_TABLE public.chats'])
        await db.sql.unsafe('alter subscription copies set (slot_name = none)')
        await db.sql.unsafe('drop subscription copies')
        expect((await project.plan()).verdict).toBe('clean')
      } finally {
        await source.sql`select pg_drop_replication_slot(${slot})`
      }
    })
  })

  test('names of keys that a new table brings, and rows that only a trigger or a rollback changes', async () => {
    const key = `${people} create table public.codebase_chat_sessions_session_id_key (id int);`
    await on(server, 'codebase-sessions', key, async (db, project) => {
      expect(await refusal(db, project)).toEqual([
        'NAME_TAKEN index public.codebase_chat_sessions_session_id_key',
      ])
    })
    const published = `set client_min_messages = error; alter table public.chat_sessions drop constraint chat_sessions_pkey;
      create publication changes for table public.chat_sessions;`
    await on(server, 'conversation-history', threads('jsonb', '', published), async (db, project) => {
      expect(await refusal(db, project)).toEqual(['NO_REPLICA_IDENTITY public.chat_sessions'])
    })
    // each names its rows, and still the server refuses to change one
    for (const clash of [
      'alter table public.chats replica identity full; create publication changes for table public.chats (id, message)',
      'create publication changes for table public.chats (message, role)',
      `create publication changes for table public.chats where (role <> 'system')`,
      'alter table public.chats drop constraint chats_pkey; alter table public.chats add primary key (id) deferrable; create publication changes for table public.chats',
    ])
      await on(server, 'workspace-sessions', rooms(keyed, clash), async (db, project) => {
        await expect(db.sql`update public.chats set role = role`).rejects.toThrow('cannot update')
        expect([clash, await refusal(db, project)]).toEqual([clash, ['NO_REPLICA_IDENTITY public.chats']])
      })
    const fits = `create publication changes for table public.chats (id, message) where (id is not null)`
    await on(server, 'workspace-sessions', rooms(keyed, fits), async (_, project) => {
      expect((await project.plan()).verdict).toBe('clean')
    })
  })

  test('keys that are checked at the end of a transaction, and rules that write down each note: the way back is open', () =>
    on(
      server,
      'workspace-sessions',
      rooms(
        keyed,
        `alter table public.chats add column answers uuid;
        update public.chats set answers = (select id from public.chats where message = 'note 1');
        alter table public.chats add foreign key (answers) references public.chats (id) deferrable initially deferred;
        create function public.seen() returns trigger language plpgsql as $$ begin return null; end $$;
        create constraint trigger seen after insert on public.chats deferrable initially deferred for each row execute function public.seen();
        create table public.diary (line text);
        create rule written_down as on insert to public.chats do also insert into public.diary values (new.message);
        create rule edited as on update to public.chats where new.role is null do also insert into public.diary values (old.message);
        alter table public.chats enable always rule edited`,
      ),
      async (db, project) => {
        const before = await picture(db.sql)
        const consent = { allow: [...contract.consent!.allow!, 'FIRES_TRIGGERS' as const] }
        for (const request of [{ consent }, { ...contract, consent }])
          expect((await project.migrate(request)).verdict).toBe('clean')
        const back = await project.rollback(undo(db))
        expect([back.verdict, loud(back)]).toEqual(['clean', []])
        const after = await picture(db.sql)
        expect([after.schema, after.content]).toEqual([before.schema, before.content])
        // they work as they did
        await db.sql`insert into public.chats (message) values ('new')`
        expect((await db.sql`select line from public.diary`).map(r => r.line)).toEqual(['new'])
      },
    ))

  test('tables that want more than the track knows are probed all the same; what refuses every row is said', () =>
    on(
      server,
      'workspace-sessions',
      rooms(
        'id bigint generated always as identity primary key',
        `create type public.mood as enum ('calm', 'loud');
        create domain public.named as text check (value ~ '^[0-9a-z]+$');
        create table public.models (id int primary key); insert into public.models values (7);
        alter table public.chats add column model int not null default 7 references public.models (id), add column mood public.mood not null default 'loud';
        alter table public.chats alter column model drop default, alter column mood drop default;
        alter table public.workspaces add column slug public.named; update public.workspaces set slug = md5(name);
        alter table public.workspaces alter column slug set not null, add unique (slug)`,
      ),
      async (db, project) => {
        for (const request of [{}, contract]) {
          const done = await project.migrate(request)
          expect([done.verdict, loud(done)]).toEqual(['clean', []])
        }
        const probes = ['access', 'probe_chatting']
        const outcomes = (report: Report) =>
          report.checks.filter(c => probes.includes(c.check)).map(c => [c.check, c.outcome])
        const before = await picture(db.sql)
        const verified = await project.verify({ sample: 3 })
        expect([verified.verdict, loud(verified), outcomes(verified)]).toEqual([
          'clean',
          [],
          probes.map(check => [check, 'pass']),
        ])
        expect(await picture(db.sql)).toEqual(before)
        // the matrix looks as it does elsewhere: a door that is opened is seen
        await db.sql`create policy ajar on public.chats for select to authenticated using (true)`
        const opened = await project.verify({ only: ['access'] })
        expect(opened.checks[0]!.found.map(f => f.detail)).toContain('outsider may select, and should not')
        await db.sql`drop policy ajar on public.chats`
        await db.sql.unsafe(`create function public.full() returns trigger language plpgsql as $$ begin raise exception 'the house is full'; end $$;
          create trigger full_house before insert on public.workspaces for each row execute function public.full()`)
        const unseen = await project.prove({})
        expect([unseen.verdict, loud(unseen), outcomes(unseen)]).toEqual([
          'attention',
          [],
          probes.map(check => [check, 'skipped']),
        ])
        const skipped = unseen.findings.filter(f => f.code === 'PROBE_SKIPPED').map(f => worded(f).message)
        expect(skipped[0]).toContain('P0001: the house is full')
      },
    ))

  test('a column may be called as what a file or the tool names: nothing is taken for it, and nobody gets in by it', () => {
    const called = [
      ...'abcdefghijklmnopqrstuvwxyz',
      'original',
      'key',
      'reason',
      'row',
      'home',
      'legacy',
      'found',
      'sqlstate',
    ]
    const columns = called.map(name => `add column ${name} box`).join(', ')
    return on(
      server,
      'workspace-sessions',
      rooms(
        keyed,
        `alter table public.workspaces ${columns}; alter table public.chats ${columns}, add column workspace uuid;
        update public.chats set workspace = workspace_id`,
      ),
      async (db, project) => {
        const before = await picture(db.sql)
        for (const request of [{}, contract]) {
          const migrated = await project.migrate(request)
          expect([migrated.verdict, loud(migrated)]).toEqual(['clean', []])
        }
        await db.sql.begin(async tx => {
          await tx`select set_config('request.jwt.claims', json_build_object('sub', md5('person 1')::uuid)::text, true)`
          const mine =
            await tx`select name, chat_private.can_use_workspace(id) as may from public.workspaces order by name`
          expect(mine.map(r => [r.name, r.may])).toEqual([
            ['Room 1', true],
            ['Room 2', false],
            ['Room 3', false],
          ])
        })
        const verified = await project.verify({})
        expect([verified.verdict, loud(verified)]).toEqual(['clean', []])
        const back = await project.rollback(undo(db))
        expect([back.verdict, loud(back)]).toEqual(['clean', []])
        const after = await picture(db.sql)
        expect([after.schema, after.content]).toEqual([before.schema, before.content])
      },
    )
  })

  test('a database that knows few characters, and one that writes down every DDL in a table without a schema', async () => {
    const name = `latin1_${randomBytes(6).toString('hex')}`
    const admin = open(server.url, 1)
    await admin.unsafe(
      `create database ${name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`,
    )
    const url = new URL(server.url)
    url.pathname = `/${name}`
    const sql = open(url.toString(), 1)
    const project = await openProject({
      databaseUrl: url.toString(),
      track: 'workspace-sessions',
      config: {},
    })
    try {
      await sql.unsafe(readFileSync(join(root, 'examples/supabase-shim.sql'), 'utf8'))
      await sql.unsafe(
        rooms(
          keyed,
          `update public.chats set message = 'é';
          create table public.ddl_log (tag text);
          create function public.log_ddl() returns event_trigger language plpgsql as $$ begin insert into ddl_log values (tg_tag); end $$;
          create event trigger log_ddl on ddl_command_end execute function public.log_ddl();`,
        ),
      )
      const schema = fingerprintOf(await objects(sql))
      for (const request of [{}, contract]) {
        const migrated = await project.migrate(request)
        expect([migrated.verdict, loud(migrated)]).toEqual(['clean', []])
        const verified = await project.verify({})
        expect([verified.verdict, loud(verified)]).toEqual(['clean', []])
      }
      const back = await project.rollback({
        all: true,
        consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: name },
      })
      expect([back.verdict, loud(back), fingerprintOf(await objects(sql))]).toEqual(['clean', [], schema])
      expect((await sql`select count(*)::int as n from public.chats where message = 'é'`)[0]!.n).toBe(13)
    } finally {
      await project.close()
      await sql.end()
      await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end()
    }
  })

  test('a probe that the tables or the policies give no chance says so, and is no failure', async () => {
    const skipped = (report: Report): string[] =>
      report.findings.filter(f => f.code === 'PROBE_SKIPPED').map(f => `${f.subject}: ${worded(f).message}`)
    const computed = rooms(keyed).replace(
      /created_at timestamptz default now\(\)\)/,
      `at timestamptz default now(), created_at timestamptz generated always as (at) stored)`,
    )
    const tenants = `create policy tenant on public.chats to authenticated using (workspace_id = current_setting('app.room')::uuid);
      alter table public.chats enable row level security;
      grant select, insert, update, delete on public.chats to authenticated`
    for (const [schema, says] of [
      [computed, 'column "created_at"'],
      [rooms(keyed, tenants), 'unrecognized configuration parameter "app.room"'],
    ] as const)
      await on(server, 'workspace-sessions', schema, async (_db, project) => {
        expect((await project.migrate()).verdict).toBe('clean')
        const consent = { allow: [...contract.consent!.allow!, 'SHOWS_ROWS' as const] }
        const done = await project.migrate({ ...contract, consent })
        expect([done.verdict, loud(done)]).toEqual(['clean', []])
        const verified = await project.verify({ only: ['probe_chatting'] })
        expect([verified.verdict, loud(verified), skipped(verified)]).toEqual([
          'attention',
          [],
          [expect.stringContaining(says)],
        ])
      })
  })

  test('a session that somebody deletes stays deleted: nothing has rows to do again', () =>
    on(server, 'workspace-sessions', rooms(keyed), async (db, project) => {
      expect((await project.migrate()).verdict).toBe('clean')
      await db.sql`delete from public.chat_sessions where workspace_id = md5('room 1')::uuid`
      const [status, again] = [await project.status(), await project.migrate()]
      const reopened = [status, again].flatMap(r => r.findings.filter(f => f.code === 'BACKFILL_REOPENED'))
      expect([status.verdict, again.verdict, reopened]).toEqual(['clean', 'clean', []])
      const left =
        await db.sql`select count(*)::int as n from public.chat_sessions where workspace_id = md5('room 1')::uuid`
      expect(left[0]!.n).toBe(0)
      // another message of the room gets a session again
      await db.sql`insert into public.chats (workspace_id, user_id, role, message) values (md5('room 1')::uuid, md5('person 1')::uuid, 'user', 'back')`
      expect((await project.verify({})).verdict).toBe('clean')
    }))

  test('while a step that failed was not run again, nothing is called clean', () =>
    on(
      server,
      'workspace-sessions',
      rooms(
        keyed,
        `create function public.call_out() returns trigger language plpgsql as $$ begin perform nowhere.call(new.id); return new; end $$;
        create trigger call_out after update on public.chats for each row execute function public.call_out()`,
      ),
      async (db, project) => {
        const fired: MigrateRequest = { consent: { allow: ['FIRES_TRIGGERS'] } }
        expect((await project.migrate(fired)).verdict).toBe('failed')
        for (const report of [await project.verify({}), await project.prove({})]) {
          const unfinished = report.findings.filter(f => f.code === 'UNFINISHED').map(f => f.subject)
          expect([report.command, report.verdict, unfinished]).toEqual([
            report.command,
            'attention',
            ['migrations/workspace-sessions/005_assign_messages.sql'],
          ])
        }
        await db.sql`drop trigger call_out on public.chats`
        expect((await project.migrate()).verdict).toBe('clean')
        expect((await project.verify({})).verdict).toBe('clean')
      },
    ))

  test('a note that others point at is not taken out, and nothing goes with it', () =>
    on(
      server,
      'workspace-sessions',
      rooms(
        keyed,
        `create table public.stars (chat uuid references public.chats (id) on delete cascade);
        alter table public.chats add column answers uuid references public.chats (id) on delete cascade;
        insert into public.stars select id from public.chats where workspace_id is null;
        update public.chats set answers = (select id from public.chats where workspace_id is null) where message = 'note 4'`,
      ),
      async (db, project) => {
        expect((await project.migrate()).verdict).toBe('clean')
        const all = { stars: 1, notes: 13 }
        const counted = async () =>
          (
            await db.sql`select (select count(*)::int from public.stars) as stars, (select count(*)::int from public.chats) as notes`
          )[0]
        const refused = await project.migrate(contract)
        expect(loud(refused)).toEqual(['ROWS_REFERENCED public.chats'])
        expect([refused.verdict, await counted()]).toEqual(['refused', all])
        // repaired, it is a note like any other
        await db.sql`update public.chats set workspace_id = md5('room 1')::uuid where workspace_id is null`
        const done = await project.migrate(contract)
        expect([done.verdict, loud(done), await counted()]).toEqual(['clean', [], all])
      },
    ))

  test('notes without a key: the way back is open, and what cannot be given back by row is kept whole', () =>
    on(
      server,
      'workspace-sessions',
      rooms('id uuid not null default gen_random_uuid()'),
      async (db, project) => {
        const before = await picture(db.sql)
        expect((await project.migrate()).verdict).toBe('clean')
        expect((await project.migrate(contract)).verdict).toBe('clean')
        await db.sql.unsafe(`
        insert into public.chat_sessions (id, workspace_id, user_id, title) values (md5('mine')::uuid, md5('room 1')::uuid, md5('person 1')::uuid, 'Mine');
        update public.chats set session_id = md5('mine')::uuid where message = 'note 3'`)
        const back = await project.rollback(undo(db))
        expect([back.verdict, loud(back)]).toEqual(['clean', []])
        const after = await picture(db.sql)
        expect([after.schema, after.content]).toEqual([before.schema, before.content])
        const again = await project.restore({ archive: 'latest', consent: contract.consent })
        const left = again.findings.filter(f => f.code === 'RESTORE_CONFLICT').map(f => worded(f).message)
        expect([again.verdict, left]).toEqual([
          'attention',
          [expect.stringContaining('public.chats had no primary key: 1 value')],
        ])
      },
    ))

  test('half a character in a json column costs that element only, and an exported tree only itself', () =>
    on(
      server,
      'conversation-history',
      threads(
        'json',
        '',
        `insert into public.chat_sessions (tenant_id, user_id, title, messages) values
          (md5('firm')::uuid, md5('person 1')::uuid, 'cut', '[{"role": "user", "content": "cut here \\ud83d"}, {"role": "user", "content": "whole \\ud83d\\ude00"},
            {"role": "user", "content": "\\ude00 begins with the other half"}, {"role": "user", "content": "as text: \\\\ud83d", "createdAt": "2025-03-01T10:00:00Z"}]'),
          (md5('firm')::uuid, md5('person 2')::uuid, 'tree', '{"mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"parts": ["x\\u0000"]}}}}}')`,
      ),
      async (db, project) => {
        const doctor = await project.doctor()
        expect([doctor.verdict, loud(doctor)]).toEqual(['clean', []])
        const ran = await project.migrate()
        expect([ran.verdict, loud(ran)]).toEqual(['clean', []])
        const messages = await db.sql`select content from public.messages order by created_at`
        expect(messages.map(m => m.content)).toEqual(['whole 😀', 'as text: \\ud83d'])
        const aside = await db.sql`select reason from rethread_archive.quarantine order by id`
        expect(aside.map(a => a.reason.slice(0, 20)).sort()).toEqual([
          'it holds \\u0000, whi',
          'it holds half of a c',
          'it holds half of a c',
        ])
        // an error that is caught in a parallel plan would end it before PostgreSQL 17
        await db.sql.begin(async tx => {
          await tx.unsafe(
            `set local ${server.major < 16 ? 'force_parallel_mode' : 'debug_parallel_query'} = on`,
          )
          const [row] = await tx`
            select count(*)::int as n from public.chat_sessions s, chat_private.elements(s.id, s.messages, s.created_at) e where e.reason is null`
          expect(row!.n).toBe(2)
        })
        await db.sql`update public.chat_sessions set messages = '[{"role": "user", "content": "again \\ud83d"}, {"role": "user", "content": "later"}]' where title = 'cut'`
        const checked = await project.verify({ only: ['accounted', 'same_content', 'behind'] })
        expect(checked.checks.map(c => [c.check, c.outcome])).toEqual(
          checked.checks.map(c => [c.check, 'pass']),
        )
        expect((await db.sql`select content from public.messages`).map(m => m.content)).toEqual(['later'])
      },
    ))

  test('the old table refuses what the new application made: the rollback ends, and a restore has it all', () =>
    on(
      server,
      'conversation-history',
      threads(
        'jsonb',
        `, model text not null check (title <> 'fresh')`,
        `insert into public.chat_sessions (tenant_id, user_id, title, messages, model)
          select md5('firm')::uuid, md5('person ' || n)::uuid, 'thread ' || n, '[{"role": "user", "content": "hello"}]', 'm' from generate_series(1, 3) n;
        create table public.shares (thread uuid references public.chat_sessions (id) on delete cascade);
        insert into public.shares select id from public.chat_sessions where title = 'thread 3'`,
      ),
      async (db, project) => {
        expect((await project.migrate()).verdict).toBe('clean')
        // a share of a new conversation would be refused: said before, with the statement that helps
        const stopped = await project.migrate(contract)
        expect(loud(stopped)).toEqual([])
        const gates = stopped.findings.flatMap(f => (f.code === 'GATE' ? [f.facts.check] : []))
        expect([stopped.verdict, gates, stopped.steps.map(s => s.outcome)]).toEqual([
          'attention',
          ['sessions_unused'],
          ['not-run'],
        ])
        const [share] = (await project.verify({ only: ['sessions_unused'] })).checks[0]!.found
        const repoint = share!.detail.replace(/^.*?(?=alter table)/, '')
        await db.sql.unsafe(repoint)
        expect((await project.migrate(contract)).verdict).toBe('clean')
        const inTheWay = await project.rollback(undo(db))
        expect([inTheWay.verdict, loud(inTheWay)]).toEqual([
          'refused',
          ['DEPENDANTS public.messages, public.conversations'],
        ])
        // somebody lets a share lead to the session in the archive
        await db.sql.unsafe(`alter table public.shares drop constraint shares_thread_fkey,
          add constraint shares_thread_fkey foreign key (thread) references rethread_archive.chat_sessions (id) on delete cascade`)
        await db.sql.unsafe(`
          insert into public.conversations (id, tenant_id, user_id, title) values (md5('fresh')::uuid, md5('firm')::uuid, md5('person 1')::uuid, 'fresh');
          insert into public.messages (conversation_id, role, content) values (md5('fresh')::uuid, 'user', 'written by the new one');
          insert into public.messages (conversation_id, role, content) select id, 'user', 'more' from public.conversations where title = 'thread 1';
          delete from public.conversations where title = 'thread 3'`)
        const back = await project.rollback(undo(db))
        expect([back.verdict, loud(back)]).toEqual(['clean', []])
        const kept =
          await db.sql`select title, jsonb_array_length(messages) as n from public.chat_sessions order by title`
        expect(kept.map(k => [k.title, k.n])).toEqual([
          ['thread 1', 2],
          ['thread 2', 1],
          // a share points at it: it is there, and says nothing any more
          ['thread 3', 0],
        ])
        expect((await db.sql`select count(*)::int as n from public.shares`)[0]!.n).toBe(1)
        const restored = await project.restore({ archive: 'latest', consent: contract.consent })
        // nothing is said of a rollback that was counted before the rows came back
        expect(restored.findings.map(f => f.code)).not.toContain('ROLLBACK_COST')
        const [fresh] =
          await db.sql`select content from public.messages where conversation_id = md5('fresh')::uuid`
        expect(fresh?.content).toBe('written by the new one')
      },
    ))
})

test.each(turn('a copy'))(
  'a copy’s probes fit the rows of the tables: checks, keys, enums, people who stand in two tables, on PostgreSQL $major',
  async server => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
    create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
    create table public.users (id uuid primary key references auth.users (id), username text);
    create function public.new_user() returns trigger language plpgsql security definer set search_path = '' as $$
      begin insert into public.users (id, username) values (new.id, new.email); return new; end $$;
    create trigger new_user after insert on auth.users for each row execute function public.new_user();
    ${people}
    create type public.tone as enum ('calm', 'loud');
    create table public.models (id int primary key check (id > 0));
    insert into public.models values (7);
    create table public.channels (id bigint generated by default as identity primary key, slug text not null unique check (slug ~ '^[0-9a-z]+$'), seats int not null check (seats > 0), created_by uuid not null references public.users (id));
    create table public.lines (id bigint generated by default as identity primary key, channel_id bigint not null references public.channels (id) on delete cascade, user_id uuid not null references public.users (id), role text not null, message text,
      model int not null references public.models (id), tone public.tone not null, created_at timestamptz not null default now());
    insert into public.channels (slug, seats, created_by) select 'c' || row_number() over (), 5, id from public.users;
    insert into public.lines (channel_id, user_id, role, message, model, tone) select c.id, c.created_by, 'user', 'line ' || n, 7, 'loud' from public.channels c, generate_series(1, 4) n;
    alter table public.users enable row level security; alter table public.channels enable row level security; alter table public.lines enable row level security;
    create policy seen on public.channels for select to authenticated using (true)`)
    const map =
      'auth.users=users,workspaces=channels,workspaces.owner_id=created_by,chats=lines,chats.workspace_id=channel_id'
    const init = await rethread(db.url, ['init', '--track', 'workspace-sessions', '--map', map], { cwd })
    expect(init.code).toBe(0)
    for (const phase of [[], contractWith('SHOWS_ROWS')]) {
      const migrated = await rethread(db.url, ['migrate', ...phase], { cwd })
      expect([migrated.report.verdict, loud(migrated.report as never)]).toEqual(['clean', []])
      const verified = await rethread(db.url, ['verify', '--sample', '3'], { cwd })
      const probes = verified.report.checks
        .filter(c => ['access', 'access_overlap', 'probe_chatting', 'real_persons'].includes(c.check))
        .filter(c => !/is not applied|of use until/.test(c.reason ?? ''))
        .map(c => [c.check, c.outcome])
      expect([verified.report.verdict, probes]).toEqual(['clean', probes.map(([check]) => [check, 'pass'])])
      expect(probes.length).toBeGreaterThan(1)
    }
    // what is outside of the database is not called for a probe
    await db.sql.unsafe(`create function public.tell() returns trigger language plpgsql as $$
      begin perform net.http_post('https://example.org', '{}'); return new; end $$;
    create trigger tell after insert on auth.users for each row execute function public.tell()`)
    const skipped = await rethread(db.url, ['verify', '--only', 'access'], { cwd })
    expect([skipped.report.verdict, skipped.report.checks[0]!.outcome]).toEqual(['attention', 'skipped'])
  },
)

test.each(turn('a clock'))(
  'messages of a time to come, by a clock that is fast or without a zone, are no fault of the triggers on PostgreSQL $major',
  async server => {
    await on(
      server,
      'conversation-history',
      threads(
        'jsonb',
        '',
        `insert into public.chat_sessions (tenant_id, user_id, title, messages)
       select md5('firm')::uuid, md5('person 1')::uuid, 'thread ' || n, jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'early', 'timestamp', now() + n * interval '1 hour')) from generate_series(1, 3) n`,
      ),
      async (db, project) => {
        expect((await project.migrate()).verdict).toBe('clean')
        const current = async () =>
          (await project.verify({ only: ['conversations_current'] })).checks[0]!.found.map(f => f.object)
        expect(await current()).toEqual([])
        // the backfill moves no time, and what the application writes does
        const [moved] =
          await db.sql`select count(*)::int as n from public.conversations where updated_at > now()`
        expect(moved!.n).toBe(0)
        await db.sql`insert into public.messages (conversation_id, role, content) select id, 'user', 'more' from public.conversations`
        expect(await current()).toEqual([])
        const [late] =
          await db.sql`update public.conversations set updated_at = '2000-01-01' where title = 'thread 2' returning id`
        expect(await current()).toEqual([late!.id])
      },
    )
  },
)

test('a gate that the server cannot answer is said so, and stops the run', async () => {
  const dir = folder({
    'migrations/own/001_notes.sql':
      'create table public.notes (id int primary key);\ninsert into public.notes values (1);',
    'migrations/own/002_more.sql': '--! phase: contract\ncreate table public.books (id int);',
    'rollbacks/own/001_notes.sql': 'drop table public.notes;',
    'rollbacks/own/002_more.sql': 'drop table public.books;',
    'verify/own/empty.sql': `--! title: Nobody has notes yet
--! gate: 002_more
select id::text as object, 'x' as detail from public.notes where public.settled() order by 1`,
  })
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    `create function public.settled() returns boolean language plpgsql as $$ begin raise exception 'not today'; end $$`,
  )
  const project = await openProject({ databaseUrl: db.url, dir, track: 'own', config: {} })
  expect((await project.migrate({ phase: 'expand' })).verdict).toBe('clean')
  const stopped = await project.migrate({ phase: 'contract', consent: { allow: ['ENDS_OLD_APP'] } })
  expect([
    stopped.verdict,
    stopped.findings.filter(f => f.level === 'error').map(f => [f.code, f.subject]),
  ]).toEqual(['failed', [['CHECK_FAILED', 'empty']]])
  await project.close()
})
