import { describe, expect, test } from 'vitest'
import { atRisk } from '../src/archive/loss_report.js'
import type { Connection } from '../src/database/connection.js'
import { connect } from '../src/database/context.js'
import { isLost, isRefused, isSqlState, unlessLost } from '../src/database/faults.js'
import { savepoint } from '../src/database/scopes.js'
import { discover } from '../src/files/discover.js'
import { rethread } from './support/cli.js'
import { contextOf } from './support/context.js'
import { type Database, database, newest, root } from './support/database.js'

const connected = (db: Database): Promise<Connection> => connect(contextOf(db.url), 'reader')

const thrown = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    error => error,
  )

test('a backend that is killed inside a savepoint ends the work with a lost connection', async () => {
  await using db = await database(newest(), 'empty')
  const ended: string[] = []
  for (const ask of [true, false]) {
    await using connection = await connected(db)
    const fault = await thrown(
      connection.sql.begin(async tx => {
        try {
          await savepoint(tx)(async inner => {
            await inner`select 1`
            await db.sql`select pg_terminate_backend(${connection.pid})`
            while (!connection.lost) await new Promise(done => setTimeout(done, 5))
            if (ask) await inner`select 2`
            throw new Error('without asking')
          })
        } finally {
          ended.push(ask ? 'asked' : 'not asked')
        }
      }),
    )
    expect(isLost(fault)).toBe(true)
  }
  // the transaction is rejected by the loss itself; its work ends a moment later
  await expect.poll(() => ended).toEqual(['asked', 'not asked'])
})

test('a refusal, a lost connection and a fault of our own are distinguished', async () => {
  await using db = await database(newest())
  await using connection = await connected(db)
  const refused = await thrown(connection.sql`select 1 / 0`)
  expect([isRefused(refused), isLost(refused), isSqlState(refused, '57014', '22012')]).toEqual([
    true,
    false,
    true,
  ])
  const [lost] = await Promise.all([
    thrown(connection.sql`select pg_sleep(30)`),
    // until the statement above has begun
    (async () => {
      for (;;) {
        const ended = await db.sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where pid = ${connection.pid} and query like '%pg_sleep%'`
        if (ended.length > 0) return
      }
    })(),
  ])
  expect([isRefused(lost), isLost(lost)]).toEqual([false, true])
  const after = await thrown(connection.sql`select 1`)
  expect([isRefused(after), isLost(after)]).toEqual([false, true])
  expect(() => unlessLost(after)).not.toThrow()
  const ours = new TypeError('x is not a function')
  expect([isRefused(ours), isLost(ours)]).toEqual([false, false])
  expect(() => unlessLost(ours)).toThrow(ours)
})

describe('rows at risk', () => {
  const track = discover(root).tracks.find(t => t.name === 'workspace-sessions')!

  test('are unknown where a lock is in the way or this role may not count, and a lost connection is thrown', async () => {
    await using db = await database(newest(), 'workspace-sessions', 300)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const connection = await connected(db)
    expect(await atRisk(connection, track, track.migrations, 5000)).toBe(0)
    await db.sql.begin(async tx => {
      await tx`lock table public.chat_sessions in access exclusive mode`
      expect(await atRisk(connection, track, track.migrations, 5000)).toBe(null)
    })
    await connection.sql`set role anon`
    expect(await atRisk(connection, track, track.migrations, 5000)).toBe(null)
    await db.sql`select pg_terminate_backend(${connection.pid})`
    expect(isLost(await thrown(atRisk(connection, track, track.migrations, 5000)))).toBe(true)
  })
})
