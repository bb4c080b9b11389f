import { beforeEach, expect, test, vi } from 'vitest'
import { dryRun } from '../src/dry_run/plan.js'
import { discover } from '../src/files/discover.js'
import { memoByText } from '../src/files/memo.js'
import { parseStatements, withoutByteOrderMark } from '../src/files/statements.js'
import { migrate } from '../src/migrate/migrate.js'
import { bareMigrateOptions } from '../src/migrate/migrate_options.js'
import { status } from '../src/operate/status.js'
import { rollback } from '../src/rollback/rollback.js'
import { consentTo, contextOf } from './support/context.js'
import { database, newest, root } from './support/database.js'

/** How often the parser itself was given each text. */
const asked = vi.hoisted(() => ({ parse: new Map<string, number>(), scan: new Map<string, number>() }))

vi.mock('libpg-query', async original => {
  const library = await original<typeof import('libpg-query')>()
  const counted =
    <T>(kind: 'parse' | 'scan', ask: (text: string) => Promise<T>) =>
    (text: string) => {
      asked[kind].set(text, (asked[kind].get(text) ?? 0) + 1)
      return ask(text)
    }
  return { ...library, parse: counted('parse', library.parse), scan: counted('scan', library.scan) }
})

beforeEach(() => {
  asked.parse.clear()
  asked.scan.clear()
})

test('plan, migrate, status and rollback parse and scan each file once between them', async () => {
  await using db = await database(newest(), 'workspace-sessions', 200)
  const track = discover(root).tracks.find(t => t.name === 'workspace-sessions')!
  const ctx = contextOf(db.url, [track])
  const consent = consentTo(db.name)
  const planned = await dryRun(ctx, track, { ...bareMigrateOptions, consent })
  const applied = await migrate(ctx, track, { ...bareMigrateOptions, consent, leaseWaitMs: 0 })
  await status(ctx, track)
  const back = await rollback(ctx, track, { to: null, steps: null, all: true, consent, leaseWaitMs: 0 })
  expect([planned.verdict, applied.verdict, back.verdict]).toEqual(['clean', 'clean', 'clean'])
  const files = track.migrations.flatMap(m => [m.file, ...(m.rollback ? [m.rollback.file] : [])])
  for (const { path, text } of files) {
    expect([path, asked.parse.get(withoutByteOrderMark(text))]).toEqual([path, 1])
  }
  // applied files are scanned for their checksum of tokens, others only where a token could be a fault;
  // what is not a file is made of one: a backfill with a part of its table, an index as the server
  // describes it
  const ran = new Set(applied.steps.filter(s => s.outcome === 'done').map(s => s.migration))
  expect(ran.size).toBeGreaterThan(5)
  for (const m of track.migrations.filter(m => ran.has(m.name)))
    expect([m.file.path, asked.scan.get(withoutByteOrderMark(m.file.text))]).toEqual([m.file.path, 1])
  expect(Math.max(...asked.parse.values(), ...asked.scan.values())).toBe(1)
})

test.each(discover(root).tracks)('a migrate with nothing to do needs no parser ($name)', async track => {
  await using db = await database(newest(), track.name, 20)
  const options = { ...bareMigrateOptions, consent: consentTo(db.name), leaseWaitMs: 0 }
  expect((await migrate(contextOf(db.url, [track]), track, options)).verdict).toBe('clean')
  expect(asked.parse.size).toBeGreaterThan(0)
  // as in another process: nothing is remembered
  vi.resetModules()
  const afresh = await import('../src/migrate/migrate.js')
  asked.parse.clear()
  asked.scan.clear()
  const again = await afresh.migrate(contextOf(db.url, [track]), track, options)
  expect(again.findings.map(f => f.code)).toContain('NOTHING_TO_DO')
  expect([...asked.parse.keys(), ...asked.scan.keys()]).toEqual([])
})

test('a tree is shared by all who ask: nobody can change it', async () => {
  const [statement] = await parseStatements('alter table public.a drop column b')
  expect(() => {
    statement!.node.cmds[0].AlterTableCmd.name = 'c'
  }).toThrow(TypeError)
  expect((await parseStatements('alter table public.a drop column b'))[0]).toBe(statement)
})

test('so many characters are remembered, those that were used last', async () => {
  const made: string[] = []
  const of = memoByText(10, async text => {
    made.push(text)
    return { text }
  })
  for (const text of ['aaaa', 'bbbb', 'aaaa', 'cccc', 'aaaa', 'bbbb'])
    expect(await of(text)).toEqual({ text })
  expect(made).toEqual(['aaaa', 'bbbb', 'cccc', 'bbbb'])
  // one that is too long by itself is remembered beside them, until the next of its size
  for (const text of ['long enough to fill it', 'bbbb', 'long enough to fill it', 'aaaa']) await of(text)
  for (const text of ['another as long as that', 'long enough to fill it']) await of(text)
  expect(made.slice(4)).toEqual([
    'long enough to fill it',
    'another as long as that',
    'long enough to fill it',
  ])
  // a fault is remembered as well
  const failing = memoByText(10, () => {
    made.push('fault')
    return Promise.reject(new Error('no SQL'))
  })
  for (let n = 0; n < 2; n++) await expect(failing('x')).rejects.toThrow('no SQL')
  expect(made.filter(m => m === 'fault')).toHaveLength(1)
})
