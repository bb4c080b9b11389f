import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { quiet, rethread } from '../support/cli.js'
import { database, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { strangerSchemas } from '../support/stranger_schemas.js'

/**
 * The functions with their owner's rights that `init` writes for other names and types, attacked as
 * `attacks.test.ts` attacks those of the package.
 */
interface Scene {
  /** Beginning of the name of the schema. */
  schema: string
  /** What their tokens say, and who they are in the tables. */
  attacker: string
  victim: string
  /** The application's own policies, and what both persons have beside the rows of the schema. */
  also: string
  /** Of each table its columns that hold ids, the key first, and a condition on whose a row is. */
  tables: Record<string, [ids: string[], whose: string]>
  /** What the victim does after each attempt. Gives the new row its id, so that it is always the same. */
  later: string
}

const secret = 'secret of the victim'
const person = (name: string): string =>
  createHash('md5')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** Row security of the application, by which everybody has rows of their own. */
const own = (table: string, condition: string): string =>
  `alter table ${table} enable row level security;
   create policy own on ${table} for all to authenticated using (${condition}) with check (${condition});`
const sub = `(select auth.jwt() ->> 'sub')`
const number = `(select (auth.jwt() ->> 'sub')::bigint)`
const uid = '(select auth.uid())'

const scenes: Scene[] = [
  {
    schema: 'conversations with numbers',
    attacker: person('u2'),
    victim: person('u1'),
    also: own('public.threads', `author_id = ${uid}`),
    tables: {
      'public.threads': [['id', 'firm_id'], 'author_id = $1::uuid'],
      'public.conversations': [['id', 'tenant_id'], 'user_id = $1::uuid'],
      'public.messages': [
        ['id', 'conversation_id'],
        'conversation_id in (select c.id from public.conversations c where c.user_id = $1::uuid)',
      ],
    },
    later: `update public.threads set turns = turns || '{"role":"user","content":"${secret}"}' where author_id = '${person('u1')}'`,
  },
  {
    schema: 'text ids of an identity provider',
    attacker: 'user_2',
    victim: 'user_1',
    also: own('public."Chat"', `"userId" = ${sub}`),
    tables: {
      'public."Chat"': [['id', 'organizationId', 'userId'], '"userId" = $1'],
      'public.conversations': [['id', 'tenant_id', 'user_id'], 'user_id = $1'],
      'public.messages': [
        ['id', 'conversation_id'],
        'conversation_id in (select c.id from public.conversations c where c.user_id = $1)',
      ],
    },
    later: `update public."Chat" set messages = (messages::jsonb || '{"role":"user","content":"${secret}"}')::json where "userId" = 'user_1'`,
  },
  {
    schema: 'times as milliseconds',
    attacker: person('u2'),
    victim: person('u1'),
    also:
      own('public.rooms', `owner_id = ${uid}`) +
      own('public.lines', `author_id = ${uid} and room_id in (select r.id from public.rooms r)`),
    tables: {
      'public.rooms': [['id'], 'owner_id = $1::uuid'],
      'public.lines': [['nr', 'room_id'], 'author_id = $1::uuid'],
      'public.chat_sessions': [['id', 'workspace_id'], 'user_id = $1::uuid'],
    },
    later: `insert into public.lines (nr, room_id, author_id, kind, body) overriding system value values (999, 1, '${person('u1')}', 0, '${secret}')`,
  },
  {
    schema: 'times as text',
    attacker: '2',
    victim: '1',
    also:
      own('talk.team', `"user" = ${number}`) +
      own('talk."order"', `"from" = ${number} and team in (select t.id from talk.team t)`),
    tables: {
      'talk.team': [['id', 'user'], '"user" = $1::bigint'],
      'talk."order"': [['id', 'team', 'from'], '"from" = $1::bigint'],
      'public.chat_sessions': [['id', 'workspace_id', 'user_id'], 'user_id = $1::bigint'],
    },
    later: `insert into talk."order" (id, team, "from", role, message) overriding system value values (999, 'team 1', 1, 'user', '${secret}')`,
  },
  {
    schema: 'what is said as JSON',
    attacker: person('u2'),
    victim: person('u1'),
    also:
      own('chat.spaces', `owner = ${uid}`) +
      own('chat.turns', `person = ${uid} and space in (select s.id from chat.spaces s)`),
    tables: {
      'chat.spaces': [['id'], 'owner = $1::uuid'],
      'chat.turns': [['id', 'space'], 'person = $1::uuid'],
      'public.chat_sessions': [['id', 'workspace_id'], 'user_id = $1::uuid'],
    },
    later: `insert into chat.turns (id, space, person, speaker, content) overriding system value values (999, 1, '${person('u1')}', 'user', '"${secret}"')`,
  },
  {
    schema: 'projects with text ids',
    attacker: 'user_2',
    victim: 'user_1',
    also: `${own('public.projects', `user_id = ${sub}`)}
      insert into public.chat_sessions (project_id, user_id, helper) values ('project 1', 'user_1', 'h'), ('project 2', 'user_2', 'h');
      insert into public.chat_messages (session_id, role, content) select id, 'user', 'hello' from public.chat_sessions;`,
    tables: {
      'public.projects': [['id', 'user_id'], 'user_id = $1'],
      'public.chat_sessions': [['id', 'project_id', 'user_id'], 'user_id = $1'],
      'public.chat_messages': [
        ['id', 'session_id'],
        'session_id in (select s.id from public.chat_sessions s where s.user_id = $1)',
      ],
    },
    later: `insert into public.chat_messages (id, session_id, role, content) select '00000000-0000-4000-8000-000000000999', id, 'user', '${secret}' from public.chat_sessions where user_id = 'user_1'`,
  },
]

const attacks = readFileSync(join(root, 'test/support/attacks.sql'), 'utf8')

class Rollback extends Error {}

describe.each(some('newest'))('functions for other names and types on PostgreSQL $major', server => {
  test.each(scenes)(
    '$schema: no column and no id reaches rows of somebody else',
    async scene => {
      const stranger = strangerSchemas.find(s => s.name.startsWith(scene.schema))!
      const cwd = folder({})
      await using db = await database(server, 'empty')
      await db.sql.unsafe(stranger.tables)
      const made = await rethread(db.url, ['init', ...stranger.init], { cwd })
      expect([made.code, made.report.findings.filter(f => f.level === 'refused')]).toEqual([0, []])
      await quiet(db.url, ['migrate'], { cwd })
      await db.sql
        .begin(async tx => {
          await tx.unsafe(attacks)
          await tx.unsafe(scene.also)
          const rows = async (table: string, whose: string, who: string, most: number) =>
            (
              await tx.unsafe<{ row: Record<string, unknown> }[]>(
                `select to_jsonb(t) as row from ${table} t where ${whose} limit ${most}`,
                [who],
              )
            ).map(r => r.row)
          const mine: Record<string, unknown> = {}
          const theirs: Record<string, object[]> = {}
          const ids = new Set<string>()
          for (const [table, [keyed, whose]] of Object.entries(scene.tables)) {
            mine[table] = (await rows(table, whose, scene.attacker, 1))[0]![keyed[0]!]
            const others = await rows(table, whose, scene.victim, 2)
            expect([table, others.length > 0]).toEqual([table, true])
            theirs[table] = others
            for (const row of others)
              for (const name of keyed) if (row[name] != null) ids.add(String(row[name]))
          }
          const names = Object.entries(scene.tables).map(([table, [keyed]]) => [table, keyed] as const)
          const claims = (who: string) => ({ role: 'authenticated', sub: who })
          const spec = {
            attacker: claims(scene.attacker),
            victim: claims(scene.victim),
            tables: mine,
            keys: Object.fromEntries(names.map(([table, keyed]) => [table, keyed[0]])),
            keyed: Object.fromEntries(names),
            theirs,
            ids: [...ids],
            later: [scene.later],
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
          throw new Rollback()
        })
        .catch(error => {
          if (!(error instanceof Rollback)) throw error
        })
    },
    60_000,
  )
})
