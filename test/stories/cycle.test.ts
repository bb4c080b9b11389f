import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { database, picture, root, some } from '../support/database.js'
import { random, seed } from '../support/random.js'

/** Kills for each track, spread over the whole cycle; the soak does a hundred. */
const kills = process.env.RETHREAD_SOAK ? 100 : 5

/** Rows that the new application writes. */
const writes = process.env.RETHREAD_SOAK ? 10_000 : 1000

/** What must come back to the letter, and how the new application edits and deletes beside what it adds. */
const tracks = [
  [
    'workspace-sessions',
    ['chats'],
    `update chats set message = message || ', edited' where id in (select id from chats where message like 'A first%' order by id limit 50);
     delete from chats where id in (select id from chats where message like 'A first%' order by id desc limit 20);
     update chat_sessions set title = 'Another name' where id in (select id from chat_sessions where title = 'A fresh start' order by id limit 1)`,
  ],
  [
    'conversation-history',
    ['messages'],
    `update messages set content = content || ', edited' where id in (select id from messages order by id limit 50);
     delete from messages where id in (select id from messages order by id desc limit 20);
     delete from conversations where id in (select id from conversations order by id limit 2)`,
  ],
  [
    'helper-chats',
    ['chat_sessions', 'chat_messages'],
    `update chat_messages set content = content || ', edited' where id in (select id from chat_messages order by id limit 50);
     delete from chat_messages where id in (select id from chat_messages order by id desc limit 20)`,
  ],
  [
    'codebase-sessions',
    ['codebase_chat_sessions'],
    `update codebase_chat_sessions set current_file = 'src/edited.ts', conversation_history = conversation_history || '[{"role": "user", "content": "more", "timestamp": 1705622400000}]'
     where id in (select id from codebase_chat_sessions order by id limit 50);
     delete from codebase_chat_sessions where id in (select id from codebase_chat_sessions order by id desc limit 20)`,
  ],
  [
    'trip-sessions',
    ['messages'],
    `update messages set content = content || ', edited' where id in (select id from messages order by id limit 50);
     delete from messages where id in (select id from messages order by id desc limit 20);
     update chat_sessions set status = 'paused' where id in (select id from chat_sessions where status = 'active' order by id limit 20)`,
  ],
] as const

describe.each(some('newest'))('the whole cycle on PostgreSQL $major', server => {
  test.each(tracks)(
    `%s: migrate, write, roll back, the old application, migrate, restore, with ${kills} SIGKILLs (seed ${seed}): every row once, hashes equal`,
    async (track, exact, changes) => {
      await using db = await database(server, track, 600)
      const next = random(seed + track.length)
      let killed = 0
      const said: string[] = []
      /** The same command until it is through, killed at random moments as long as kills are left. */
      const until = async (share: number, ...args: string[]) => {
        const enough = Math.ceil(kills * share)
        for (let attempt = 1; attempt <= enough * 3 + 5; attempt++) {
          const child = start([...args, '--track', track, '--format', 'json'], { DATABASE_URL: db.url })
          const run = ended(child)
          const timer = killed < enough ? setTimeout(() => child.kill('SIGKILL'), 150 + next() * 900) : null
          const { code, report } = await run
          if (timer) clearTimeout(timer)
          if (code === 0) return
          if (code === null) killed++
          else
            said.push(
              `${args[0]}: ${code} ${report?.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message)}`,
            )
          if (code === 2 || code === 3) break
        }
        throw new Error(`${args.join(' ')} did not get through:\n${said.join('\n')}`)
      }
      const application = (file: string) =>
        db.sql.unsafe(
          `set demo.writes = ${writes}; ${readFileSync(join(root, 'examples', track, `${file}.sql`), 'utf8')}`,
        )
      await application('old_app')
      await until(0.25, 'migrate')
      await application('new_app')
      await db.sql.unsafe(changes)
      const live = await picture(db.sql)
      await until(0.5, 'rollback', ...undoAll(db.name))
      await application('old_app')
      await until(0.75, 'migrate')
      await until(1, 'restore', 'latest')
      const back = await picture(db.sql)
      for (const table of exact) expect([table, back.content[table]]).toEqual([table, live.content[table]])
      const verified = await rethread(db.url, ['verify', '--track', track])
      expect([verified.code, verified.report.checks.filter(c => c.outcome === 'failed')]).toEqual([0, []])
      // twice is once
      await until(1, 'restore', 'latest')
      expect((await picture(db.sql)).content).toEqual(back.content)
    },
    process.env.RETHREAD_SOAK ? 3_600_000 : 240_000,
  )
})
