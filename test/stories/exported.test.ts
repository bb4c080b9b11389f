import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import { contractWith, rethread, undoAll } from '../support/cli.js'
import { type Database, database, newest, picture, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { migrationList, supabase } from '../support/other_tools.js'

/** A track is handed over to the Supabase CLI, the real one, and both tools say the same of a database. */

const track = ['--track', 'workspace-sessions']

interface Row {
  version: string
  name: string
  statements: string[]
}

const history = (db: Database): Promise<Row[]> =>
  db.sql<Row[]>`select version, name, statements from supabase_migrations.schema_migrations order by 1`

const states = async (db: Database, cwd: string): Promise<string[]> => {
  const { report } = await rethread(db.url, ['status', ...track], { cwd })
  const table = report.tables.find(t => t.title.startsWith('Migrations of'))!
  return table.rows.map(r => String(r[2]))
}

const exported = async (...flags: string[]): Promise<string> => {
  const cwd = folder({ 'rethread.config.json': '{"history": "supabase"}' })
  const ran = await rethread('', ['export', '--layout', 'supabase', ...flags], { cwd })
  expect([ran.code, ran.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
  return cwd
}

const files = (cwd: string): string[] => readdirSync(join(cwd, 'supabase/migrations')).sort()

/** What both applications have so far: nothing. */
const emptied = async (): Promise<Database> => {
  const db = await database(newest())
  await db.sql`truncate public.chats, public.workspaces, auth.users cascade`
  return db
}

describe('the Supabase CLI', () => {
  test('pushes every file onto a database without rows, and rethread sees and adopts it', async () => {
    await using db = await emptied()
    const cwd = await exported(...track, '--phase', 'contract')
    const pushed = await supabase(db.url, cwd, 'db', 'push', '--yes')
    expect(pushed).toMatchObject({ code: 0 })
    expect(await states(db, cwd)).toEqual(Array(11).fill('applied by supabase'))
    const early = await rethread(db.url, ['migrate', ...track], { cwd })
    expect([early.code, early.report.findings.map(f => f.code)]).toEqual([
      3,
      expect.arrayContaining(['APPLIED_ELSEWHERE']),
    ])
    const adopted = await rethread(db.url, ['migrate', ...track, '--adopt'], { cwd })
    expect([adopted.code, adopted.report.findings.filter(f => f.level === 'refused')]).toEqual([0, []])
    expect(await states(db, cwd)).toEqual(Array(11).fill('adopted'))
    const [kept] =
      await db.sql`select evidence from rethread.ledger where migration = '001_create_chat_sessions'`
    expect(kept!.evidence).toMatchObject({
      by: 'adoption',
      elsewhere: { tool: 'supabase', state: 'applied', rows: [files(cwd)[0]!.slice(0, 14)] },
    })
  })

  test('finds nothing pending after rethread, whose rows are those that it would write', async () => {
    await using db = await database(newest())
    await using twin = await emptied()
    const cwd = await exported(...track)
    const before = await picture(db.sql)
    const up = await rethread(db.url, ['migrate', ...track, '--to', '005'], { cwd })
    expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    const some = await history(db)
    expect(some.map(r => r.version)).toEqual(
      files(cwd)
        .slice(0, 5)
        .map(name => name.slice(0, 14)),
    )
    await rethread(db.url, ['migrate', ...track], { cwd })
    const { local, remote } = await migrationList(db.url, cwd)
    expect(local).toEqual(files(cwd).map(name => name.slice(0, 14)))
    expect(remote).toEqual(local)
    expect(await supabase(twin.url, cwd, 'db', 'push', '--yes')).toMatchObject({ code: 0 })
    expect(await history(db)).toEqual(await history(twin))
    const down = await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)], { cwd })
    expect([down.code, down.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    expect(await history(db)).toEqual([])
    expect((await picture(db.sql)).content).toEqual(before.content)
  })

  test('is stopped by a gate while rows are pending, and goes on after `rethread backfill`', async () => {
    await using db = await database(newest())
    const cwd = await exported(...track)
    const stopped = await supabase(db.url, cwd, 'db', 'push', '--yes')
    expect(stopped.code).not.toBe(0)
    expect(stopped.text).toContain('rows of public.chats are pending for 003_collect_legacy_sessions')
    expect((await states(db, cwd)).slice(0, 3)).toEqual([
      'applied by supabase',
      'applied by supabase',
      'pending',
    ])
    expect((await rethread(db.url, ['migrate', ...track, '--adopt'], { cwd })).code).toBe(0)
    const filled = await rethread(db.url, ['backfill', ...track], { cwd })
    expect([filled.code, filled.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    expect(await supabase(db.url, cwd, 'db', 'push', '--yes')).toMatchObject({ code: 0 })
    const { local, remote } = await migrationList(db.url, cwd)
    expect(remote).toEqual(local)
    const adopted = await rethread(db.url, ['migrate', ...track, '--adopt'], { cwd })
    expect([adopted.code, adopted.report.findings.filter(f => f.level === 'refused')]).toEqual([0, []])
    const only = 'orphaned_messages,same_workspace,legacy_session_per_workspace,foreign_keys_true'
    expect((await rethread(db.url, ['verify', ...track, '--only', only], { cwd })).code).toBe(0)
  })
})

/** Applies files as `supabase db reset` does: in order, each in a transaction, an index alone. */
const reset = async (db: Database, cwd: string): Promise<void> => {
  for (const name of files(cwd)) {
    const text = readFileSync(join(cwd, 'supabase/migrations', name), 'utf8')
    if (/^create index concurrently/m.test(text)) await db.sql.unsafe(text)
    else await db.sql.begin(tx => tx.unsafe(text))
  }
}

describe.each(some('newest'))('on PostgreSQL $major', server => {
  test.each(discover(root, root).tracks.map(t => t.name))(
    'the files of %s, one after the other, make what rethread makes',
    async name => {
      await using db = await database(server, name, 10)
      await using twin = await database(server, name, 10)
      for (const { sql } of [db, twin]) {
        const tables =
          await sql`select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'auth')`
        await sql.unsafe(`truncate ${tables.map(t => t.name).join(', ')} cascade`)
      }
      const cwd = await exported('--track', name, '--phase', 'contract', '--backfills', 'inline')
      await reset(db, cwd)
      const up = await rethread(
        twin.url,
        [
          ...['migrate', '--track', name],
          ...contractWith('DELETES_DATA', 'CANNOT_TELL', 'WIDENS_ACCESS', 'RUNS_FOREIGN_CODE'),
        ],
        { cwd: folder({}) },
      )
      expect([up.code, up.report.findings.filter(f => f.level === 'error' || f.level === 'refused')]).toEqual(
        [0, []],
      )
      expect((await picture(db.sql)).schema).toBe((await picture(twin.sql)).schema)
    },
  )
})

describe('what is exported', () => {
  test('stays as it is when it is exported again, and new files come after it', async () => {
    const cwd = await exported(...track)
    const texts = () =>
      Object.fromEntries(
        files(cwd).map(name => [name, readFileSync(join(cwd, 'supabase/migrations', name), 'utf8')]),
      )
    const before = texts()
    expect((await rethread('', ['export', ...track], { cwd })).code).toBe(0)
    expect(texts()).toEqual(before)
    writeFileSync(join(cwd, 'supabase/migrations/99990101000000_of_somebody.sql'), 'select 1;\n')
    expect((await rethread('', ['export', ...track, '--phase', 'contract'], { cwd })).code).toBe(0)
    expect(texts()).toMatchObject(before)
    const added = files(cwd).filter(name => !(name in before) && !name.includes('of_somebody'))
    expect(added[0]).toMatch(/^99990101000001_workspace_sessions_009/)
  })

  test('is not overwritten where it would be another one now', async () => {
    const cwd = await exported(...track)
    const [first] = files(cwd)
    const path = join(cwd, 'supabase/migrations', first!)
    writeFileSync(path, `${readFileSync(path, 'utf8')}select 1;\n`)
    const again = await rethread('', ['export', ...track], { cwd })
    expect([again.code, again.report.findings.map(f => f.code)]).toEqual([2, ['EXPORT_CONFLICT']])
    expect(readFileSync(path, 'utf8')).toMatch(/select 1;\n$/)
  })
})
