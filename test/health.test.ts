import { describe, expect, test } from 'vitest'
import { makeBatchSize } from '../src/backfill/batch_size.js'
import { throttled, type Vitals, vitals } from '../src/backfill/health_monitor.sql.js'
import { advise } from '../src/backfill/throttle.js'
import { ended, rethread, start } from './support/cli.js'
import { database, newest, open } from './support/database.js'

const unmeasured = { now: null, limit: null }

const well: Vitals = {
  waiters: 0,
  others: 0,
  replicaLag: null,
  replicas: 0,
  slot: null,
  slotBytes: null,
  archives: false,
  archiveGap: null,
  wal: 0,
  vacuum: null,
  oldestSnapshot: null,
}

describe('advice follows from what was seen', () => {
  test.each<[string, Partial<Vitals>, 'go' | 'slow' | 'stop', string]>([
    ['nothing to see', {}, 'go', ''],
    ['somebody waits behind us', { waiters: 1 }, 'slow', '1 waiting behind us'],
    ['many wait behind us', { waiters: 7 }, 'stop', '7 waiting behind us'],
    ['somebody works beside us', { others: 16 }, 'slow', 'others at work: 16'],
    ['somebody may work beside us', { others: null }, 'slow', 'others at work: unknown'],
    ['a replica lags', { replicas: 1, replicaLag: 12 }, 'slow', 'replica lag 12 s'],
    ['a replica is far behind', { replicas: 1, replicaLag: 90 }, 'stop', 'replica lag 90 s'],
    ['a replica keeps up', { replicas: 1, replicaLag: 0.1 }, 'go', ''],
    ['a slot is about to be lost', { slot: 'unreserved' }, 'stop', 'a slot is unreserved'],
    ['a slot is extended', { slot: 'extended' }, 'slow', 'a slot is extended'],
    ['little head-room', { slot: 'reserved', slotBytes: 100 * 2 ** 20 }, 'stop', 'slot head-room 100 MB'],
    ['the archive is behind', { archiveGap: 50 }, 'slow', '50 segments to archive'],
    ['a vacuum that does not yield', { vacuum: 'wraparound' }, 'slow', 'autovacuum against wraparound'],
    ['an ordinary vacuum', { vacuum: 'vacuum' }, 'go', ''],
    ['an old snapshot', { oldestSnapshot: 400 }, 'slow', 'a snapshot of 400 s keeps dead rows'],
  ])('%s', (_, change, level, reason) => {
    const said = advise({ ...well, ...change }, false, unmeasured)
    expect([said.level, said.reasons.join()]).toEqual([level, reason])
  })

  test.each<[number | null, number | null, 'go' | 'slow' | 'stop']>([
    [9, 20, 'go'],
    [20, 20, 'slow'],
    [41, 20, 'stop'],
    [500, null, 'go'],
    [null, 20, 'go'],
  ])('%s MB of WAL a second where %s are meant: %s', (now, limit, level) => {
    const bytes = (mb: number | null) => (mb === null ? null : mb * 2 ** 20)
    const said = advise(well, false, { now: bytes(now), limit: bytes(limit) })
    expect([said.level, said.reasons]).toEqual([level, level === 'go' ? [] : [`${now} MB of WAL a second`]])
  })

  test('stop wins over slow, and every reason is told', () => {
    const said = advise({ ...well, waiters: 2, slot: 'lost' }, false, unmeasured)
    expect([said.level, said.reasons]).toEqual(['stop', ['2 waiting behind us', 'a slot is lost']])
  })

  test('half as much rest again as work beside others, twice that where something is amiss', () => {
    const rest = (change: Partial<Vitals>) => advise({ ...well, ...change }, false, unmeasured).rest
    expect([rest({}), rest({ others: 1 }), rest({ others: 1, waiters: 1 }), rest({ waiters: 1 })]).toEqual([
      0, 1.5, 3, 3,
    ])
  })

  test('what cannot be seen is unknown, never healthy', () => {
    expect(advise({ ...well, replicas: 2, archives: true }, null, unmeasured).unknown).toEqual([
      'replica lag',
      'archive',
      '--throttle-query',
    ])
    expect(advise(well, true, unmeasured).level).toBe('stop')
    // a brake that cannot be asked is on
    expect(advise(well, null, unmeasured).level).toBe('stop')
  })
})

describe('the pace', () => {
  test('finds the window that takes as long as it should, whatever a page costs', () => {
    for (const msPerPage of [0.05, 1, 7]) {
      const batchSize = makeBatchSize(40, 16, 1024)
      for (let i = 0; i < 40; i++) batchSize.note(batchSize.pages() * msPerPage, batchSize.pages())
      expect(Math.abs(batchSize.pages() - Math.min(1024, 40 / msPerPage))).toBeLessThanOrEqual(1)
    }
  })
  test('of a page that takes too long it wants a part, where it may have one', () => {
    const whole = makeBatchSize(40, 1, 1024)
    const parts = makeBatchSize(40, 1, 1024, 0.01)
    for (const batchSize of [whole, parts])
      for (let i = 0; i < 40; i++) batchSize.note(batchSize.pages() * 160, batchSize.pages())
    expect([whole.pages(), whole.most(0)]).toEqual([1, 1])
    expect([parts.pages(), parts.most(0)]).toEqual([0.25, 0.375])
    for (let i = 0; i < 40; i++) parts.note(1000, parts.pages())
    expect(parts.pages()).toBe(0.01)
  })
  test('a machine that stands still now and then does not make batches small', () => {
    const batchSize = makeBatchSize(40, 16, 1024)
    for (let i = 0; i < 400; i++)
      batchSize.note(batchSize.pages() * 0.05 + (i % 7 === 6 ? 300 : 0), batchSize.pages(), i % 9)
    // a page takes 0.05 ms: 800 would be right
    expect(batchSize.pages()).toBeGreaterThan(400)
  })
  test('never more than doubles, and halves at once', () => {
    const batchSize = makeBatchSize(40, 16, 1024)
    batchSize.note(0.001, 16)
    expect(batchSize.pages()).toBe(32)
    batchSize.halve()
    expect([batchSize.pages(), batchSize.word()]).toEqual([16, 'backing off'])
  })
  test('a window is as wide as its passes allow on average; a dear pass covers it in several batches', () => {
    const batchSize = makeBatchSize(40, 16, 1024)
    for (let i = 0; i < 40; i++)
      for (let pass = 0; pass < 10; pass++) batchSize.note(pass === 0 ? 40 : 10, 100, pass)
    // 13 ms for 100 pages on average; a batch may take half as long again as the target
    expect([batchSize.pages(), batchSize.most(0), batchSize.most(1)]).toEqual([308, 150, 600])
    // where it is told how long a batch may work, its rests aside
    expect([batchSize.most(0, 12), batchSize.most(1, 12), batchSize.most(0, 80)]).toEqual([30, 120, 150])
    for (let i = 0; i < 40; i++) batchSize.note(40, 100, 0, 18)
    expect(batchSize.most(0, 12)).toBe(54)
  })
  test('rests after two milliseconds of work, whatever a page costs; after one at least', () => {
    for (const [msPerPage, once, twice, fourTimes] of [
      [0.05, 32, 16, 8],
      [0.2, 8, 4, 2],
      [0.001, 256, 256, 256],
      [5, 1, 1, 1],
    ] as const) {
      const batchSize = makeBatchSize(40, 16, 1024)
      // its first batch has nothing to go by
      expect(batchSize.restEvery(1)).toBeNull()
      // half of its time was rest
      batchSize.note(200 * msPerPage, 100, 0, 100 * msPerPage)
      expect([0, 1, 2, 4, 7].map(factor => batchSize.restEvery(factor))).toEqual([
        null,
        once,
        twice,
        fourTimes,
        fourTimes,
      ])
    }
  })
  test('works as long as a rest takes, which is a millisecond or more', () => {
    const batchSize = makeBatchSize(40, 16, 1024)
    batchSize.note(80, 1024)
    for (let i = 0; i < 20; i++) {
      const rests = 1024 / batchSize.restEvery(1)!
      batchSize.note(80 + rests * 1.1, 1024, 0, rests * 1.1)
    }
    // 16 pages are 1.25 ms of work
    expect(batchSize.restEvery(1)).toBe(16)
    // who has to wait for the core rests longer than they asked for; the work between does not grow with it
    for (let i = 0; i < 20; i++) {
      const rests = 1024 / batchSize.restEvery(1)!
      batchSize.note(80 + rests * 9, 1024, 0, rests * 9)
    }
    expect(batchSize.restEvery(1)).toBe(32)
  })
  test('where batches must stay large, the work between two rests grows with them', () => {
    const batchSize = makeBatchSize(40, 16, 1024, 1, Number.POSITIVE_INFINITY)
    batchSize.note(80, 1024)
    for (let i = 0; i < 20; i++) {
      const rests = 1024 / batchSize.restEvery(1)!
      batchSize.note(80 + rests * 9, 1024, 0, rests * 9)
    }
    // 128 pages are 10 ms of work
    expect(batchSize.restEvery(1)).toBe(128)
  })
  test('a quarter of the work is a rest after four times as long', () => {
    const batchSize = makeBatchSize(40, 16, 1024)
    batchSize.note(20, 100)
    expect(batchSize.restEvery(0.25)).toBe(32)
    expect(batchSize.restEvery(1, 3)).toBeNull()
  })
})

test('a query of the user’s that fails half-way does not shift what the next one answers', async () => {
  await using db = await database(newest(), 'empty')
  const sql = open(db.url, 1)
  await expect(throttled(sql, 'select 1 / (2 - n) from generate_series(1, 3) n')).rejects.toThrow('division')
  expect((await vitals(sql, 'public.rows', [])).replicas).toBe(0)
  await sql.end()
})

test('who waits behind us is somebody else: workers that stand behind each other do not slow each other', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe('create table rows (id int primary key); insert into rows values (1)')
  const [holder, waiter] = [open(db.url, 1), open(db.url, 1)]
  const pidOf = async (sql: typeof holder) => (await sql`select pg_backend_pid() as pid`)[0]!.pid as number
  const pids = [await pidOf(holder), await pidOf(waiter)]
  const waiting = async (ours: number[]) => (await vitals(db.sql, 'public.rows', ours)).waiters
  await holder.unsafe('begin; lock table rows')
  const blocked = waiter`select from rows`.execute()
  while ((await waiting([pids[0]!])) === 0) await new Promise(done => setTimeout(done, 10))
  expect([await waiting([pids[0]!]), await waiting(pids), await waiting([pids[1]!])]).toEqual([1, 0, 0])
  await holder.unsafe('commit')
  await blocked
  await Promise.all([holder.end(), waiter.end()])
})

test('who works beside us has done something within a second; a role that may not look does not know', async () => {
  await using db = await database(newest(), 'empty')
  const other = open(db.url, 1)
  const pid = (await other`select pg_backend_pid() as pid`)[0]!.pid as number
  // tests of other files are at work on this server too
  const atWork = async () => {
    const rest = await db.sql<{ pid: number }[]>`select pid from pg_stat_activity where pid <> ${pid}`
    return (
      await vitals(
        db.sql,
        'public.rows',
        rest.map(r => r.pid),
      )
    ).others
  }
  await expect.poll(atWork, { timeout: 10_000 }).toBe(0)
  const working = other`select pg_sleep(3)`.execute()
  await expect.poll(atWork, { timeout: 2_500 }).toBe(1)
  await working
  const said = await db.sql.begin(async tx => {
    await tx`set local role authenticated`
    return (await vitals(tx, 'public.rows', [])).others
  })
  expect(said).toBeNull()
  await other.end()
})

test('a monitor whose connection breaks is not health: the backfill goes on with care', async () => {
  await using db = await database(newest(), 'workspace-sessions', 30_000)
  expect((await rethread(db.url, ['migrate', '--no-backfill'])).code).toBe(0)
  const running = ended(start(['backfill', '--nice', '4', '--format', 'json'], { DATABASE_URL: db.url }))
  let broken: unknown[] = []
  for (let i = 0; i < 400 && broken.length === 0; i++) {
    // while batches are written, not before
    broken = await db.sql`
      select pg_terminate_backend(a.pid) from pg_stat_activity a
      where a.datname = current_database() and a.application_name ~ '^rethread monitor run [0-9]+$'
        and exists (select from rethread.batches)`.catch(() => [])
    await new Promise(done => setTimeout(done, 10))
  }
  expect(broken).toHaveLength(1)
  const ran = await running
  expect(ran.code).toBe(0)
  expect(ran.stderr).toContain('slow: unknown: health signals')
  // whatever a batch and the next look have to say, and once only
  expect(ran.stderr.match(/connection lost.*the monitor’s; until then slow/g)).toHaveLength(1)
})
