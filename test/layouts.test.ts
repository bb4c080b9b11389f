import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../src/files/discover.js'
import { lint } from '../src/files/lint.js'
import { withoutOwnTransaction } from '../src/files/own_transaction.js'
import { parseStatements } from '../src/files/statements.js'
import { filePartsOf, settleTransactions } from '../src/files/transactions.js'
import { worded } from '../src/index.js'
import { layoutsFor } from '../src/library/discovery.js'
import { root as home } from './support/database.js'
import { folder } from './support/folder.js'
import { folderCases } from './support/layout_folders.js'
import { record } from './support/recorder.js'

describe('a folder of another tool', () => {
  test.each(Object.entries(folderCases))(
    '%s',
    async (_, { files, dir, named, tracks, order, back, says = [] }) => {
      const top = folder(
        Object.fromEntries(
          Object.entries(files).map(([path, text]) => [
            path,
            text === '' && /\.sql$/.test(path) ? 'select 1;' : text,
          ]),
        ),
      )
      const root = dir ? join(top, dir) : top
      const project = discover(root, home, await layoutsFor(root, named ?? null))
      expect(project.tracks.map(t => t.name)).toEqual(tracks)
      const [track] = project.tracks
      const found = [...project.faults, ...(track?.layout?.faults ?? [])]
      if (track && tracks.length === 1) {
        await settleTransactions(track.migrations)
        found.push(...(await lint({ ...track, checks: [] })))
        if (order) expect(track.migrations.map(m => m.name)).toEqual(order)
        if (back) expect(track.migrations.filter(m => m.rollback).map(m => m.name)).toEqual(back)
      }
      record(await Promise.all(found.map(worded)))
      const odd = found.filter(f => f.level !== 'info').map(f => `${f.code} ${f.subject.replace(root, '.')}`)
      expect(odd.sort()).toEqual(says)
    },
  )

  test('an unknown layout is refused with those that there are', async () => {
    await expect(layoutsFor('/tmp', 'supabas')).rejects.toThrow(/supabas/)
  })
})

/** What a file is sent in: parts between bars, one that goes alone in brackets. */
const partsText = async (sql: string, each = false): Promise<string> =>
  (await filePartsOf(sql, each ? 'each' : 'as-needed'))
    .map(p => (p.alone ? `[${p.statements[0]!.kind}]` : p.statements.map(s => s.kind).join(' ')))
    .join(' | ')

describe('what a file is sent in', () => {
  test.each([
    ['create table a (id int); insert into a values (1)', 'CreateStmt InsertStmt'],
    [
      'create table a (); create index concurrently on a (id); select 1',
      'CreateStmt | [IndexStmt] | SelectStmt',
    ],
    ['drop index concurrently i; reindex table concurrently a', '[DropStmt] | [ReindexStmt]'],
    ['reindex table a; analyze a', 'ReindexStmt VacuumStmt'],
    ['vacuum a; vacuum (full) b', '[VacuumStmt] | [VacuumStmt]'],
    ["alter type m add value 'x'; select 1", 'AlterEnumStmt SelectStmt'],
    [
      "alter type m add value 'x'; insert into a values ('x'); select 1",
      'AlterEnumStmt | InsertStmt SelectStmt',
    ],
    [
      'create database d; alter system set work_mem = 1; select 1',
      '[CreatedbStmt] | [AlterSystemStmt] | SelectStmt',
    ],
    ['do $$ begin commit; end $$; do $$ begin perform 1; end $$', '[DoStmt] | DoStmt'],
    [
      'create procedure p() language plpgsql as $$ begin commit; end $$; call p(); call q()',
      'CreateFunctionStmt | [CallStmt] | CallStmt',
    ],
    ["do $$ begin raise notice 'commit'; end $$", 'DoStmt'],
    ['alter table a detach partition b concurrently', '[AlterTableStmt]'],
    ["create subscription s connection '' publication p with (connect = false)", 'CreateSubscriptionStmt'],
    ["create subscription s connection '' publication p", '[CreateSubscriptionStmt]'],
    ['lock table a; set constraints all deferred; set role b', 'LockStmt ConstraintsSetStmt VariableSetStmt'],
  ])('%s', async (sql, parts) => {
    expect(await partsText(sql)).toBe(parts)
  })

  test('a tool’s own marker asks for a transaction for each statement', async () => {
    expect(await partsText('create table a (); insert into a values (1)', true)).toBe(
      'CreateStmt | InsertStmt',
    )
  })

  test('BEGIN and COMMIT of a file are blanked, and nothing moves', async () => {
    const text = '-- x\nbegin work;\ncreate table a ();\ncommit;\n'
    const bare = withoutOwnTransaction(text)!
    expect(bare.length).toBe(text.length)
    expect((await parseStatements(bare)).map(s => [s.kind, s.offset])).toEqual([['CreateStmt', 17]])
    for (const other of ['begin; select 1; -- commit;', 'select 1; commit;', 'begin; select 1;'])
      expect(withoutOwnTransaction(other)).toBeNull()
  })
})
