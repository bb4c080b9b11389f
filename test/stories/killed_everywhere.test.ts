import { describe, expect, test } from 'vitest'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { type Database, database, picture, some } from '../support/database.js'
import { proxy } from '../support/proxy.js'
import { random, seed } from '../support/random.js'

/**
 * Rollback and restore killed at each statement that they send, one after the other: the
 * same command goes on, and the end is exact. Every boundary in the soak, some of them in CI.
 */
const most = process.env.RETHREAD_SOAK ? Number.POSITIVE_INFINITY : 5

const prepare = async (db: Database): Promise<void> => {
  expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  await db.sql.unsafe(`
    with made as (insert into chat_sessions (workspace_id, user_id, title)
      select id, owner_id, 'Mine' from workspaces where owner_id is not null order by id limit 3 returning *)
    insert into chats (workspace_id, user_id, role, message, session_id)
    select workspace_id, user_id, 'user', 'in my session', id from made, generate_series(1, 5);
    update chat_sessions set title = 'Renamed' where id = (select id from chat_sessions where title = 'Legacy Chat' order by id limit 1)`)
}

const verbs = {
  rollback: (name: string) => ['rollback', ...undoAll(name)],
  restore: () => ['restore', 'latest'],
}

describe.each(some('newest'))('cut at every statement on PostgreSQL $major', server => {
  test(`rollback and restore, cut at ${most} of their statements (seed ${seed}): run again, exact`, {
    timeout: process.env.RETHREAD_SOAK ? 7_200_000 : 180_000,
  }, async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    const { schema } = await picture(db.sql)
    await prepare(db)
    // a legacy session of messages without a time has the time of its migration
    const look = async () => [
      (await picture(db.sql)).content.chats,
      await db.sql`select * from chat_sessions where title <> 'Legacy Chat' order by id`,
      await db.sql`select id, workspace_id, user_id, title from chat_sessions order by id`,
    ]
    const live = await look()
    const cuts = { rollback: 0, restore: 0 }
    const statements = { rollback: 0, restore: 0 }
    /** A command, cut at its nth statement, and then the same command until it gets through. */
    const through = async (verb: keyof typeof verbs, first: number): Promise<void> => {
      for (let attempt = 0; attempt < 12; attempt++) {
        await using between = await proxy(db.url)
        // the second attempt is left alone
        const child = start([...verbs[verb](db.name), '--format', 'json'], { DATABASE_URL: between.url })
        if (attempt === 0) between.cutAt(first, () => child.kill('SIGKILL'))
        const { report } = await ended(child)
        if (attempt === 0 && between.cut) {
          cuts[verb]++
        }
        if (report && !between.cut) {
          expect([
            verb,
            first,
            report.verdict,
            report.findings.filter(f => f.level === 'error' || f.level === 'refused'),
          ]).toEqual([verb, first, 'clean', []])
          statements[verb] = Math.max(statements[verb], between.sent.length)
          return
        }
      }
      throw new Error(`${verb} did not get through after it was cut at statement ${first}`)
    }
    // once without a cut: what is exact
    await through('rollback', 1_000_000)
    const before = await picture(db.sql)
    expect(before.schema).toBe(schema)
    await through('restore', 1_000_000)
    const next = random(seed)
    const boundaries = Math.max(statements.rollback, statements.restore)
    for (let part = 0; part < Math.min(most, boundaries); part++) {
      const at = (part + next()) / Math.min(most, boundaries)
      const cut = (verb: keyof typeof verbs) => 1 + Math.floor(at * statements[verb])
      await through('rollback', cut('rollback'))
      expect([at, await picture(db.sql)]).toEqual([at, before])
      const open = await db.sql`select id from rethread_archive.archives where state = 'capturing'`
      expect([at, open.length]).toEqual([at, 0])
      await through('restore', cut('restore'))
      expect([at, await look()]).toEqual([at, live])
    }
    expect(Math.min(cuts.rollback, cuts.restore)).toBeGreaterThan(3)
  })
})
