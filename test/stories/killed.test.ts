import { describe, expect, test } from 'vitest'
import { counts } from '../../src/model/report.js'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { database, some } from '../support/database.js'
import { random, seed } from '../support/random.js'

/** Kills in CI, shared between the servers; the soak does hundreds. */
const kills = process.env.RETHREAD_SOAK ? 200 : 10

describe.each(some('newest'))('killed on PostgreSQL $major', server => {
  test(`SIGKILL at ${kills} random moments (seed ${seed}): the same command finishes, nothing doubled, nothing lost`, {
    timeout: 1_800_000,
  }, async () => {
    await using db = await database(server, 'workspace-sessions', 8000)
    const next = random(seed + server.major)
    const [{ n: first }] = (await db.sql`select count(*)::int as n from chats`) as unknown as [{ n: number }]
    let written = 0
    let killed = 0
    let longest = 1200
    while (killed < kills) {
      const child = start(['migrate', '--format', 'json'], { DATABASE_URL: db.url })
      const run = ended(child)
      const began = Date.now()
      const timer = setTimeout(() => child.kill('SIGKILL'), 60 + next() * longest)
      const { code } = await run
      clearTimeout(timer)
      if (code === 0) {
        longest = Date.now() - began
        // begin again, so that the kills spread over the whole of it
        const down = await rethread(db.url, ['rollback', ...undoAll(db.name)])
        expect([down.code, down.report?.findings.filter(f => f.level === 'error')]).toEqual([0, []])
      } else killed++
      await db.sql`insert into chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'between kills' from workspaces where owner_id is not null limit 1`
      written++
    }
    const last = await rethread(db.url, ['migrate'])
    expect([last.code, last.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    const [state] = await db.sql`
        select (select count(*)::int from chats) as messages,
          (select count(*)::int from chats where session_id is null) as without,
          (select count(distinct key)::int from rethread_archive.quarantine) as quarantined,
          (select count(*)::int from chat_sessions) as sessions,
          (select count(distinct workspace_id)::int from chats where session_id is not null) as rooms`
    expect(state).toEqual({
      messages: first + written,
      without: state!.quarantined,
      quarantined: 9,
      sessions: state!.rooms,
      rooms: state!.rooms,
    })
    const verified = await rethread(db.url, ['verify'])
    expect([
      verified.code,
      verified.report.checks.filter(c => c.outcome === 'found' && counts(c)).map(c => c.check),
    ]).toEqual([0, ['quarantined']])
    const done = await db.sql`
        select migration, count(*) filter (where direction = 'up')::int - count(*) filter (where direction = 'down')::int as net
        from rethread.ledger where outcome = 'done' group by 1 order by 1`
    expect(done.map(r => r.net)).toEqual([1, 1, 1, 1, 1, 1, 1, 1])
  })
})
