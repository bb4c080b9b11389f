import { describe, expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { database, newest, open, picture } from '../support/database.js'
import { hasPooler, Pooler } from '../support/pooler.js'

/** Every command that connects to the database it is given. */
const commands = [
  ['status'],
  ['plan'],
  ['plan', '--rehearse'],
  ['doctor'],
  ['verify'],
  ['prove'],
  ['stats'],
  ['sessions', 'list'],
  ['quarantine', 'list'],
  ['migrate'],
  ['backfill'],
  ['rollback'],
  ['restore'],
]

// where it is not installed there is nothing to refuse
describe.skipIf(!hasPooler)('poolers', () => {
  test.each([
    { mode: 'transaction', asked: commands },
    { mode: 'statement', asked: [['status'], ['migrate']] },
  ])(
    'a pooler in $mode mode is refused by every command, and its connections stay as they were',
    async ({ mode, asked }) => {
      await using db = await database(newest(), 'workspace-sessions', 20)
      await using pooler = await Pooler.start(db.url, { pool_mode: mode, default_pool_size: 3 })
      const application = open(pooler.url, 3)
      /** What is set in each of the three connections that the application shares with us. */
      const settings = async () => {
        const each = () =>
          application.unsafe<{ pid: number; set: string }[]>(
            `select pg_backend_pid() as pid, (select string_agg(name || '=' || setting, ' ' order by name)
               from pg_settings where source = 'session' and name <> 'application_name') as set from pg_sleep(0.1)`,
          )
        const rows = (await Promise.all([each(), each(), each()])).flat()
        return rows.sort((a, b) => a.pid - b.pid)
      }
      try {
        const [before, data] = [await settings(), await picture(db.sql)]
        expect(new Set(before.map(row => row.pid)).size).toBe(3)
        for (const command of asked) {
          const ran = await rethread(pooler.url, [...command, '--track', 'workspace-sessions'])
          const findings = ran.report?.findings.map(f => [f.code, f.level])
          expect([command, ran.code, findings]).toEqual([command, 3, [['TRANSACTION_POOLER', 'refused']]])
          expect(ran.report.findings[0]!.fix).toMatch(/direct connection or the session pooler/)
          expect([command, await settings()]).toEqual([command, before])
        }
        expect(await picture(db.sql)).toEqual(data)
      } finally {
        await application.end()
      }
    },
  )

  test('a pooler in session mode is used; one with too few sessions is said to be used up', async () => {
    await using db = await database(newest(), 'workspace-sessions', 20)
    const through = async (size: number, command: string) => {
      await using pooler = await Pooler.start(db.url, { pool_mode: 'session', default_pool_size: size })
      const { code, report } = await rethread(pooler.url, [command, '--track', 'workspace-sessions'])
      return [code, report?.findings.filter(f => f.level === 'error').map(f => `${f.code} ${f.message}`)]
    }
    const usedUp = (after: number) => [
      2,
      [expect.stringMatching(`POOL_USED_UP .* has no session left after ${after}`)],
    ]
    expect(await Promise.all([through(8, 'status'), through(1, 'status'), through(2, 'migrate')])).toEqual([
      // what is not done yet is no error
      [1, []],
      usedUp(1),
      usedUp(2),
    ])
  })
})
