import { createServer, type Server } from 'node:net'
import { expect, test } from 'vitest'
import { connect } from '../../src/database/context.js'
import { isLost } from '../../src/database/faults.js'
import type { Db } from '../../src/database/types.js'
import { openRun } from '../../src/run/open_run.js'
import { ended, rethread, start } from '../support/cli.js'
import { contextOf } from '../support/context.js'
import { type Database, database, newest, servers } from '../support/database.js'
import { proxy } from '../support/proxy.js'

/** A clock on which waiting takes a fifth of its time, so that deadlines are met soon. */
const hastyContext = (url: string) => {
  const ctx = contextOf(url)
  return {
    ...ctx,
    clock: { ...ctx.clock, sleep: (ms: number, s?: AbortSignal) => ctx.clock.sleep(ms / 5, s) },
  }
}

/** Seconds until the application gets a lock that a session of ours was left with. */
async function secondsUntilFree(db: Database, table: string): Promise<number> {
  const start = performance.now()
  await db.sql.unsafe(`lock table ${table} in access share mode nowait`).catch(() => {})
  await db.sql.begin(tx => tx.unsafe(`lock table ${table} in access share mode`))
  return (performance.now() - start) / 1000
}

/** Whether a backend is there. */
const lives = async (db: Database, pid: number): Promise<boolean> =>
  (await db.sql`select from pg_stat_activity where pid = ${pid}`).length > 0

const lastWords: [how: string, say: (tx: Db) => Promise<unknown>][] = [
  ['a statement', tx => tx.unsafe('select 1 as the_last_word')],
  // the driver asks for the types first, and the server waits for the rest
  ['a statement with parameters', tx => tx`select ${'anything'} as the_last_word`],
]

test.concurrent.each(
  servers().flatMap(server => lastWords.map(w => [server.major, w[0], server, w[1]] as const)),
)(
  'PostgreSQL %i: %s whose answer is lost ends here and there, and its locks with it',
  async (_major, _how, server, say) => {
    await using db = await database(server, 'workspace-sessions', 20)
    await using network = await proxy(db.url)
    const writer = await connect(hastyContext(network.url), 'writer')
    // the table is locked, and then neither side hears from the other
    const working = writer.sql.begin(async tx => {
      await tx.unsafe('lock table public.chats in access exclusive mode')
      await say(tx)
    })
    const silent = network.silentAt(/the_last_word/)
    const fault = working.then(
      () => null,
      (error: unknown) => error,
    )
    await silent
    expect(await secondsUntilFree(db, 'public.chats')).toBeLessThan(6)
    const thrown = await fault
    expect([isLost(thrown), writer.lost, String(thrown)]).toEqual([
      true,
      true,
      expect.stringMatching(/silent/),
    ])
    expect(await lives(db, writer.pid)).toBe(false)
    await writer.close()
  },
)

test.concurrent('a question with parameters that is lost on its way does not wait for ever', async () => {
  await using db = await database(newest(), 'empty')
  await using network = await proxy(db.url)
  const reader = await connect(hastyContext(network.url), 'reader')
  // of the two messages the first one is gone; no transaction, so no time-out of the server
  const silent = network.silentAt(/never_arrives/, false)
  const fault = reader.sql`select ${'anything'} as never_arrives`.catch((error: unknown) => error)
  await silent
  expect([isLost(await fault), reader.lost]).toEqual([true, true])
  await reader.close()
})

test.concurrent('a statement that takes long is waited for, and its connection stays', async () => {
  await using db = await database(newest(), 'empty')
  const reader = await connect(hastyContext(db.url), 'reader')
  const [row] = await reader.sql`select 1 as n from pg_sleep(4)`
  expect([row!.n, reader.lost]).toEqual([1, false])
  await reader.close()
})

test.concurrent('a run that connects again ends the backend that its own lease was left with', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  await using network = await proxy(db.url)
  const run = await openRun(hastyContext(network.url), 'migrate', 0)
  const before = run.writer.pid
  const silent = network.silentAt(/going_silent/)
  const lost = run.writer.sql`select 1 as going_silent`.catch((error: unknown) => error)
  await silent
  network.speak()
  expect(isLost(await lost)).toBe(true)
  await run.reconnect()
  expect([run.writer.pid === before, await lives(db, before)]).toEqual([false, false])
  await run.close('done')
})

test.concurrent('a run whose client is gone without a word gives way to the next one', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  await using network = await proxy(db.url)
  const process = start(['migrate', '--track', 'workspace-sessions', '--nice', '50'], {
    DATABASE_URL: network.url,
  })
  const first = ended(process, false)
  await network.silentAt(/insert into rethread\.ledger/)
  process.kill('SIGKILL')
  await first
  const again = await rethread(db.url, ['migrate', '--track', 'workspace-sessions', '--lock-wait', '25'])
  expect([again.code, again.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
})

/** A port where something answers that is not PostgreSQL, or nothing does. */
async function stranger(
  answer: string | null,
): Promise<{ server: Server; url: string; asked: () => number }> {
  let connections = 0
  const server = createServer(socket => {
    connections++
    socket.on('error', () => {})
    if (answer !== null) socket.once('data', () => socket.end(answer))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  return { server, url: `postgres://postgres@127.0.0.1:${port}/chat`, asked: () => connections }
}

test.concurrent.each([
  ['a web server', 'HTTP/1.1 400 Bad Request\r\n\r\n', /not PostgreSQL/],
  ['a shell', 'SSH-2.0-OpenSSH_9.6\r\n', /not PostgreSQL/],
  ['one that hangs up', '', /closed the connection/],
])('%s on the port is said to be no PostgreSQL, after one connection', async (_, answer, words) => {
  const { server, url, asked } = await stranger(answer)
  const ran = await rethread(url, ['status'])
  server.close()
  const [finding] = ran.report.findings
  expect([ran.code, finding?.code, finding?.message, asked()]).toEqual([
    2,
    'NO_SERVER',
    expect.stringMatching(words),
    1,
  ])
})
