import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import type { HazardCode } from '../../src/index.js'
import type { Access } from '../../src/model/project.js'
import { fitSeeds } from '../../src/verify/fit_seeds.js'
import { database, root, some } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

/**
 * Every function of every track that has its owner's rights, attacked by somebody of another tenant by every
 * column that they may write and every id that they could know.
 */
interface Scene {
  track: string
  state: 'overlap' | 'contract'
  /** File of verify/<track>/ that seeds the victim (its owner) and the attacker (its outsider). */
  seeds: string
  /** The application's own policies, where its example has none, and what both have beside those seeds. */
  also: string
  /** Of each table the row that the attacker may write, and rows of the victim. */
  tables: Record<string, [mine: string, ...theirs: string[]]>
  /** What the victim does after each attempt. */
  later: string[]
  /** Ids that are no row's yet and that somebody could know, as SQL. */
  foreseen?: string
}

const id = (kind: string, n: number): string => `${kind}0000000-7e57-4000-8000-00000000000${n}`
const secret = 'secret of the victim'

const chats = `
  alter table public.chats enable row level security;
  create policy own_workspace on public.chats for all to authenticated
    using (user_id = (select auth.uid()) and workspace_id in (select w.id from public.workspaces w where w.owner_id = (select auth.uid())));
  alter table public.workspaces enable row level security;
  create policy own on public.workspaces for all to authenticated using (owner_id = (select auth.uid()));`

const scenes: Scene[] = [
  {
    track: 'workspace-sessions',
    state: 'overlap',
    seeds: 'access_overlap',
    also: chats,
    tables: {
      'public.chats': [id('d', 3), id('d', 1), id('d', 4)],
      'public.chat_sessions': [id('c', 3), id('c', 1), id('c', 2)],
    },
    later: [
      `insert into public.chats (id, workspace_id, user_id, role, message) values ('${id('d', 8)}', '${id('b', 1)}', '${id('a', 1)}', 'user', '${secret}')`,
      `insert into public.chats (id, workspace_id, user_id, role, message) values ('${id('d', 9)}', '${id('b', 2)}', '${id('a', 1)}', 'user', '${secret}')`,
      `select from public.chat_sessions where user_id = '${id('a', 1)}'`,
    ],
    foreseen: `select chat_private.legacy_session_id('${id('b', 2)}', '${id('a', 1)}')::text as id`,
  },
  {
    track: 'workspace-sessions',
    state: 'contract',
    seeds: 'access',
    also: '',
    tables: {
      'public.chats': [id('d', 3), id('d', 1)],
      'public.chat_sessions': [id('c', 3), id('c', 1), id('c', 2)],
    },
    later: [
      `insert into public.chats (id, workspace_id, user_id, role, message, session_id) values ('${id('d', 8)}', '${id('b', 1)}', '${id('a', 1)}', 'user', '${secret}', '${id('c', 1)}')`,
    ],
  },
  {
    track: 'conversation-history',
    state: 'overlap',
    seeds: 'access',
    // a conversation whose session could not be written at the time
    also: `
      delete from public.chat_sessions where title like 'Chat %';
      alter policy chat_sessions_own on public.chat_sessions
        using (user_id = (select auth.uid()) and tenant_id in (select t.tenant_id from public.tenant_users t where t.user_id = (select auth.uid())))
        with check (user_id = (select auth.uid()) and tenant_id in (select t.tenant_id from public.tenant_users t where t.user_id = (select auth.uid())));
      select set_config('rethread.in_step', 'on', true);
      insert into public.conversations (id, tenant_id, user_id, title) values ('${id('c', 8)}', '${id('b', 1)}', '${id('a', 1)}', 'alone');
      insert into public.messages (id, conversation_id, role, content) values ('${id('d', 8)}', '${id('c', 8)}', 'user', 'alone');
      insert into public.chat_sessions (id, tenant_id, user_id, title, messages)
      values ('${id('c', 7)}', '${id('b', 1)}', '${id('a', 1)}', 'not yet there', '[{"role": "user", "content": "from before"}]');
      select set_config('rethread.in_step', '', true)`,
    tables: {
      'public.conversations': [id('c', 3), id('c', 1), id('c', 8)],
      'public.messages': [id('d', 3), id('d', 1), id('d', 8)],
      'public.chat_sessions': [id('c', 3), id('c', 1), id('c', 7)],
    },
    later: [
      `insert into public.messages (id, conversation_id, role, content) values ('${id('d', 9)}', '${id('c', 1)}', 'user', '${secret}')`,
      `insert into public.messages (id, conversation_id, role, content) values ('${id('e', 9)}', '${id('c', 8)}', 'user', '${secret}')`,
      `update public.chat_sessions set messages = messages || '[{"role": "user", "content": "${secret}"}]' where user_id = '${id('a', 1)}'`,
    ],
  },
  {
    track: 'helper-chats',
    state: 'contract',
    seeds: 'access',
    also: `
      alter table public.projects enable row level security;
      create policy own on public.projects for all to authenticated using (user_id = (select auth.uid()))`,
    tables: {
      'public.projects': [id('b', 3), id('b', 1)],
      'public.chat_sessions': [id('c', 3), id('c', 1)],
      'public.chat_messages': [id('d', 3), id('d', 1)],
    },
    later: [
      `insert into public.chat_messages (id, session_id, role, content) values ('${id('d', 8)}', '${id('c', 1)}', 'user', '${secret}')`,
      `update public.chat_messages set content = '${secret}, edited' where session_id = '${id('c', 1)}'`,
    ],
  },
  {
    track: 'codebase-sessions',
    state: 'contract',
    seeds: 'access',
    also: '',
    tables: { 'public.codebase_chat_sessions': [id('c', 3), id('c', 1), id('c', 2)] },
    later: [`update public.codebase_chat_sessions set repo = '${secret}'`],
  },
  {
    track: 'trip-sessions',
    state: 'overlap',
    seeds: 'access',
    also: `
      insert into public.conversations (id, request_id, subject) values ('${id('e', 7)}', '${id('b', 1)}', 'the owner''s, by its request');
      insert into public.messages (id, conversation_id, content) values ('${id('d', 1)}', '${id('e', 7)}', 'hello'), ('${id('d', 3)}', '${id('e', 5)}', 'hello');
      insert into public.quotes (id, request_id) values ('${id('9', 1)}', '${id('b', 1)}');
      insert into public.proposals (id, request_id) values ('${id('8', 1)}', '${id('b', 1)}');
      alter table public.requests enable row level security;
      alter table public.conversations enable row level security;
      alter table public.messages enable row level security;
      alter table public.quotes enable row level security;
      alter table public.proposals enable row level security;
      create policy own on public.requests for all to authenticated using (iso_agent_id = (select chat_private.current_agent_id()));
      create policy own on public.conversations for all to authenticated using (request_id in (select r.id from public.requests r));
      create policy own on public.messages for all to authenticated using (conversation_id in (select c.id from public.conversations c));
      create policy own on public.quotes for all to authenticated using (request_id in (select r.id from public.requests r));
      create policy own on public.proposals for all to authenticated using (request_id in (select r.id from public.requests r));`,
    tables: {
      'public.requests': [id('b', 3), id('b', 1)],
      'public.conversations': [id('e', 5), id('e', 7)],
      'public.messages': [id('d', 3), id('d', 1)],
      'public.quotes': [id('9', 3), id('9', 1)],
      'public.proposals': [id('8', 3), id('8', 1)],
      'public.chat_sessions': [id('c', 3), id('c', 1)],
    },
    later: [
      `insert into public.messages (id, conversation_id, content) values ('${id('d', 8)}', '${id('e', 7)}', '${secret}')`,
      `update public.chat_sessions set current_step = '${secret}' where conversation_id in ('${id('e', 1)}', '${id('e', 7)}')`,
    ],
  },
]

const attacks = readFileSync(join(root, 'test/support/attacks.sql'), 'utf8')
const tracks = discover(root).tracks

class Rollback extends Error {}

describe.each(some('newest'))('functions with their owner’s rights on PostgreSQL $major', server => {
  test.each(scenes)(
    '$track ($state): no column and no id reaches rows of another tenant',
    async scene => {
      await using db = await database(server, scene.track, 20)
      const project = await inProcess(db.url, { track: scene.track })
      const consent = { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] satisfies HazardCode[] }
      const up = await said(project.migrate(scene.state === 'contract' ? { phase: 'contract', consent } : {}))
      await project.close()
      expect(up.findings.filter(f => f.level === 'error')).toEqual([])
      const seeds = tracks.find(t => t.name === scene.track)!.checks.find(c => c.name === scene.seeds)!
      await db.sql
        .begin(async tx => {
          await tx.unsafe(attacks)
          const results = (await tx.unsafe(await fitSeeds(tx, seeds.file.text, new Map()))) as unknown as {
            access: Access
          }[][]
          const { personas } = results.at(-1)![0]!.access
          await tx.unsafe(scene.also)
          const theirs: Record<string, object[]> = {}
          for (const [table, [, ...rows]] of Object.entries(scene.tables))
            theirs[table] = (
              await tx.unsafe<{ row: object }[]>(
                `select to_jsonb(t) as row from ${table} t where id::text = any ($1)`,
                [rows],
              )
            ).map(r => r.row)
          const foreseen = scene.foreseen ? await tx.unsafe<{ id: string }[]>(scene.foreseen) : []
          const ids = new Set([
            ...foreseen.map(f => f.id),
            ...Object.values(theirs).flatMap(rows => rows.flatMap(row => Object.values(row).filter(isId))),
          ])
          const spec = {
            attacker: personas.outsider!.claims,
            victim: personas.owner!.claims,
            tables: Object.fromEntries(Object.entries(scene.tables).map(([table, [mine]]) => [table, mine])),
            theirs,
            ids: [...ids],
            later: scene.later,
          }
          const [tried] = await tx.unsafe<{ attempts: number; refused: number; changed: object[] }[]>(
            'select * from public.attack_all($1::text::jsonb)',
            [JSON.stringify(spec)],
          )
          expect(tried!.changed).toEqual([])
          // it would prove nothing if everything was refused, or nothing
          expect(tried!.attempts).toBeGreaterThan(20)
          expect(tried!.refused).toBeGreaterThan(5)
          expect(tried!.refused).toBeLessThan(tried!.attempts)

          const definers = await tx<
            { oid: number; name: string; calls: boolean; args: string[]; tables: string[] }[]
          >`
          select f.oid::int, f.oid::regprocedure::text as name,
            f.prorettype <> 'trigger'::regtype and has_function_privilege('authenticated', f.oid, 'execute') as calls,
            array(select a.type::regtype::text from unnest(f.proargtypes) a (type)) as args,
            array(select t.tgrelid::regclass::text from pg_trigger t where t.tgfoid = f.oid) as tables
          from pg_proc f where f.prosecdef and f.pronamespace in ('chat_private'::regnamespace, 'public'::regnamespace) order by 2`
          // what triggers run was fired above; what else there is nobody may call, or it is called here
          const attacked = Object.keys(scene.tables).map(t => t.replace('public.', ''))
          const spared = definers.filter(
            f => f.tables.length > 0 && !f.tables.some(t => attacked.includes(t)),
          )
          expect(spared).toEqual([])
          for (const f of definers.filter(d => d.calls)) {
            expect(f.args.filter(a => a !== 'uuid')).toEqual([])
            expect(f.args.length).toBeLessThan(2)
            for (const one of f.args.length === 0 ? [] : ids) {
              const call = `select ${f.name.replace(/\(.*/, '')}('${one}') as got`
              await tx`select public.attack_as(${JSON.stringify(spec.attacker)}::text::jsonb)`
              const [row] = await tx.unsafe<{ got: unknown }[]>(call)
              await tx.unsafe('reset role')
              expect([call, row!.got || null]).toEqual([call, null])
            }
          }
          throw new Rollback()
        })
        .catch(error => {
          if (!(error instanceof Rollback)) throw error
        })
    },
    60_000,
  )
})

const isId = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(value)
