import { createHash, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { open, root } from '../support/database.js'
import { random, seed } from '../support/random.js'

/** Mishaps in CI; the soak has hundreds. */
const mishaps = process.env.RETHREAD_SOAK ? 200 : 4

const next = random(seed)
const sleep = (ms: number) => new Promise(done => setTimeout(done, ms))

type Sql = ReturnType<typeof open>

/** What an old application has been told to be written, and what it does not know of. */
interface Writer {
  acknowledged: Map<string, string>
  unsure: Set<string>
  stop(): Promise<void>
}

/**
 * An old application that writes, changes and deletes all the while, through every crash, and remembers
 * what the server said yes to.
 */
function oldApplication(url: string): Writer {
  const acknowledged = new Map<string, string>()
  const unsure = new Set<string>()
  let stopping = false
  const working = (async () => {
    let sql = open(url, 1)
    for (let n = 0; !stopping; n++) {
      const id = randomUUID()
      const old = [...acknowledged.keys()][Math.floor(next() * acknowledged.size)]
      const text = `message ${n}`
      const kind = n % 8 === 7 ? 'delete' : n % 4 === 3 ? 'update' : 'insert'
      if (kind !== 'insert' && !old) continue
      try {
        if (kind === 'insert') {
          await sql`insert into chats (id, workspace_id, user_id, role, message) select ${id}, id, owner_id, 'user', ${text} from workspaces where owner_id is not null order by md5(id::text || ${n}) limit 1`
          acknowledged.set(id, text)
        } else if (kind === 'update') {
          await sql`update chats set message = ${text} where id = ${old!}`
          acknowledged.set(old!, text)
        } else {
          await sql`delete from chats where id = ${old!}`
          acknowledged.delete(old!)
        }
      } catch {
        // the connection broke: it may have been written, or not
        unsure.add(kind === 'insert' ? id : old!)
        if (kind !== 'insert') acknowledged.delete(old!)
        await sql.end({ timeout: 0 }).catch(() => {})
        await sleep(50)
        sql = open(url, 1)
      }
      await sleep(5)
    }
    await sql.end({ timeout: 1 })
  })()
  return {
    acknowledged,
    unsure,
    stop: async () => {
      stopping = true
      await working
    },
  }
}

/** The messages that nobody touches: how many, and their content in order. */
async function original(sql: Sql): Promise<{ rows: number; hash: string }> {
  const rows =
    await sql`select concat_ws('|', id, workspace_id, user_id, role, message, created_at) as line from chats where message is null or message !~ '^message ' order by workspace_id, created_at, id`
  const hash = createHash('sha256')
  for (const { line } of rows) hash.update(`${line}\n`)
  return { rows: rows.length, hash: hash.digest('hex') }
}

test(`${mishaps} mishaps (seed ${seed}): killed clients, dropped connections, crashed servers, an application that writes: every message once, order kept, hashes equal`, {
  timeout: 3_600_000,
}, async () => {
  const dataDir = mkdtempSync('/tmp/rethread-mishaps-')
  let server = await startEmbedded({ dataDir, from: [root] })
  const { port, url } = server
  let sql = open(url, 1)
  await sql.unsafe('set demo.messages = 20000')
  await sql.unsafe(readFileSync(join(root, 'examples/supabase-shim.sql'), 'utf8'))
  await sql.unsafe(readFileSync(join(root, 'examples/workspace-sessions/before.sql'), 'utf8'))
  const before = await original(sql)
  await sql.end()
  const app = oldApplication(url)
  const tally = { killed: 0, dropped: 0, crashed: 0, finished: 0 }
  let longest = 4000
  try {
    while (tally.killed + tally.dropped + tally.crashed < mishaps) {
      const child = start(['migrate', '--workers', '2', '--format', 'json'], { DATABASE_URL: url })
      const run = ended(child)
      const began = Date.now()
      await Promise.race([run, sleep(100 + next() * longest)])
      if (child.exitCode === null) {
        const what = next()
        if (what < 0.5) {
          tally.killed++
          child.kill('SIGKILL')
        } else if (what < 0.8) {
          tally.dropped++
          const admin = open(url, 1)
          await admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rethread %' order by random() limit 1`.catch(
            () => {},
          )
          await admin.end({ timeout: 1 }).catch(() => {})
        } else {
          tally.crashed++
          await server.stop('immediate')
          server = await startEmbedded({ dataDir, from: [root], port })
        }
      }
      const { code } = await run
      if (code === 0) {
        tally.finished++
        longest = Math.max(500, Date.now() - began)
        // begin again, so that the mishaps spread over the whole of it
        const down = await rethread(url, ['rollback', ...undoAll('postgres')])
        expect([
          down.code,
          down.report?.findings.filter(f => f.level === 'error' || f.level === 'refused'),
        ]).toEqual([0, []])
      }
    }
    let last = await rethread(url, ['migrate'])
    for (let again = 0; last.code !== 0 && again < 3; again++) last = await rethread(url, ['migrate'])
    await app.stop()
    expect([
      last.code,
      last.report?.findings.filter(f => f.level === 'error' || f.level === 'refused'),
    ]).toEqual([0, []])
    sql = open(url, 1)
    expect(await original(sql)).toEqual(before)
    const written = new Map<string, string>(
      (await sql`select id::text, message from chats where message ~ '^message '`).map(r => [
        r.id,
        r.message,
      ]),
    )
    for (const id of app.unsure) {
      written.delete(id)
      app.acknowledged.delete(id)
    }
    expect([...written].sort()).toEqual([...app.acknowledged].sort())
    const [sums] = await sql`
      select (select count(*)::int from chats where session_id is null
          and not exists (select from rethread_archive.quarantine q where q.key = chats.id::text)) as "without",
        (select count(*)::int from chats c join chat_sessions s on s.id = c.session_id where s.workspace_id <> c.workspace_id) as elsewhere,
        (select count(*)::int from chat_sessions) - (select count(distinct session_id)::int from chats) as empty`
    // a session whose only messages the application has deleted since stays, as any session would
    expect([sums!.without, sums!.elsewhere]).toEqual([0, 0])
    // what a killed run left set on the application's table has been put back
    const [settings] =
      await sql`select reloptions::text[] as options, (select count(*)::int from rethread.table_settings) as kept from pg_class where oid = 'chats'::regclass`
    expect(settings).toEqual({ options: null, kept: 0 })
    const verified = await rethread(url, ['verify'])
    expect(verified.code).toBe(0)
    expect(tally.killed + tally.dropped + tally.crashed).toBe(mishaps)
  } finally {
    await app.stop()
    await sql.end({ timeout: 1 }).catch(() => {})
    await server.stop('immediate')
    rmSync(dataDir, { recursive: true, force: true })
  }
})
