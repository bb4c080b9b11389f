import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { type Database, database, open, some, turn } from '../support/database.js'

/**
 * Applications that give their statements little time: what the triggers of a track have not done by then is
 * done later, and the statement succeeds. Whoever cancels a statement themselves is obeyed. And what the
 * triggers run is never compiled, which on most servers would take longer than any of these limits.
 */

interface Case {
  track: string
  /** Takes, in a transaction of its own, what the triggers wait for, and the application does not. */
  holds: string
  /** What the application sends. */
  writes: string
  /** What shows that the triggers have done their part. */
  done: string
  /** Checks that find what is not done. */
  checks: string
  /** The table that the triggers write. */
  written: string
}

const cases: Case[] = [
  {
    track: 'conversation-history',
    holds: `select from public.conversations where id = md5('session 1')::uuid for update`,
    writes: `update public.chat_sessions set messages = messages || '[{"role": "user", "content": "in little time"}]' where id = md5('session 1')::uuid`,
    done: `select count(*)::int as n from public.messages where content = 'in little time'`,
    checks: 'accounted,behind,same_content',
    written: 'public.messages',
  },
  {
    track: 'workspace-sessions',
    holds: `select from public.chat_sessions where workspace_id = md5('workspace 1')::uuid for no key update`,
    writes: `insert into public.chats (workspace_id, user_id, role, message) values (md5('workspace 1')::uuid, md5('user 2')::uuid, 'user', 'in little time')`,
    done: `select count(*)::int as n from public.chats c join public.chat_sessions s on s.id = c.session_id and s.updated_at >= c.created_at where c.message = 'in little time'`,
    checks: 'behind,sessions_current',
    written: 'public.chat_sessions',
  },
  {
    track: 'helper-chats',
    holds: `select from public.chat_sessions for no key update`,
    writes: `insert into public.chat_messages (session_id, role, content) select id, 'user', 'in little time' from public.chat_sessions`,
    done: `select count(*)::int as n from public.chat_messages m join public.chat_sessions s on s.id = m.session_id and s.last_message_at >= m.created_at where m.content = 'in little time'`,
    checks: 'behind,sessions_current',
    written: 'public.chat_sessions',
  },
  {
    track: 'trip-sessions',
    holds: `select from public.chat_sessions where conversation_id = md5('conversation 1')::uuid for no key update`,
    writes: `insert into public.messages (conversation_id, sender_type, content) values (md5('conversation 1')::uuid, 'desk', 'in little time')`,
    done: `select count(*)::int as n from public.messages m join public.chat_sessions s on s.conversation_id = m.conversation_id and s.last_activity_at >= m.created_at where m.content = 'in little time'`,
    checks: 'behind,counters_true',
    written: 'public.chat_sessions',
  },
]

async function migrated(db: Database, track: string): Promise<void> {
  const up = await rethread(db.url, ['migrate', '--track', track])
  expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
  if (track === 'helper-chats')
    await db.sql.unsafe(`
      insert into public.chat_sessions (user_id, project_id, helper)
      select p.user_id, p.id, 'planner' from public.projects p order by p.id limit 1`)
}

/** An application whose statements get so much time. */
async function application(db: Database, time: string) {
  const sql = open(db.url, 1)
  await sql.unsafe(`set statement_timeout = '${time}'`)
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end() })
}

const count = async (db: Database, query: string): Promise<number> => (await db.sql.unsafe(query))[0]!.n

/** Whether the checks of a track find anything. */
async function found(db: Database, track: string, only: string) {
  const { report } = await rethread(db.url, ['verify', '--track', track, '--only', only])
  return report.checks.map(c => [c.check, c.outcome, c.found])
}

/** Sends a statement of an application, and cancels it from elsewhere as soon as it waits. */
async function cancelled(db: Database, app: Awaited<ReturnType<typeof application>>, statement: string) {
  const [{ pid }] = (await app`select pg_backend_pid() as pid`) as unknown as [{ pid: number }]
  const sent = expect(app.unsafe(statement)).rejects.toMatchObject({ code: '57014' })
  // of another connection: within a transaction the picture of what others do stays the same
  const cancels = async () => {
    const [row] = await db.sql`
      select wait_event_type = 'Lock' and pg_cancel_backend(pid) as is_cancelled from pg_stat_activity where pid = ${pid}`
    return row!.is_cancelled === true
  }
  for (let tries = 0; tries < 500 && !(await cancels()); tries++) await pause(2)
  await sent
}

describe.each(turn('little time'))('little time on PostgreSQL $major', server => {
  test.for(cases)(
    '$track: what the triggers can’t do in a statement’s time is done with the next; who cancels is obeyed; nothing is compiled',
    async ({ track, holds, writes, done, checks, written }) => {
      await using db = await database(server, track, 300)
      await migrated(db, track)
      await using app = await application(db, '100ms')
      await db.sql.begin(async holder => {
        await holder.unsafe(holds)
        for (const time of ['0', '8s']) {
          await app.unsafe(`set statement_timeout = '${time}'`)
          await cancelled(db, app, writes)
        }
        expect(await count(db, done)).toBe(0)
        await app.unsafe(`set statement_timeout = '100ms'`)
        await app.unsafe(writes)
        expect((await app.unsafe('select sqlstate from chat_private.behind')).map(r => r.sqlstate)).toContain(
          '57014',
        )
      })
      await db.sql.unsafe(`
      create table public.seen (jit text);
      create function public.note() returns trigger language plpgsql as $$
        begin insert into public.seen values (current_setting('jit')); return null; end $$;
      create trigger note after insert or update on ${written} for each row execute function public.note()`)
      await app.unsafe(`set statement_timeout = '10s'; set jit = on`)
      await app.unsafe(writes)
      expect(await count(db, done)).toBe(2)
      expect(await found(db, track, checks)).toEqual(checks.split(',').map(c => [c, 'pass', []]))
      expect([...(await db.sql`select distinct jit from public.seen`)]).toEqual([{ jit: 'off' }])
      expect([...(await app`show jit`)]).toEqual([{ jit: 'on' }])
      expect([
        ...(await db.sql`
        select f.oid::regprocedure::text as function from pg_proc f
        where f.pronamespace = 'chat_private'::regnamespace and f.prorettype = 'trigger'::regtype
          and not coalesce('jit=off' = any (f.proconfig), false)`),
      ]).toEqual([])
    },
  )
})

describe.each(some('newest'))('little time for many rows on PostgreSQL $major', server => {
  test('a statement over many sessions ends soon after its time, and the backfill does the rest', async () => {
    const track = 'conversation-history'
    await using db = await database(server, track)
    await migrated(db, track)
    await db.sql.unsafe(`
      create function public.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.05); return null; end $$;
      create trigger slowly after insert on public.messages for each row execute function public.slowly()`)
    await using app = await application(db, '500ms')
    const start = performance.now()
    await app.unsafe(
      `update public.chat_sessions set messages = messages || '[{"role": "user", "content": "in little time"}]' where title like 'Chat %'`,
    )
    // each of the hundred would have taken 50 ms
    expect(performance.now() - start).toBeLessThan(3000)
    expect(
      await count(db, 'select count(distinct session_id)::int as n from chat_private.behind'),
    ).toBeGreaterThan(50)
    await db.sql.unsafe('drop function public.slowly() cascade')
    expect((await rethread(db.url, ['migrate', '--track', track])).code).toBe(0)
    const { done, checks } = cases[0]!
    expect(await count(db, done)).toBe(100)
    expect(await found(db, track, checks)).toEqual(checks.split(',').map(c => [c, 'pass', []]))
  })
})
