import { createHash, randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ended, type Ran, rethread, start, undoAll } from '../support/cli.js'
import { open, root } from '../support/database.js'
import { mishaps, possible, secondsUntilUnlocked, startVictim } from '../support/mishaps.js'
import { proxy } from '../support/proxy.js'
import { random, seed } from '../support/random.js'
import { smallDisk } from '../support/small_disk.js'

const soaks = process.env.RETHREAD_SOAK !== undefined
/** How many: a few quick ones in CI, RETHREAD_MISHAPS or a thousand of every kind in the soak. */
const most = soaks ? Number(process.env.RETHREAD_MISHAPS ?? 1000) : 4
const quick = ['tool killed', 'backend ended', 'server crashed', 'network cut']

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

/** The user that a server runs as which root has started. */
const nobody = () => Number(/^nobody:[^:]*:(\d+)/m.exec(readFileSync('/etc/passwd', 'utf8'))![1])

/** The kinds of mishaps in an order of chance, each as often as the others. */
function* inTurns(kinds: string[]): Generator<string> {
  for (;;) {
    const left = [...kinds]
    while (left.length > 0) yield left.splice(Math.floor(next() * left.length), 1)[0]!
  }
}

/** Of a rollback, also where a run before it was killed before it could look at the schema. */
const away = undoAll('postgres', 'IGNORES_DRIFT')

const isSetting = (kind: string): boolean => ['read-only', 'time-outs'].includes(kind)

/** Another kind that happens at once with the first; null where they cannot meet. */
function companionOf(kind: string, kinds: Generator<string>): string | null {
  const other = kinds.next().value!
  return other === kind || [kind, other].includes('pooler restarted') ? null : other
}

/** What is gone through, again and again; each until it has ended well. */
const verbs: [name: string, args: string[]][] = [
  ['migrate', ['migrate', '--workers', '2']],
  ['rollback', ['rollback', ...away]],
  ['restore', ['restore', 'latest']],
  ['rollback', ['rollback', ...away]],
]

const errors = (ran: { report: { findings: { level: string; code: string }[] } | null }) =>
  ran.report?.findings.filter(f => f.level === 'error' || f.level === 'refused')

/** Done, or restored but for sessions that the application has changed since the rollback. */
function isDone(name: string, { code, report }: Pick<Ran, 'code' | 'report'>): boolean {
  const loud = report?.findings.filter(f => f.level !== 'info') ?? []
  const left = loud.length > 0 && loud.every(f => f.code === 'RESTORE_CONFLICT')
  return code === 0 || (name === 'restore' && code === 1 && left)
}

test(`${most} mishaps (seed ${seed}) under an application that writes: every message once, order kept, hashes equal`, {
  timeout: 24 * 3_600_000,
}, async () => {
  const folder = mkdtempSync('/tmp/rethread-mishaps-')
  chmodSync(folder, 0o755)
  const disk = soaks ? smallDisk(1500, process.getuid?.() === 0 ? nobody() : (process.getuid?.() ?? 0)) : null
  const victim = await startVictim(folder, disk, proxy, soaks)
  const { url, network } = victim
  let sql = open(url, 1)
  await sql.unsafe('set demo.messages = 6000')
  await sql.unsafe(readFileSync(join(root, 'examples/supabase-shim.sql'), 'utf8'))
  await sql.unsafe(readFileSync(join(root, 'examples/workspace-sessions/before.sql'), 'utf8'))
  const before = await original(sql)
  await sql.end()
  const app = oldApplication(url)
  const kinds = inTurns(soaks ? possible(victim) : quick)
  const tally = new Map<string, number>()
  const ends = new Map<string, number>()
  const faults = new Map<string, number>()
  const waits = new Map<string, number>()
  const pairs = new Map<string, number>()
  const finished = new Set<string>()
  const add = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
  let done = 0
  let longest = 4000
  let verb = 0
  let kind = kinds.next().value!
  try {
    while (done < most) {
      const [name, args] = verbs[verb % verbs.length]!
      const through = kind === 'pooler restarted' ? victim.pooler!.url : network.url
      const child = start([...args, '--format', 'json'], { DATABASE_URL: through })
      const run = ended(child)
      const began = Date.now()
      await Promise.race([run, sleep(100 + next() * longest)])
      const struck = child.exitCode === null
      if (struck) {
        const { dead, begin } = mishaps[kind]!
        const second = soaks && done + 1 < most && next() < 0.25 ? companionOf(kind, kinds) : null
        const waiting = dead ? secondsUntilUnlocked(url) : null
        const begun = [{ kind, end: await begin(child, victim, next) }]
        done++
        add(tally, kind)
        if (second) {
          begun.push({ kind: second, end: await mishaps[second]!.begin(child, victim, next) })
          done++
          add(tally, second)
          add(pairs, `${kind} and ${second}`)
        }
        // what lasts, lasts until the run has ended or up to half a minute has passed
        await Promise.race([run, sleep(dead ? 0 : next() * 30_000)])
        // a setting is taken back last, by a server that can be written to again
        for (const { end } of begun.sort((a, b) => Number(isSetting(a.kind)) - Number(isSetting(b.kind))))
          await end()
        if (waiting) waits.set(kind, Math.max(waits.get(kind) ?? 0, await waiting))
      }
      const { code, report } = await Promise.race([
        run,
        sleep(soaks ? 300_000 : 1_200_000).then(() => {
          child.kill('SIGKILL')
          throw new Error(`${name} did not end after ${kind} (${JSON.stringify([...tally])})`)
        }),
      ])
      add(ends, `${name} ${code}`)
      const fault = errors({ report })?.[0]?.code
      if (fault) add(faults, `${name} ${fault}`)
      if (struck) kind = kinds.next().value!
      // a refusal for want of consent would go on for ever
      const strange = report?.findings.filter(f => ['UNEXPECTED', 'CONSENT_NEEDED'].includes(f.code))
      if (strange && strange.length > 0) throw new Error(`${name}: ${strange.map(f => f.message).join('; ')}`)
      if (isDone(name, { code, report })) {
        finished.add(name)
        longest = Math.max(500, Date.now() - began)
        verb++
      }
    }
    for (; verb % verbs.length !== 1; verb++) {
      const [name, args] = verbs[verb % verbs.length]!
      let last = await rethread(url, args)
      for (let again = 0; !isDone(name, last) && again < 3; again++) last = await rethread(url, args)
      expect([isDone(name, last), errors(last)]).toEqual([true, []])
    }
    const last = await rethread(url, ['migrate'])
    await app.stop()
    expect([last.code, errors(last)]).toEqual([0, []])
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
        (select count(*)::int from chats c join chat_sessions s on s.id = c.session_id where s.workspace_id <> c.workspace_id) as elsewhere`
    // a session whose only messages the application has deleted since stays, as any session would
    expect([sums!.without, sums!.elsewhere]).toEqual([0, 0])
    // what a killed run left set on the application's table has been put back
    const [settings] =
      await sql`select reloptions::text[] as options, (select count(*)::int from rethread.table_settings) as kept from pg_class where oid = 'chats'::regclass`
    expect(settings).toEqual({ options: null, kept: 0 })
    const verified = await rethread(url, ['verify'])
    expect(verified.code).toBe(0)
    // no lock of ours outlives a client that is gone by more than a few seconds
    expect(Math.max(0, ...waits.values())).toBeLessThan(10)
    expect([...tally.values()].reduce((sum, n) => sum + n, 0)).toBe(most)
    // a soak in which nothing ends well has proved nothing
    if (most >= 50) expect([...finished].sort()).toEqual(['migrate', 'restore', 'rollback'])
  } finally {
    if (soaks)
      process.stdout.write(
        `seed ${seed}: ${JSON.stringify({
          mishaps: Object.fromEntries(tally),
          'two at once': [...pairs.values()].reduce((sum, n) => sum + n, 0),
          ended: Object.fromEntries(ends),
          because: Object.fromEntries(faults),
          'longest lock after a client is gone, in seconds': Object.fromEntries(waits),
        })}\n`,
      )
    await app.stop()
    await sql.end({ timeout: 1 }).catch(() => {})
    await network[Symbol.asyncDispose]()
    await victim.stop()
    disk?.[Symbol.dispose]()
    rmSync(folder, { recursive: true, force: true })
  }
})
