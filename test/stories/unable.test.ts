import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { database, inTurn, root, servers } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

/**
 * What the triggers need is gone: rights, functions, the table in which they note what they could not do. No
 * statement of the application fails for it, and rethread does not call it clean.
 */

/** Each breaks something, and says how to put it back. */
const faults: [what: string, fault: string, undo: string][] = [
  ['the functions belong to a role without rights', owners('anon'), owners('current_user')],
  ['the functions belong to a role that may not even read', owners('pg_monitor'), owners('current_user')],
  [
    'a function that all of them call is gone',
    'alter function chat_private.has_used_time(numeric) rename to has_used_it',
    'alter function chat_private.has_used_it(numeric) rename to has_used_time',
  ],
  [
    'there is nothing to note in',
    'alter table chat_private.behind rename to was_behind',
    'alter table chat_private.was_behind rename to behind',
  ],
  [
    'it lacks a column',
    'alter table chat_private.behind rename column operation to was_operation',
    'alter table chat_private.behind rename column was_operation to operation',
  ],
  [
    'nothing may be noted, and the other side cannot be written',
    `create function chat_private.closed() returns trigger language plpgsql as $f$ begin raise exception 'closed' using errcode = 'assert_failure'; end $f$;
     create trigger closed before insert on chat_private.behind for each row execute function chat_private.closed();
     alter function chat_private.has_used_time(numeric) rename to has_used_it`,
    `drop function chat_private.closed() cascade; alter function chat_private.has_used_it(numeric) rename to has_used_time`,
  ],
]

/** What only one track has. */
const own: Record<string, typeof faults> = {
  'trip-sessions': [
    [
      'the function that finds the links of a session is gone',
      'alter function chat_private.links_of(uuid) rename to no_links_of',
      'alter function chat_private.no_links_of(uuid) rename to links_of',
    ],
  ],
}

function owners(role: string): string {
  return `do $$ declare f text; begin
    for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'chat_private'::regnamespace and p.prosecdef and p.prorettype = 'trigger'::regtype loop
      execute 'alter function ' || f || ' owner to ${role}'; end loop; end $$`
}

/** The statements of an example, without the comments, to be sent one by one. */
const statementsOf = (track: string, app: 'old_app' | 'new_app'): string[] =>
  readFileSync(join(root, `examples/${track}/${app}.sql`), 'utf8')
    .replace(/^--.*$/gm, '')
    .split(/;\s*$/m)
    .map(s => s.trim())
    .filter(Boolean)

/** A project that is deleted with chats of others in it. */
const further: Record<string, string[]> = {
  'helper-chats': [
    `update public.chat_messages set content = content || '.'`,
    `insert into public.chat_sessions (user_id, project_id, helper)
     select u.id, p.id, 'planner' from (select id from public.projects order by id limit 1) p, (select id from auth.users order by id desc limit 2) u`,
    'delete from public.projects where id = (select id from public.projects order by id limit 1)',
  ],
  'workspace-sessions': [
    'delete from auth.users where id = (select user_id from public.chat_sessions order by id limit 1)',
    'delete from public.workspaces where id = (select workspace_id from public.chat_sessions order by id limit 1)',
  ],
  'trip-sessions': [
    `update public.requests set iso_agent_id = (select id from public.iso_agents order by id limit 1)`,
    `insert into public.quotes (request_id) select id from public.requests order by id limit 3`,
    `update public.conversations set request_id = (select id from public.requests order by id limit 1) where id = (select id from public.conversations order by id limit 1)`,
    'truncate public.messages',
  ],
  'conversation-history': ['truncate public.chat_sessions cascade'],
}

describe.each(servers())('without what the triggers need, on PostgreSQL $major', server => {
  const test = inTurn(server)

  for (const track of ['conversation-history', 'workspace-sessions', 'helper-chats', 'trip-sessions'])
    test(`${track}: no statement of the application fails, and nobody calls it clean`, async () => {
      await using db = await database(server, track, 100)
      const project = await inProcess(db.url, { track })
      expect((await said(project.migrate())).verdict).toBe('clean')
      const clean = await said(project.status())
      expect(clean.codes).toContain('NOT_DRIFTED')
      for (const [what, fault, undo] of [...faults, ...(own[track] ?? [])]) {
        await db.sql.unsafe(fault)
        const undone = new Error('undone')
        await db.sql
          .begin(async tx => {
            await tx`set local demo.writes = 100`
            const sent = [
              ...statementsOf(track, 'old_app'),
              ...statementsOf(track, 'new_app'),
              ...further[track]!,
            ]
            for (const statement of sent)
              await tx.unsafe(statement).catch(error => {
                throw new Error(`${what}: ${error.message}: ${statement}`)
              })
            throw undone
          })
          .catch(error => {
            if (error !== undone) throw error
          })
        const now = await said(project.status())
        const drifted = now.verdict === 'attention' && now.codes.includes('DRIFT')
        // rethread itself would run their code
        const refused = now.verdict === 'refused' && now.codes.includes('FOREIGN_OBJECT')
        const isForeign = /owner to (anon|pg_monitor)/.test(fault)
        expect([what, drifted, refused]).toEqual([what, !isForeign, isForeign])
        await db.sql.unsafe(undo)
      }
      expect((await said(project.status())).codes).toContain('NOT_DRIFTED')
      await project.close()
    }, 60_000)
})
