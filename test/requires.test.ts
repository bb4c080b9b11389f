import { describe, expect, test } from 'vitest'
import { missingObjects } from '../src/database/requirements.sql.js'
import { discover } from '../src/files/discover.js'
import { scanTokens } from '../src/files/statements.js'
import { acts } from '../src/model/project.js'
import { columnsRead } from './support/columns_read.js'
import { type Database, database, newest, root } from './support/database.js'

/**
 * What a track reads of the application it also requires, with its type: so `doctor`, `plan` and `migrate`
 * say before the first step what a later file would stumble over.
 */
/** Columns of every table of the application. */
async function columnsOf(db: Database): Promise<Map<string, Set<string>>> {
  const rows = await db.sql<{ name: string; column: string }[]>`
    select n.nspname || '.' || c.relname as name, a.attname::text as column
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and n.nspname in ('public', 'auth')`
  const columns = new Map<string, Set<string>>()
  for (const { name, column } of rows) columns.set(name, (columns.get(name) ?? new Set()).add(column))
  return columns
}

describe.each(discover(root).tracks.map(t => ({ track: t })))('$track.name', ({ track }) => {
  test('requires every column of the application that its files read, with a type that the application has', async () => {
    await using db = await database(newest(), track.name, 20)
    const columns = await columnsOf(db)
    const { read } = await columnsRead(track, columns)
    expect(read.size).toBeGreaterThan(0)
    const required = track.migrations.flatMap(m => m.requires)
    const typed = new Set(required.flatMap(r => /^column (\S+) \S/.exec(r)?.[1] ?? []))
    // what is only shown, or written by a probe that says so where it can't, may be of any type
    const lenient = new Set(['track.json', ...track.checks.filter(acts).map(c => c.file.path)])
    const named = new Set(required.flatMap(r => /^column (\S+)/.exec(r)?.[1] ?? []))
    const lacking = [...read]
      .filter(([name, path]) => !(lenient.has(path) ? named : typed).has(name))
      .map(([name, path]) => `${name}: ${path}`)
    expect(lacking).toEqual([])
    // the example is an application that the track is for
    expect(await missingObjects(db.sql, required)).toEqual([])
  })

  test('names nothing alone where a table of the application is in reach, whatever columns that has', async () => {
    await using db = await database(newest(), track.name, 20)
    const { bare } = await columnsRead(track, await columnsOf(db))
    expect([...bare].sort()).toEqual([])
  })
})

/** Literals, also in bodies, whose backslash is a character of its own only under a setting of the server. */
async function unsettledLiterals(text: string): Promise<string[]> {
  const found: string[] = []
  for (const { text: token } of await scanTokens(text)) {
    const [, body] = /^\$\w*\$(.*)\$\w*\$$/s.exec(token) ?? []
    if (body !== undefined) found.push(...(await unsettledLiterals(body)))
    else if (token.startsWith("'") && token.includes('\\')) found.push(token)
  }
  return found
}

test('files mean the same in every database: no character that an encoding lacks, no literal that a setting changes', async () => {
  expect(await unsettledLiterals("select '\\s', E'\\\\s', $$ select '\\d' $$")).toEqual(["'\\s'", "'\\d'"])
  for (const { file } of discover(root).tracks.flatMap(t => [
    ...t.migrations,
    ...t.migrations.flatMap(m => m.rollback ?? []),
    ...t.checks,
  ])) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
    expect([file.path, file.text.match(/[^\x00-\x7f]/g)]).toEqual([file.path, null])
    // checks run in sessions of ours only
    if (!file.path.startsWith('verify/'))
      expect([file.path, await unsettledLiterals(file.text)]).toEqual([file.path, []])
  }
})
