import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import type { ConsentRequest, OpenedProject, Report } from '../../src/index.js'
import { Failure } from '../../src/model/failure.js'
import type { Track } from '../../src/model/project.js'
import { finding } from '../../src/model/report.js'
import { makePlan } from '../../src/plan/make_plan.js'
import { ledgerStorage, rehearsalStorage, runnerOf, runSteps, Stop } from '../../src/run/run_steps.js'
import { ended, type Ran, rethread, start, undoAll } from '../support/cli.js'
import { type Database, database, newest, open, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess } from '../support/in_process.js'
import { proxy } from '../support/proxy.js'

const json = ['--format', 'json']
const track = (): Track => discover(root).tracks.find(t => t.name === 'workspace-sessions')!
const everything = { to: null, phase: 'contract' as const, backfills: true }
const planOf = (t: Track) => makePlan(t, { applied: new Map(), unfinished: new Map() }, new Map(), everything)

async function until(true_: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1500; i++) {
    if (await true_().catch(() => false)) return
    await new Promise(done => setTimeout(done, 20))
  }
  throw new Error('it never came')
}

/** A context whose signal is already, or not yet, aborted. */
const context = (controller = new AbortController()) => ({
  emit: () => {},
  clock: { now: () => performance.now(), sleep: async () => {} },
  signal: controller.signal,
})

describe('the loop over steps', () => {
  test('every planned step is in the result; a fault ends it, and the rest says why it did not run', async () => {
    const t = track()
    const plan = planOf(t)
    const ran = await runSteps(context(), {
      track: t,
      plan,
      storage: rehearsalStorage([]),
      perform: async ({ migration }) => {
        if (migration.name === plan.steps[2]!.migration.name) throw new Failure('FENCED', 'the third')
        return { outcome: 'done' }
      },
    })
    expect(ran.steps.map(s => s.outcome)).toEqual(
      plan.steps.map((_, i) => (i < 2 ? 'done' : i === 2 ? 'failed' : 'not-run')),
    )
    expect(ran.steps.slice(3).map(s => s.reason)).toEqual(
      Array(plan.steps.length - 3).fill('an earlier step did not finish'),
    )
    expect([ran.done.length, ran.verdict, ran.findings.map(f => f.code)]).toEqual([2, 'clean', ['FENCED']])
  })

  test.each([
    [
      'a step that says so',
      () => new Failure('INTERRUPTED', 'x', { command: null }),
      'interrupted',
      'interrupted',
    ],
    [
      'a backfill',
      () => new Stop('interrupted', [finding('INTERRUPTED', 'x', { command: null })]),
      'interrupted',
      'interrupted',
    ],
    ['a pause', () => new Stop('attention', []), 'attention', 'interrupted'],
  ] as const)('%s ends it without a failure', async (_, thrown, verdict, outcome) => {
    const t = track()
    const ran = await runSteps(context(), {
      track: t,
      plan: planOf(t),
      storage: rehearsalStorage([]),
      perform: async () => {
        throw thrown()
      },
    })
    expect([ran.verdict, ran.steps[0]!.outcome]).toEqual([verdict, outcome])
  })

  test('Ctrl-C before a step: it does not begin, and says so', async () => {
    const t = track()
    const controller = new AbortController()
    const ran = await runSteps(context(controller), {
      track: t,
      plan: planOf(t),
      storage: rehearsalStorage([]),
      perform: async () => {
        controller.abort()
        return { outcome: 'done' }
      },
    })
    expect([ran.verdict, ran.done.length, ran.steps[1]!.outcome, ran.steps[1]!.reason]).toEqual([
      'interrupted',
      1,
      'not-run',
      'interrupted before it began',
    ])
  })

  test('what is executed already is not executed again, whatever the plan says', async () => {
    const t = track()
    const ran = await runSteps(context(), {
      track: t,
      plan: planOf(t),
      storage: rehearsalStorage([`${t.name}/${t.migrations[0]!.name}`]),
      perform: async () => ({ outcome: 'done' }),
    })
    expect([ran.done, ran.findings.map(f => f.level)]).toEqual([[], ['error']])
  })
})

describe.each(some('newest'))('one executor on PostgreSQL $major', server => {
  test('umzug’s pending and executed are what the ledger says, on the way there and back', async () => {
    await using db = await database(server)
    const t = track()
    const names = t.migrations.map(m => `${t.name}/${m.name}`)
    const seen = async () => {
      const runner = await runnerOf(t, ledgerStorage({ writer: { sql: db.sql } as never }, t.name))
      return {
        executed: (await runner.executed()).map(m => m.name),
        pending: (await runner.pending()).map(m => m.name),
      }
    }
    await rethread(db.url, ['migrate', '--to', t.migrations[1]!.name])
    expect(await seen()).toEqual({ executed: names.slice(0, 2), pending: names.slice(2) })
    const back = ['rollback', '--steps', '1', ...undoAll(db.name).slice(1)]
    expect((await rethread(db.url, back)).code).toBe(0)
    expect(await seen()).toEqual({ executed: names.slice(0, 1), pending: names.slice(1) })
  })

  /** Somebody else's run holds the lease; what it does meanwhile, then it is over. */
  const beside = async (db: Database, args: string[], meanwhile: () => Promise<unknown>): Promise<Ran> => {
    const other = open(db.url, 1)
    await other`update rethread.lease set (backend_pid, backend_start, holder) =
      (select pid, backend_start, 'somebody else' from pg_stat_activity where pid = pg_backend_pid())`
    const child = start([...args, ...json], { DATABASE_URL: db.url })
    const waits = new Promise<void>(done =>
      child.stderr!.on('data', text => String(text).includes('waiting for another run') && done()),
    )
    const run = ended(child)
    await Promise.race([waits, run])
    await meanwhile()
    await other`update rethread.lease set backend_pid = null, backend_start = null, holder = null`
    await other.end()
    return run
  }
  const applied = (db: Database, migration: string, direction = 'up') => db.sql`
    insert into rethread.ledger (run, track, migration, direction, outcome, checksum, tokens, statements, phase)
    select max(run), 'workspace-sessions', ${migration}, ${direction}, 'done', ${track().migrations.find(m => m.name === migration)!.file.checksum},
      '', '{}', 'expand' from rethread.ledger`
  const rows = async (db: Database) => (await db.sql`select count(*)::int as n from rethread.ledger`)[0]!.n

  test('a plan that changes between approval and lease is refused, says what changed, and nothing is executed', async () => {
    await using db = await database(server)
    const [first, second] = track().migrations.map(m => m.name) as [string, string]
    await rethread(db.url, ['migrate', '--to', first])
    const ran = await beside(db, ['migrate'], () => applied(db, second))
    expect([ran.code, ran.report.verdict]).toEqual([3, 'refused'])
    expect(ran.report.findings.find(f => f.code === 'PLAN_OUTDATED')!.facts.changes).toEqual([
      `step ${second} was in the plan and is not now`,
    ])
    // the new plan is shown, none of it ran
    expect(new Set(ran.report.steps.map(s => `${s.outcome}: ${s.reason}`))).toEqual(
      new Set(['not-run: the plan changed after it was approved']),
    )
    expect(ran.report.steps.map(s => s.migration)).not.toContain(second)
    expect(await rows(db)).toBe(2)
    const [made] =
      await db.sql`select count(*)::int as n from rethread.ledger where migration not in (${first}, ${second})`
    expect(made!.n).toBe(0)
  })

  test('a rollback by a number of steps does not undo others than were approved', async () => {
    await using db = await database(server)
    const names = track().migrations.map(m => m.name)
    await rethread(db.url, ['migrate', '--to', names[1]!])
    const undo = ['rollback', '--steps', '1', ...undoAll(db.name).slice(1)]
    const before = await rows(db)
    const ran = await beside(db, undo, () => applied(db, names[1]!, 'down'))
    expect([ran.code, ran.report.findings.find(f => f.code === 'PLAN_OUTDATED')?.facts.changes]).toEqual([
      3,
      [`step ${names[1]} was in the plan and is not now`, `step ${names[0]} was not in the plan`],
    ])
    expect(await rows(db)).toBe(before + 1)
  })

  test('where another run has done all of it meanwhile there is nothing to do, which is clean', async () => {
    await using db = await database(server)
    const [first, second] = track().migrations.map(m => m.name) as [string, string]
    await rethread(db.url, ['migrate', '--to', first])
    const ran = await beside(db, ['migrate', '--to', second], () => applied(db, second))
    expect([ran.code, ran.report.findings.map(f => f.code), ran.report.steps.map(s => s.reason)]).toEqual([
      0,
      expect.arrayContaining(['NOTHING_TO_DO']),
      ['another run applied it meanwhile'],
    ])
  })

  /**
   * Somebody writes a table, and goes on until it is asked to let go: whoever would change the table waits.
   */
  const holding = async (db: Database, table: string, mode = 'row exclusive') => {
    const other = open(db.url, 1)
    let release = () => {}
    let held = () => {}
    const has = new Promise<void>(done => {
      held = done
    })
    const over = other.begin(async tx => {
      await tx.unsafe(`lock table ${table} in ${mode} mode`)
      held()
      await new Promise<void>(done => {
        release = done
      })
    })
    await has
    return async () => {
      release()
      await over
      await other.end()
    }
  }
  /** Presses Ctrl-C once the command waits for a lock. */
  const interrupted = async (db: Database, args: string[]): Promise<Ran> => {
    const child = start([...args, ...json], { DATABASE_URL: db.url })
    child.stderr!.on('data', text => String(text).includes('waiting for a lock') && child.kill('SIGINT'))
    return ended(child)
  }

  test('an interrupted step is exit 130 in migrate, rollback and restore alike; the same command goes on', async () => {
    await using db = await database(server)
    const names = track().migrations.map(m => m.name)
    const stopped = async (args: string[], table: string) => {
      const letGo = await holding(db, table)
      const ran = await interrupted(db, args)
      await letGo()
      return [
        ran.code,
        ran.report.verdict,
        ran.report.findings.filter(f => f.level === 'error').map(f => f.message),
      ]
    }
    await rethread(db.url, ['migrate', '--to', names[0]!])
    expect(await stopped(['migrate'], 'public.chats')).toEqual([130, 'interrupted', []])
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    await db.sql`insert into chat_sessions (workspace_id, user_id, title) select id, owner_id, 'Mine' from workspaces where owner_id is not null limit 1`
    const undo = ['rollback', ...undoAll(db.name)]
    expect(await stopped(undo, 'public.workspaces')).toEqual([130, 'interrupted', []])
    expect((await rethread(db.url, undo)).code).toBe(0)
    expect(await stopped(['restore', 'latest'], 'public.chats')).toEqual([130, 'interrupted', []])
    expect((await rethread(db.url, ['restore', 'latest'])).code).toBe(0)
    const [mine] = await db.sql`select count(*)::int as n from chat_sessions where title = 'Mine'`
    expect(mine!.n).toBe(1)
  })

  test('backfill and prune that are stopped while they wait for a lock are interrupted too, at once', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    /** Asks while another holds a table, and stops at the first wait; then asks the same again. */
    const stopped = async (what: string, table: string, ask: (project: OpenedProject) => Promise<Report>) => {
      const letGo = await holding(db, table, 'exclusive')
      const stop = new AbortController()
      const start = performance.now()
      const first = await inProcess(db.url, {
        signal: stop.signal,
        onEvent: event => event.type === 'wait' && stop.abort(),
      })
      const { verdict, findings } = await ask(first)
      const seconds = (performance.now() - start) / 1000
      await letGo()
      await first.close()
      const second = await inProcess(db.url)
      const again = await ask(second)
      await second.close()
      const codes = findings.filter(f => f.level === 'error').map(f => f.code)
      expect(
        [what, stop.signal.aborted, verdict, codes, again.verdict],
        JSON.stringify(again.findings),
      ).toEqual([what, true, 'interrupted', [], 'clean'])
      expect(seconds).toBeLessThan(15)
    }
    const consent: ConsentRequest = { allow: ['PRUNES_MOST', 'DELETES_DATA'], confirm: db.name }
    const all = { olderThanDays: 1, apply: true, consent }
    await rethread(db.url, ['migrate', '--phase', 'expand'])
    const [{ workspace }] =
      (await db.sql`select workspace_id as workspace from chats where workspace_id is not null limit 1`) as unknown as [
        { workspace: string },
      ]
    await stopped('a canary', 'public.chats', p => p.backfill({ workspace }))
    await stopped('backfill', 'public.chats', p => p.backfill())
    await stopped('prune', 'public.chat_sessions', p => p.prune({ ...all, delete: true }))
    await db.sql`update rethread_archive.archives set at = at - interval '9 days'`
    const [archive] = await db.sql<{ name: string }[]>`
      select stored_as as name from rethread_archive.archives limit 1`
    await stopped('prune of archives', archive!.name, p => p.prune({ ...all, archives: true }))
  })

  test('Ctrl-C cancels an index build: interrupted, and the next run finishes it', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--phase', 'backfill'])
    // a build waits for whoever has an older snapshot of the table
    const reader = open(db.url, 1)
    await reader.unsafe('begin isolation level repeatable read; select count(*) from chats')
    const child = start(['migrate', ...json], { DATABASE_URL: db.url })
    const run = ended(child)
    await until(
      async () =>
        // not on a copy of the table, where the plan is tried first
        (
          await db.sql`select 1 from pg_stat_progress_create_index
            where datname = ${db.name} and relid = 'public.chats'::regclass`
        ).length > 0,
    )
    child.kill('SIGINT')
    const ran = await run
    await reader.unsafe('rollback')
    await reader.end()
    expect([ran.code, ran.report.verdict, ran.report.steps[0]!.outcome]).toEqual([
      130,
      'interrupted',
      'interrupted',
    ])
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  })
})

describe('the cost of a step', () => {
  /** So many migrations of one statement each. */
  const many = (files: number) =>
    folder(
      Object.fromEntries([
        ...Array.from({ length: files }, (_, i) => {
          const n = String(i + 1).padStart(4, '0')
          return [
            [`migrations/many/${n}_t.sql`, `create table public.t${n} (id int primary key);`],
            [`rollbacks/many/${n}_t.sql`, `drop table public.t${n};`],
          ]
        }).flat(),
        ['verify/many/none.sql', "select 'x' as object, 'y' as detail where false"],
      ]),
    )

  test('the statements of a run grow by the same few with each migration, however many were applied; its connections do not grow', async () => {
    await using db = await database(newest(), 'empty')
    const sentBy = async (args: string[]) => {
      await using between = await proxy(db.url)
      const ran = await rethread(between.url, args)
      expect([ran.code, ran.report?.findings.filter(f => f.level === 'error')]).toEqual([0, []])
      // the monitor's look at who is in the way depends on how long a step takes
      const own = between.sent.filter(({ text }) => !/pg_blocking_pids|set heartbeat/.test(text))
      return { statements: own.length, connections: between.connections }
    }
    const ten = many(10)
    const hundred = many(100)
    const one = await sentBy(['migrate', '--dir', ten, '--to', '1'])
    const nine = await sentBy(['migrate', '--dir', ten])
    const ninety = await sentBy(['migrate', '--dir', hundred])
    const none = await sentBy(['migrate', '--dir', hundred])
    const look = await sentBy(['status', '--dir', hundred])
    expect({ each: (ninety.statements - nine.statements) / 81, connections: ninety.connections }).toEqual({
      each: 4,
      connections: nine.connections,
    })
    // making the tool's own schema is the first run's
    expect(one.connections).toBe(nine.connections)
    expect(none).toEqual({ statements: expect.any(Number), connections: 1 })
    // whether a pooler is in between, the ledger, whether the schema has drifted since the last complete
    // look, and whether an archive waits for its seal
    expect(none.statements).toBeLessThanOrEqual(12)
    // also who is at work, how far they are, and whether an archive waits to be restored
    expect(look.statements).toBeLessThanOrEqual(24)
  })
})
