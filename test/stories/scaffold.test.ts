import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { counts } from '../../src/model/report.js'
import { contract, rethread, undoAll } from '../support/cli.js'
import { database, newest, picture, root } from '../support/database.js'

const folder = () => mkdtempSync('/tmp/rethread-init-')

test('init copies a track under the names of one’s own, and the copy works from before to back again', async () => {
  const cwd = folder()
  const map = 'chats=messages,chats.workspace_id=org_id,workspaces=orgs,chats.message=body'
  const made = await rethread('', ['init', '--track', 'workspace-sessions', '--map', map], { cwd })
  expect([made.code, made.report.findings.map(f => f.code)]).toEqual([0, ['COPIED']])
  await using db = await database(newest(), 'workspace-sessions', 300)
  await db.sql.unsafe(`
    alter table public.chats rename to messages; alter table public.workspaces rename to orgs;
    alter table public.messages rename column workspace_id to org_id; alter table public.messages rename column message to body`)
  const before = await picture(db.sql)
  const up = await rethread(db.url, ['migrate', ...contract], { cwd })
  expect([
    up.code,
    up.report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message),
  ]).toEqual([0, []])
  const verified = await rethread(db.url, ['verify', '--sample', '3'], { cwd })
  expect([
    verified.code,
    verified.report.checks.filter(
      c => c.outcome === 'failed' || (c.outcome === 'found' && c.level === 'error' && counts(c)),
    ),
  ]).toEqual([0, []])
  const [state] = await db.sql`select count(*)::int as n from messages where session_id is null`
  expect(state!.n).toBe(0)
  const listed = await rethread(db.url, ['sessions', 'list', '--limit', '1'], { cwd })
  expect([listed.code, listed.report.tables[0]!.rows.length]).toEqual([0, 1])
  const down = await rethread(db.url, ['rollback', ...undoAll(db.name)], { cwd })
  expect([
    down.code,
    down.report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message),
  ]).toEqual([0, []])
  expect(await picture(db.sql)).toEqual(before)
}, 60_000)

test('init renames what a description names, not what its keys mean', async () => {
  const cwd = folder()
  const made = await rethread(
    '',
    ['init', '--track', 'trip-sessions', '--map', 'messages=posts,requests.iso_agent_id=agent'],
    { cwd },
  )
  expect(made.code).toBe(0)
  const info = JSON.parse(readFileSync(join(cwd, 'migrations/trip-sessions/track.json'), 'utf8'))
  expect([info.messages.table, info.shapes.map((s: { is: string }) => s.is)]).toEqual([
    'public.posts',
    ['conversation_id is not null', 'agent is not null'],
  ])
  await using db = await database(newest(), 'trip-sessions', 100)
  await db.sql.unsafe(
    'alter table messages rename to posts; alter table requests rename column iso_agent_id to agent',
  )
  const { report } = await rethread(db.url, ['doctor'], { cwd })
  expect(report.findings.filter(f => f.code === 'FITS').map(f => f.subject)).toEqual(['trip-sessions'])
})

test('init writes over nothing, and knows the names that a track has', async () => {
  const cwd = folder()
  expect((await rethread('', ['init'], { cwd })).report.findings[0]!.code).toBe('TRACK_UNCLEAR')
  // a folder that is not there yet is made, and named in what to do next
  const made = await rethread('', ['init', '--track', 'helper-chats', '--dir', 'chat db'], { cwd })
  expect([made.code, made.report.findings[0]!.fix]).toEqual([
    0,
    "rethread doctor --dir 'chat db'   then   rethread plan --dir 'chat db'",
  ])
  const package_ = await rethread('', ['init', '--track', 'helper-chats'], { cwd: root })
  expect([package_.code, package_.report.findings[0]!.message]).toEqual([
    2,
    expect.stringContaining('name one for yours, as in --dir'),
  ])
  expect(
    (await rethread('', ['init', '--track', 'helper-chats', '--map', 'no_such_table=x'], { cwd })).report
      .findings[0],
  ).toMatchObject({
    code: 'USAGE',
  })
  expect(existsSync(join(cwd, 'migrations'))).toBe(false)
  expect((await rethread('', ['init', '--track', 'helper-chats'], { cwd })).code).toBe(0)
  const again = await rethread('', ['init', '--track', 'helper-chats'], { cwd })
  expect([again.code, again.report.findings[0]!.code]).toEqual([2, 'FILE_EXISTS'])
})

test('new writes the trio, proves that it is seen, and what it wrote runs', async () => {
  const cwd = folder()
  const first = await rethread('', ['new', 'add_tags', '--track', 'mine'], { cwd })
  expect([first.code, first.report.tables[0]!.rows.flat()]).toEqual([
    0,
    ['migrations/mine/001_add_tags.sql', 'rollbacks/mine/001_add_tags.sql', 'verify/mine/add_tags.sql'],
  ])
  expect((await rethread('', ['new', 'more_tags'], { cwd })).report.tables[0]!.rows[0]).toEqual([
    'migrations/mine/002_more_tags.sql',
  ])
  await using db = await database(newest(), 'empty')
  expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
  expect((await rethread(db.url, ['verify', '--only', 'add_tags,more_tags'], { cwd })).code).toBe(0)
  expect((await rethread('', ['new', 'Bad-Name'], { cwd })).code).toBe(2)
  // here are several tracks, and none is named
  const unnamed = await rethread('', ['new', 'x'])
  expect([unnamed.code, unnamed.report.findings[0]!.code]).toEqual([3, 'TRACK_UNCLEAR'])
  expect(existsSync(join(root, 'migrations/new')) || existsSync(join(root, 'test/checks/new'))).toBe(false)
  // what would be written over is seen before anything is written
  writeFileSync(join(cwd, 'verify/mine/third.sql'), "select 'x' as object, 'y' as detail where false")
  const third = await rethread('', ['new', 'third'], { cwd })
  expect([third.code, third.report.findings[0]!.subject]).toEqual([2, 'verify/mine/third.sql'])
  expect(existsSync(join(cwd, 'migrations/mine/003_third.sql'))).toBe(false)
})

test('new writes the story of the check too, where the repository has stories', async () => {
  const cwd = folder()
  mkdirSync(join(cwd, 'test/checks'), { recursive: true })
  const made = await rethread('', ['new', 'add_tags', '--track', 'mine'], { cwd })
  expect([made.code, made.report.tables[0]!.rows.flat().at(-1)]).toEqual([0, 'test/checks/mine/add_tags.sql'])
  const story = readFileSync(join(cwd, 'test/checks/mine/add_tags.sql'), 'utf8')
  expect(story).toMatch(/^-- fault\n[\s\S]*^-- fix\n/m)
})

test('a track.json that is wrong is told with what is wrong in it', async () => {
  const cwd = folder()
  expect((await rethread('', ['init', '--track', 'helper-chats'], { cwd })).code).toBe(0)
  const path = join(cwd, 'migrations/helper-chats/track.json')
  const info = JSON.parse(readFileSync(path, 'utf8'))
  await using db = await database(newest(), 'helper-chats', 100)
  for (const [text, says] of [
    [JSON.stringify({ ...info, sessions: { ...info.sessions, id: 1 } }), /sessions\.id: wants string/],
    [JSON.stringify({ ...info, surprise: true }), /unknown `surprise`/],
    [
      JSON.stringify({ ...info, filters: { 'a-b': info.filters.user } }),
      /filters\.a-b: a filter is lower_case/,
    ],
    [
      JSON.stringify({ ...info, filters: { user: { ...info.filters.user, values: ['a'], default: ['b'] } } }),
      /filters\.user\.default: `b` is none of its values/,
    ],
    ['{', /not JSON/],
  ] as const) {
    writeFileSync(path, text)
    const ran = await rethread(db.url, ['plan'], { cwd })
    const fault = ran.report.findings.find(f => f.code === 'BAD_TRACK_INFO')!
    expect([ran.code, fault.message]).toEqual([2, expect.stringMatching(says)])
  }
  // a check for databases with or without a table that none does without
  writeFileSync(path, JSON.stringify(info))
  const check = join(cwd, 'verify/helper-chats/only_there.sql')
  for (const key of ['with', 'without']) {
    writeFileSync(
      check,
      `--! title: There\n--! ${key}: projcts\n\nselect 1 as object, 2 as detail where false`,
    )
    const ran = await rethread(db.url, ['plan'], { cwd })
    const fault = ran.report.findings.find(f => f.code === 'BAD_TRACK_INFO')!
    const says = `check only_there: \`${key}: projcts\` is no optional role`
    expect([ran.code, fault.message]).toEqual([2, expect.stringContaining(says)])
  }
  rmSync(check)
  rmSync(path)
  expect((await rethread(db.url, ['plan'], { cwd })).code).toBe(0)
})
