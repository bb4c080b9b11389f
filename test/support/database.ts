import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import postgres from 'postgres'
import { inject, test } from 'vitest'
import { readTextArray, writeTextArray } from '../../src/database/types.js'
import { contentHash, fingerprintOf, objects } from '../../src/run/schema_snapshot.sql.js'
import type { Server } from './servers.js'

export const root = resolve(import.meta.dirname, '../..')

/** The servers of this run, for `describe.each`. */
export const servers = (): Server[] => inject('servers')
/**
 * The oldest or the newest server alone, for what hardly differs from one version to the next: CI has a
 * quarter of an hour. All of them in `npm run soak` and `npm run test:all`.
 */
export const some = (which: 'oldest' | 'newest'): Server[] =>
  process.env.RETHREAD_SOAK || process.env.RETHREAD_ALL
    ? servers()
    : servers().slice(...(which === 'oldest' ? [0, 1] : [-1]))
/** The server whose turn it is to run a story of this name; all of them where `some` gives all. */
export function turn(name: string): Server[] {
  const all = servers()
  if (some('oldest').length > 1) return all
  const sum = [...name].reduce((n, letter) => n + letter.codePointAt(0)!, 0)
  return [all[sum % all.length]!]
}
/**
 * A `test` for a file with many stories that hardly differ from one version to the next: each runs on the
 * server whose turn it is, and each case of an `each` too. `of` is what a story is about beside its name.
 */
export function inTurn(server: Server, of = '') {
  const isItsTurn = (name: string): boolean => turn(name + of).some(s => s.major === server.major)
  const one = (name: string, story: () => Promise<void>, timeout?: number): void => {
    if (isItsTurn(name)) test(name, story, timeout)
  }
  const each =
    (cases: readonly unknown[]) =>
    (name: string, story: (...of: never[]) => Promise<void>, timeout?: number): void => {
      for (const [i, given] of cases.entries())
        if (isItsTurn(`${name}${i}`)) test.each([given])(name, story as never, timeout)
    }
  return Object.assign(one, { each: each as unknown as typeof test.each })
}
/** The newest server. */
export const newest = (): Server => servers().at(-1)!

type Sql = postgres.Sql<{ bigint: number; textArray: string[] }>

/** A database of a test's own. */
export interface Database extends AsyncDisposable {
  url: string
  name: string
  sql: Sql
  /** The track whose example it holds, where a test sets it. */
  track?: string
}

export const open = (url: string, max = 2): Sql =>
  postgres(url, {
    max,
    onnotice: () => {},
    fetch_types: false,
    types: {
      bigint: { to: 20, from: [20], serialize: String, parse: Number },
      textArray: { to: 1009, from: [1009], serialize: writeTextArray, parse: readTextArray },
    },
  })

const at = (server: Server, name: string): string => {
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return url.toString()
}

const templates = new Map<string, Promise<string>>()

/**
 * One template database for each fixture, shared by all test files; each test gets a copy, which takes some
 * milliseconds. Its name says what it holds: where two files make it at once, one of them waits.
 */
function template(server: Server, fixture: string, messages: number, large: boolean): Promise<string> {
  const key = `${server.url} ${fixture} ${messages} ${large}`
  let made = templates.get(key)
  if (!made) {
    made = makeTemplate(server, [
      `set demo.messages = ${messages}`,
      // a content of 10 MB is read many times over: one test's, not everybody's
      ...(large ? [] : ['set demo.large = 20000']),
      readFileSync(join(root, 'examples/supabase-shim.sql'), 'utf8'),
      ...(fixture === 'empty' ? [] : [readFileSync(join(root, `examples/${fixture}/before.sql`), 'utf8')]),
    ])
    templates.set(key, made)
  }
  return made
}

async function makeTemplate(server: Server, texts: string[]): Promise<string> {
  const digest = createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 16)
  const name = `template_${digest}`
  const admin = open(server.url, 1)
  try {
    await admin`select pg_advisory_lock(hashtextextended(${name}, 0))`
    const [there] = await admin`select from pg_database where datname = ${name}`
    if (there) return name
    // it gets its name when it is complete
    const unfinished = `unfinished_${randomBytes(6).toString('hex')}`
    await admin.unsafe(`create database ${unfinished}`)
    const sql = open(at(server, unfinished), 1)
    for (const text of texts) await sql.unsafe(text)
    await sql.end()
    await admin.unsafe(`alter database ${unfinished} rename to ${name}`)
    return name
  } finally {
    await admin.end()
  }
}

/** A fresh database with a track's fixture, or `empty` with only the stand-in for Supabase. */
export async function database(
  server: Server,
  fixture = 'workspace-sessions',
  messages = 2000,
  large = false,
): Promise<Database> {
  return copyOf(server, await template(server, fixture, messages, large))
}

/** A copy of a database, in some milliseconds. Nobody may be connected to what is copied. */
export async function copyOf(server: Server, from: string): Promise<Database> {
  const name = `t_${randomBytes(6).toString('hex')}`
  const admin = open(server.url, 1)
  await admin.unsafe(`create database ${name} template ${from}`)
  await admin.end()
  const sql = open(at(server, name))
  return {
    url: at(server, name),
    name,
    sql,
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 })
      const again = open(server.url, 1)
      await again.unsafe(`drop database if exists ${name} with (force)`)
      await again.end()
    },
  }
}

/** What a database looks like: its schema's fingerprint and the content of every table of the application. */
export async function picture(
  sql: Sql,
): Promise<{ schema: string; content: Record<string, { rows: number; hash: string }> }> {
  const tables = await sql<{ name: string; columns: string[] }[]>`
    select c.oid::regclass::text as name, array(
      select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by 1) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'auth') order by 1`
  const content: Record<string, { rows: number; hash: string }> = {}
  for (const t of tables) content[t.name] = await contentHash(sql, t.name, t.columns)
  // what was read here would else be noted seconds later, as reads of an application
  await sql`select pg_stat_force_next_flush()`
  return { schema: fingerprintOf(await objects(sql)), content }
}
