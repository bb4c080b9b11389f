import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../../src/database/context.js'
import { countAll, largestSessions } from '../../src/operate/sessions.sql.js'
import { configured, rethread, undoAll } from '../support/cli.js'
import { contextOf } from '../support/context.js'
import { database, newest, picture, root } from '../support/database.js'
import { folder } from '../support/folder.js'

test('sessions are listed, filtered, shown and exported; stats counts them', async () => {
  await using db = await database(newest(), 'trip-sessions')
  await rethread(db.url, ['migrate'])
  await db.sql.unsafe(readFileSync(join(root, 'examples/trip-sessions/new_app.sql'), 'utf8'))
  const rowsOf = async (flags: string[]) => {
    const { code, report } = await rethread(db.url, ['sessions', 'list', ...flags])
    const table = report.tables[0]!
    return { code, rows: table.rows.map(r => Object.fromEntries(table.columns.map((c, i) => [c, r[i]]))) }
  }
  const all = await rowsOf(['--limit', '1000'])
  const [counts] = await db.sql`
    select count(*)::int as n, count(*) filter (where status in ('active', 'paused'))::int as open from chat_sessions`
  // a completed session is left out until it is asked for
  expect([all.code, all.rows.length, counts!.n - counts!.open]).toEqual([0, counts!.open, 1])
  expect((await rowsOf(['--status', 'completed'])).rows.length).toBe(1)
  const [trip] = (await rowsOf(['--trip', 'atrip-64956150'])).rows
  expect([trip!.conversation_subject, trip!.request_departure_airport, trip!.messages]).toEqual([
    'New talk',
    'EDDF',
    4,
  ])
  const [{ id, agent, talk }] = (await db.sql`
    select s.id, s.iso_agent_id as agent, s.conversation_id as talk from chat_sessions s where message_count > 5 order by id limit 1`) as unknown as [
    { id: string; agent: string; talk: string },
  ]
  expect((await rowsOf(['--user', agent, '--limit', '1000'])).rows.every(r => r.user === agent)).toBe(true)
  const shown = await rethread(db.url, ['sessions', 'show', id, '--limit', '3'])
  const exported = await rethread(db.url, ['sessions', 'export', id])
  const said = await db.sql`select content from messages where conversation_id = ${talk} order by created_at`
  expect(shown.report.tables[1]!.rows.map(r => r[2])).toEqual(said.slice(-3).map(r => r.content))
  expect(exported.report.tables[1]!.rows.map(r => r[2])).toEqual(said.map(r => r.content))
  expect(Object.fromEntries(shown.report.tables[0]!.rows).conversation).toContain('"subject"')
  const stats = await rethread(db.url, ['stats'])
  expect(Object.fromEntries(stats.report.tables[0]!.rows)).toMatchObject({
    sessions: counts!.n,
    'sessions active in the last 24 h': 200,
    'messages of the last 24 h': 800,
  })
  expect(stats.report.tables[2]!.rows.length).toBe(10)
  // a value that can be nobody's hides nothing of those that are somebody's
  expect((await rowsOf(['--filter', `user=nobody,${agent}`])).rows.length).toBeGreaterThan(0)
  // what is said of messages that are too many to count
  const info = JSON.parse(readFileSync(join(root, 'migrations/trip-sessions/track.json'), 'utf8'))
  await db.sql.unsafe('analyze public.messages')
  const [{ n }] = (await db.sql`select count(*)::int as n from public.messages`) as unknown as [{ n: number }]
  await using connection = await connect(contextOf(db.url), 'reader')
  expect(await countAll(connection.sql, info, n)).toMatchObject({
    'messages, about': n,
    'messages of the last 24 h': 800,
  })
  const largest = await largestSessions(connection.sql, info, 5, n)
  expect(largest.map(l => l['messages, about'])).toEqual(
    (await largestSessions(connection.sql, info, 5, null)).map(l => l.messages),
  )
})

test('what can’t be asked is told: no such session, no such role, a table that is not there, a track that says nothing', async () => {
  await using db = await database(newest(), 'trip-sessions')
  const told = async (args: string[]) => {
    const { code, report } = await rethread(db.url, args)
    return [code, report.findings.find(f => f.level === 'error')!.code]
  }
  expect(await told(['sessions', 'list'])).toEqual([2, 'NO_SESSIONS_TABLE'])
  await rethread(db.url, ['migrate'])
  expect(await told(['sessions', 'show', 'nobody'])).toEqual([2, 'NO_SUCH_SESSION'])
  expect(await told(['sessions', 'show'])).toEqual([2, 'USAGE'])
  expect(await told(['sessions', 'sing'])).toEqual([2, 'USAGE'])
  expect(await told(['sessions', 'list', '--repo', 'x'])).toEqual([2, 'USAGE'])
})

test('filters come from track.json: by --filter, and by a flag for each', async () => {
  await using db = await database(newest(), 'trip-sessions', 500)
  expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  await db.sql`update chat_sessions set status = 'completed' where id in (select id from chat_sessions order by id limit 3)`
  await db.sql`update chat_sessions set status = 'archived' where id in (select id from chat_sessions order by id offset 3 limit 2)`
  const list = async (...flags: string[]) => {
    const { code, report } = await rethread(db.url, ['sessions', 'list', '--limit', '1000', ...flags])
    const table = report.tables[0]
    const at = (column: string) => table?.columns.indexOf(column) ?? -1
    return {
      code,
      columns: table?.columns.slice(0, 4),
      sessions: table?.rows.map(r => r[at('session')]),
      status: [...new Set(table?.rows.map(r => r[at('status')]))].sort(),
      usage: report.findings.filter(f => f.code === 'USAGE').map(f => [f.subject, f.facts.known]),
    }
  }
  const done = await list('--filter', 'status=completed')
  expect(done).toMatchObject({
    code: 0,
    columns: ['session', 'user', 'trip', 'status'],
    status: ['completed'],
  })
  expect(done.sessions!.length).toBe(3)
  expect(await list('--status', 'completed')).toEqual(done)
  // one filter twice is either value, two filters are both
  const either = await list('--filter', 'status=completed', '--filter', 'status=archived')
  expect([either.sessions!.length, either.status]).toEqual([5, ['archived', 'completed']])
  expect(await list('--filter', 'status=archived,completed')).toEqual(either)
  expect(await list('--status', 'archived', '--filter', 'status=completed')).toEqual(either)
  expect((await list('--filter', 'status=completed', '--filter', 'trip=none')).sessions).toEqual([])
  expect(await list('--filter', 'repo=x')).toMatchObject({
    code: 2,
    usage: [['--filter repo', ['user', 'trip', 'status']]],
  })
  expect(await list('--repo', 'x')).toMatchObject({
    code: 2,
    usage: [['--filter repo', ['user', 'trip', 'status']]],
  })
  expect(await list('--filter', 'status=gone')).toMatchObject({
    code: 2,
    usage: [['--filter status=gone', ['active', 'paused', 'completed', 'archived']]],
  })
  for (const wrong of ['status', '=completed', 'status='])
    expect(await list('--filter', wrong)).toMatchObject({
      code: 2,
      usage: [[`--filter ${wrong}`, []]],
    })
})

test('the flags of filters are those of the tracks that are used: the shipped ones, or those of a folder', async () => {
  const flags = async (...args: string[]) => {
    const { stdout } = await rethread('', ['sessions', '--help', ...args], { json: false })
    const own = stdout.slice(0, stdout.indexOf('--filter <name=value>'))
    return [...own.matchAll(/^ {2}--(\S+) <values> +(.+)/gm)].map(m => `${m[1]}: ${m[2]}`)
  }
  const shipped = readdirSync(join(root, 'migrations')).flatMap(track => {
    const file = join(root, 'migrations', track, 'track.json')
    return existsSync(file) ? Object.keys(JSON.parse(readFileSync(file, 'utf8')).filters ?? {}) : []
  })
  expect((await flags()).map(f => f.split(':')[0])).toEqual([...new Set(shipped)])
  const filter = (help: string, more = {}) => ({ column: 'c', help, ...more })
  const own = folder({
    'migrations/a/track.json': JSON.stringify({
      filters: {
        colour: filter('of a colour', { default: ['red', 'blue'] }),
        limit: filter('taken by the command'),
      },
    }),
    'migrations/b/track.json': JSON.stringify({
      filters: { colour: filter('again'), shape: filter('of a shape') },
    }),
    'migrations/c/track.json': '{',
  })
  const expected = ['colour: of a colour (default red, blue)', 'shape: of a shape']
  expect(await flags('--dir', own)).toEqual(expected)
  expect(await flags('--config', join(configured({ dir: own }), 'rethread.config.json'))).toEqual(expected)
})

test('a setting that the track does not know, or a value that it does not take, is refused before anything is written', async () => {
  await using db = await database(newest())
  const settings = configured({ settings: { legacy_grouping: 'planet', colour: 'red' } })
  const ran = await rethread(db.url, ['migrate'], { cwd: settings })
  expect([ran.code, ran.report.findings.filter(f => f.code === 'BAD_SETTING').map(f => f.subject)]).toEqual([
    3,
    ['settings.legacy_grouping', 'settings.colour'],
  ])
  const [there] = await db.sql`select to_regclass('public.chat_sessions') is null as absent`
  expect(there!.absent).toBe(true)
})

test('plan estimates without writing; --sample runs batches, measures them, and takes every one back', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20_000)
  const before = await picture(db.sql)
  const plain = await rethread(db.url, ['plan'])
  const backfills = plain.report.tables.find(t => t.title === 'Backfills')!
  const row = (name: string, table = backfills) => {
    const cells = table.rows.find(r => String(r[0]).startsWith(name))!
    return Object.fromEntries(table.columns.map((c, i) => [c, cells[i]]))
  }
  expect(Number(row('005')['rows (estimate)'])).toBeGreaterThan(18_000)
  expect(row('005').from).toContain('a usual rate')
  const early = await rethread(db.url, ['plan', '--sample'])
  expect([
    early.code,
    early.report.findings.filter(f => f.code === 'NOT_SAMPLED').map(f => f.subject),
  ]).toEqual([0, expect.arrayContaining(['003_collect_legacy_sessions', '005_assign_messages'])])
  expect(await picture(db.sql)).toEqual(before)
  await rethread(db.url, ['migrate', '--no-backfill'])
  const expanded = await picture(db.sql)
  const sampled = await rethread(db.url, ['plan', '--sample'])
  const table = sampled.report.tables.find(t => t.title.startsWith('Sampled'))!
  expect(Number(row('003', table).rows)).toBeGreaterThan(0)
  expect(String(row('003', table)['time, one worker'])).toMatch(/^under 1 s$|^\d[\d.]* - \d[\d.]* s$/)
  expect(await picture(db.sql)).toEqual(expanded)
  const [left] = await db.sql`select count(*)::int as n from chat_private.legacy_parts`
  expect(left!.n).toBe(0)
  // once a backfill has run here, its own rate counts
  await rethread(db.url, ['migrate'])
  await rethread(db.url, ['rollback', ...undoAll(db.name)])
  const again = await rethread(db.url, ['plan'])
  expect(row('005', again.report.tables.find(t => t.title === 'Backfills')!).from).toMatch(
    /rows\/s measured here$/,
  )
})
