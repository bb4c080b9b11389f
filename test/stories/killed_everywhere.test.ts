import { describe, expect, test } from 'vitest'
import { type HazardCode, type OpenedProject, openProject, type Report } from '../../src/index.js'
import { objects } from '../../src/run/schema_snapshot.sql.js'
import { applications } from '../support/applications.js'
import { ended, start, undoAll } from '../support/cli.js'
import { copyOf, type Database, database, some } from '../support/database.js'
import { proxy } from '../support/proxy.js'
import { seed } from '../support/random.js'
import type { Server } from '../support/servers.js'

/**
 * Each command that changes much, cut at each of its statements once: the same command then goes
 * on, and what it leaves is what an undisturbed run leaves. All boundaries of all tracks in the soak, and
 * where RETHREAD_STRIDE says 1; in CI every so-many-th of some, from an offset that the seed gives.
 */
const whole = process.env.RETHREAD_SOAK !== undefined
const stride = (most: number): number => Number(process.env.RETHREAD_STRIDE ?? (whole ? 1 : most))

const consent = (db: Database) => ({
  allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES', 'PRUNES_MOST'] as HazardCode[],
  confirm: db.name,
})

/** A command, and what a database needs before it. */
interface Verb {
  prepare(project: OpenedProject, db: Database): Promise<Report | null>
  args(db: Database): string[]
  call(project: OpenedProject, db: Database): Promise<Report>
}

/** Sessions that nobody has used for long, with all that they hold. */
const old = `
  set session_replication_role = replica;
  update public.messages set created_at = '2020-01-01' where conversation_id in (select id from public.conversations order by id limit 9);
  update public.conversations set updated_at = '2020-01-01' where id in (select id from public.conversations order by id limit 9);
  set session_replication_role = origin;`
const idle: Record<string, string> = {
  'conversation-history': old,
  'workspace-sessions': `
    set session_replication_role = replica;
    update public.chats set created_at = '2020-01-01' where session_id in (select id from public.chat_sessions order by id limit 4);
    update public.chat_sessions set updated_at = '2020-01-01' where id in (select id from public.chat_sessions order by id limit 4);
    set session_replication_role = origin;`,
  'trip-sessions': `
    set session_replication_role = replica;
    update public.messages set created_at = '2020-01-01' where conversation_id in (select conversation_id from public.chat_sessions order by id limit 9);
    update public.chat_sessions set last_activity_at = '2020-01-01' where id in (select id from public.chat_sessions order by id limit 9);
    set session_replication_role = origin;`,
  'helper-chats': `
    set session_replication_role = replica;
    update public.chat_messages set created_at = '2020-01-01' where session_id in (select id from public.chat_sessions order by id limit 9);
    update public.chat_sessions set updated_at = '2020-01-01', last_message_at = '2020-01-01' where id in (select id from public.chat_sessions order by id limit 9);
    set session_replication_role = origin;`,
  'codebase-sessions': '',
}

const migrate: Verb['prepare'] = async (project, db) => {
  const up = await project.migrate()
  await db.sql.unsafe(`create schema rethread_test; ${applications[db.track!]!.fresh}`)
  return up
}

/** Applied, and the ledger gone. */
const forgotten: Verb['prepare'] = async (project, db) => {
  const up = await migrate(project, db)
  await db.sql.unsafe('drop schema rethread cascade')
  return up
}

const verbs: Record<string, Verb> = {
  migrate: {
    prepare: project => project.status(),
    args: () => ['migrate'],
    call: project => project.migrate(),
  },
  rollback: {
    prepare: migrate,
    args: db => ['rollback', ...undoAll(db.name)],
    call: (project, db) => project.rollback({ all: true, consent: consent(db) }),
  },
  restore: {
    prepare: async (project, db) => {
      await migrate(project, db)
      return project.rollback({ all: true, consent: consent(db) })
    },
    args: () => ['restore', 'latest'],
    call: project => project.restore({ archive: 'latest' }),
  },
  prune: {
    prepare: async (project, db) => {
      const up = await migrate(project, db)
      await db.sql.unsafe(idle[db.track!]!)
      return up
    },
    args: db => [
      ...['prune', '--delete', '--apply', '--older-than', '30d', '--confirm', db.name],
      ...['--allow', 'DELETES_DATA,PRUNES_MOST'],
    ],
    call: (project, db) =>
      project.prune({ delete: true, apply: true, olderThanDays: 30, consent: consent(db) }),
  },
  adopt: {
    prepare: forgotten,
    args: () => ['migrate', '--adopt'],
    call: project => project.adopt(),
  },
  baseline: {
    prepare: forgotten,
    args: db => ['migrate', '--baseline', last[db.track!]!],
    call: (project, db) => project.baseline({ to: last[db.track!]! }),
  },
}

/** The workspace that they are given. */
const room = '11111111-2222-4333-8444-555555555555'

/** What is tried again of the rows that were set aside; of a track that sets any aside. */
const desk: Record<string, Verb> = {
  retry: {
    prepare: async (project, db) => {
      const up = await migrate(project, db)
      await db.sql`update chats set workspace_id = (select id from workspaces where owner_id is not null order by id limit 1) where workspace_id is null`
      await db.sql`insert into chats (message) values ('nowhere')`
      return up
    },
    args: () => ['quarantine', 'retry'],
    call: project => project.retryQuarantined(),
  },
  assign: {
    prepare: async (project, db) => {
      const up = await migrate(project, db)
      await db.sql`insert into workspaces (id, name, owner_id) select ${room}, 'room', id from auth.users order by id limit 1`
      return up
    },
    args: () => ['quarantine', 'assign', '--workspace', room],
    call: async project => {
      const report = await project.assignQuarantined({ workspace: room })
      // killed at its end: no row waits any more that could be given one
      const isDone = report.findings.some(f => f.code === 'NO_SUCH_ROW')
      return isDone ? project.retryQuarantined() : report
    },
  },
}

/** The last migration of a bare migrate. */
const last: Record<string, string> = {
  'conversation-history': '006',
  'workspace-sessions': '008',
  'trip-sessions': '018',
  'helper-chats': '003',
  'codebase-sessions': '001',
}

/** Every row of the application and of the track, and what the archive holds; a time since `began` is now. */
async function left(db: Database, began: number): Promise<object> {
  const tables = await db.sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'auth', 'chat_private') and c.relname <> 'chatkit_reads' order by 1`
  const isNew = (value: unknown) =>
    typeof value === 'string' && /^20\d\d-\d\d-\d\dT/.test(value) && Date.parse(value) >= began
  const rows: Record<string, string[]> = {}
  for (const { name } of tables) {
    const found = await db.sql.unsafe<{ row: object }[]>(`select to_jsonb(t) as row from ${name} t`)
    rows[name] = found
      .map(({ row }) => JSON.stringify(row, (_, value) => (isNew(value) ? 'now' : value)))
      .sort()
  }
  const archives = await db.sql`select to_regclass('rethread_archive.archives') is not null as there`
  const archived = archives[0]!.there
    ? await db.sql`
        select relation, column_name, state, sum(rows)::int as rows from rethread_archive.archives group by 1, 2, 3 order by 1, 2, 3`
    : []
  return { schema: (await objects(db.sql)).map(o => JSON.stringify(o)), rows, archived }
}

const faults = (report: Report) => report.findings.filter(f => f.level === 'error' || f.level === 'refused')

/** Runs a command line, which is killed when its nth statement comes; a report only where it was not. */
async function killedAt(db: Database, args: string[], nth: number) {
  await using between = await proxy(db.url)
  const child = start([...args, '--track', db.track!, '--format', 'json'], { DATABASE_URL: between.url })
  between.cutAt(nth, () => child.kill('SIGKILL'))
  const { report } = await ended(child)
  return { sent: between.sent.map(s => s.text), cut: between.cut, report: between.cut ? null : report }
}

async function everyBoundary(server: Server, track: string, name: string, every: number): Promise<void> {
  const verb = { ...verbs, ...desk }[name]!
  await using origin = Object.assign(await database(server, track, 60), { track })
  const prepared = await verb.prepare(await openProject({ databaseUrl: origin.url, track }), origin)
  expect([track, name, prepared && faults(prepared)]).toEqual([track, name, []])
  await origin.sql.end()
  const began = Date.now() - 1000
  const fresh = async () => Object.assign(await copyOf(server, origin.name), { track })
  await using undisturbed = await fresh()
  const exact = await killedAt(undisturbed, verb.args(undisturbed), Number.POSITIVE_INFINITY)
  expect([track, name, faults(exact.report!)]).toEqual([track, name, []])
  const wanted = await left(undisturbed, began)
  let cuts = 0
  // a short command has fewer statements than a stride
  for (let k = 1 + (seed % Math.min(every, exact.sent.length)); k <= exact.sent.length; k += every) {
    await using db = await fresh()
    const { cut, sent } = await killedAt(db, verb.args(db), k)
    if (cut) cuts++
    const at = [track, name, k, sent.at(-1)?.slice(0, 120)]
    const project = await openProject({ databaseUrl: db.url, track })
    // in between nobody is given nonsense
    if (k % 4 === 0)
      for (const report of [await project.status(), await project.plan()])
        expect([at, report.command, faults(report)]).toEqual([at, report.command, []])
    const again = await verb.call(project, db)
    expect([at, faults(again)]).toEqual([at, []])
    expect(['clean', exact.report!.verdict]).toContain(again.verdict)
    expect([at, await left(db, began)]).toEqual([at, wanted])
  }
  expect(cuts).toBeGreaterThan(0)
}

describe.each(some('newest'))('cut at every statement on PostgreSQL $major', server => {
  const chosen = whole || process.env.RETHREAD_STRIDE ? Object.keys(applications) : ['helper-chats']
  test.each(chosen.flatMap(track => Object.keys(verbs).map(verb => [track, verb] as const)))(
    `%s, %s: run again, exact (seed ${seed})`,
    // `killed.test.ts` kills migrate at random moments, too
    (track, verb) => everyBoundary(server, track, verb, stride(verb === 'migrate' ? 240 : 90)),
    whole || process.env.RETHREAD_STRIDE ? 7_200_000 : 120_000,
  )
  test.each(whole || process.env.RETHREAD_STRIDE ? Object.keys(desk) : ['assign'])(
    `workspace-sessions, quarantine %s: run again, exact (seed ${seed})`,
    verb => everyBoundary(server, 'workspace-sessions', verb, stride(90)),
    whole || process.env.RETHREAD_STRIDE ? 7_200_000 : 120_000,
  )
})
