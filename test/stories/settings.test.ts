import { expect, test } from 'vitest'
import { throttled } from '../../src/backfill/health_monitor.sql.js'
import { connect } from '../../src/database/context.js'
import { findingsOf } from '../../src/model/failure.js'
import { openRun } from '../../src/run/open_run.js'
import { rethread } from '../support/cli.js'
import { contextOf } from '../support/context.js'
import { database, newest, open, servers } from '../support/database.js'
import { proxy } from '../support/proxy.js'

/** What a database may have set that is not ours. */
const settings = [
  "transaction_timeout = '400ms'",
  "statement_timeout = '150ms'",
  "idle_session_timeout = '1s'",
  "idle_in_transaction_session_timeout = '10ms'",
  "lock_timeout = '1ms'",
  'standard_conforming_strings = off',
  'quote_all_identifiers = on',
  "default_transaction_isolation = 'serializable'",
  'transform_null_equals = on',
  'exit_on_error = on',
  "bytea_output = 'escape'",
  "datestyle = 'German, DMY'",
  "restrict_nonsystem_relation_kind = 'view, foreign-table'",
]

test.concurrent.each(
  servers().flatMap(server =>
    ['workspace-sessions', 'conversation-history', 'trip-sessions'].map(track => ({ server, track })),
  ),
)('$track on PostgreSQL $server.major runs whatever the database has set', async ({ server, track }) => {
  await using db = await database(server, track, 40)
  for (const setting of settings)
    if (server.major >= 17 || !setting.startsWith('transaction_timeout'))
      await db.sql.unsafe(`alter database ${db.name} set ${setting}`)
  const ran = await rethread(db.url, ['migrate', '--track', track])
  expect([ran.code, ran.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
  const verified = await rethread(db.url, ['verify', '--track', track])
  expect(verified.report.findings.filter(f => f.level === 'error')).toEqual([])
})

test.concurrent('a database that is read-only by default is named before anything is done', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  await db.sql.unsafe(`alter database ${db.name} set default_transaction_read_only = on`)
  const { code, report } = await rethread(db.url, ['migrate', '--track', 'workspace-sessions'])
  expect([code, report.findings.map(f => f.code)]).toEqual([2, expect.arrayContaining(['READ_ONLY_SERVER'])])
})

test.concurrent('a role whose sessions end at once is named with the setting, and what is said gives it time', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  // the first message lifts the limit of its statements, not that of the time before it
  await db.sql.unsafe(`alter database ${db.name} set statement_timeout = '20ms'`)
  await db.sql.unsafe(`alter database ${db.name} set idle_session_timeout = '1ms'`)
  await using through = await proxy(db.url)
  through.delays(30)
  const { code, report } = await rethread(through.url, ['doctor', '--track', 'workspace-sessions'])
  expect([code, report.findings.map(f => [f.code, f.facts])]).toEqual([
    2,
    [['SESSION_CUT_OFF', expect.objectContaining({ setting: 'idle_session_timeout', database: db.name })]],
  ])
  const [fix] = report.findings[0]!.fix!.split(';')
  expect(fix).toMatch(/^alter role \w+ in database \w+ set idle_session_timeout = '1s'$/)
  const admin = open(newest().url, 1)
  await admin.unsafe(fix!)
  await admin.end()
  expect((await rethread(db.url, ['doctor', '--track', 'workspace-sessions'])).code).toBe(0)
})

test.concurrent('a server that refuses writes in the middle of a run is named as one', async () => {
  await using db = await database(newest(), 'empty')
  const writer = await connect(contextOf(db.url), 'writer')
  await writer.sql`set default_transaction_read_only = on`
  const refused = await writer.sql`create table public.seen (n int)`.catch((error: unknown) => error)
  expect(findingsOf(refused)).toEqual([
    expect.objectContaining({
      code: 'READ_ONLY_SERVER',
      facts: { why: expect.stringMatching(/read-only transaction/), since: 'run' },
    }),
  ])
  await writer.close()
})

test.concurrent('a throttle query reads only, one statement, for half a second', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql`create table seen (n int)`
  const monitor = await connect(contextOf(db.url), 'monitor')
  const start = performance.now()
  await expect(throttled(monitor.sql, 'select pg_sleep(60)')).rejects.toThrow(/statement timeout/)
  expect(performance.now() - start).toBeLessThan(5_000)
  await expect(throttled(monitor.sql, 'insert into public.seen values (1) returning true')).rejects.toThrow(
    /read-only/,
  )
  await expect(throttled(monitor.sql, 'commit; insert into public.seen values (1)')).rejects.toThrow()
  expect(await throttled(monitor.sql, 'select true')).toBe(true)
  expect(await db.sql`select from seen`).toHaveLength(0)
  await monitor.close()
})

test.concurrent('settings of a backfill are put back on a table that has another name since', async () => {
  await using db = await database(newest(), 'empty')
  await (await openRun(contextOf(db.url), 'migrate', 0)).close('done')
  await db.sql.unsafe(`create table public.was (n int) with (autovacuum_analyze_threshold = 77, fillfactor = 90);
    insert into rethread.table_settings (relation, options)
      select 'public.was', reloptions from pg_class where oid = 'public.was'::regclass;
    alter table public.was set (autovacuum_analyze_threshold = 2147483647, autovacuum_analyze_scale_factor = 100);
    alter table public.was rename to became`)
  const options = async () =>
    (await db.sql`select reloptions::text as o from pg_class where relname = 'became'`)[0]!.o
  await (await openRun(contextOf(db.url), 'migrate', 0)).close('done')
  expect(await options()).toBe('{fillfactor=90,autovacuum_analyze_threshold=77}')
  await db.sql.unsafe(`alter table public.became
    set (autovacuum_analyze_threshold = 2147483647, autovacuum_analyze_scale_factor = 100);
    drop schema rethread cascade`)
  await (await openRun(contextOf(db.url), 'migrate', 0)).close('done')
  expect(await options()).toBe('{fillfactor=90}')
})
