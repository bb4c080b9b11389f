import type postgres from 'postgres'
import { type Database, open } from './database.js'

/** What a statement really did to relations that existed before it. */
export interface Seen {
  /** The strongest table lock by relation, from ROW SHARE up. */
  locks: Map<string, string>
  /** Tables and materialized views whose rows are stored elsewhere than before. */
  rewritten: string[]
  /** Tables of which rows were read one after the other. */
  scanned: string[]
}

type Sql = postgres.ISql<{ bigint: number; textArray: string[] }>

/** Lock modes from ROW SHARE up, by the names that pg_locks has for them, weakest first. */
const modes = [
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]

const inCapitals = (mode: string) =>
  mode
    .replace(/Lock$/, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase()

const capitals = modes.map(inCapitals)

/**
 * Relations by oid; an index, and a sequence of a column, by the name of its table: queries of the table
 * wait for both.
 */
async function relations(sql: Sql) {
  const rows = await sql<{ oid: number; name: string; node: number; kind: string }[]>`
    select c.oid::int8 as oid, n.nspname || '.' || o.relname as name, c.relfilenode::int8 as node, c.relkind as kind
    from pg_class c
    join pg_class o on o.oid = coalesce(
      (select indrelid from pg_index where indexrelid = c.oid),
      (select refobjid from pg_depend where objid = c.oid and c.relkind = 'S' and deptype in ('a', 'i') and refobjsubid > 0), c.oid)
    join pg_namespace n on n.oid = o.relnamespace
    where n.nspname in ('public', 'other') and o.relkind <> 'c'`
  return new Map(rows.map(r => [r.oid, r]))
}

const scans = async (sql: Sql) =>
  new Map(
    (
      await sql<{ oid: number; read: number }[]>`
        select relid::int8 as oid, seq_tup_read as read from pg_stat_xact_user_tables`
    ).map(r => [r.oid, r.read]),
  )

const strongest = (
  held: { oid: number; mode: string }[],
  before: Map<number, { name: string }>,
): Map<string, string> => {
  const best = new Map<string, number>()
  for (const { oid, mode } of held) {
    const name = before.get(oid)?.name
    if (name) best.set(name, Math.max(best.get(name) ?? -1, modes.indexOf(mode)))
  }
  return new Map([...best].filter(([, m]) => m >= 0).map(([name, m]) => [name, inCapitals(modes[m]!)]))
}

/** Runs a statement in a transaction and looks at what it holds and what it has done. */
export async function seeInside(tx: Sql, text: string): Promise<Seen> {
  const before = await relations(tx)
  const read = await scans(tx)
  await tx.unsafe(text)
  const held = await tx<{ oid: number; mode: string }[]>`
    select relation::int8 as oid, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and granted`
  const after = await relations(tx)
  const nowRead = await scans(tx)
  const named = (keep: (oid: number) => boolean) =>
    [...before].filter(([oid, r]) => ['r', 'm'].includes(r.kind) && keep(oid)).map(([, r]) => r.name)
  return {
    locks: strongest(held, before),
    rewritten: named(oid => after.has(oid) && after.get(oid)!.node !== before.get(oid)!.node),
    scanned: named(oid => (nowRead.get(oid) ?? 0) > (read.get(oid) ?? 0)),
  }
}

/**
 * How somebody stands in a statement's way: a reader, who holds all indexes too, a writer, another DDL
 * statement, nobody.
 */
const blockers = [
  (table: string) => `select from ${table} limit 1`,
  (table: string) => `lock table ${table} in row exclusive mode`,
  (table: string) => `lock table ${table} in share update exclusive mode`,
]

/**
 * What a statement takes that can't run in a transaction. Another session stands in its way with one mode
 * after the other, each time in a new database, so that every lock is asked for long enough to be seen,
 * whether granted or waited for.
 */
export async function seeOutside(
  fresh: () => Promise<Database>,
  text: string,
  tables: string[],
): Promise<Seen> {
  const ways = ['select 1', ...tables.flatMap(table => blockers.map(block => block(table)))]
  const seen = await Promise.all(ways.map(async block => seeBehind(await fresh(), text, block)))
  const best = new Map<string, string>()
  for (const { locks } of seen)
    for (const [name, mode] of locks)
      if (capitals.indexOf(mode) > capitals.indexOf(best.get(name) ?? '')) best.set(name, mode)
  return { locks: best, rewritten: [...new Set(seen.flatMap(s => s.rewritten))], scanned: [] }
}

/** What a statement does behind somebody who stands in its way; the database goes afterwards. */
async function seeBehind(database: Database, text: string, block: string): Promise<Seen> {
  await using db = database
  const before = await relations(db.sql)
  const held = await watch(db, text, block)
  const after = await relations(db.sql)
  return {
    // an index that goes is dead before it is locked for good: no query looks for it any more
    locks: strongest(
      held.filter(h => after.has(h.oid)),
      before,
    ),
    rewritten: [...before].flatMap(([oid, r]) =>
      ['r', 'm'].includes(r.kind) && after.has(oid) && after.get(oid)!.node !== r.node ? [r.name] : [],
    ),
    scanned: [],
  }
}

/** Every lock that a statement asks for while somebody else holds what they hold. */
async function watch(db: Database, text: string, block: string) {
  const held: { oid: number; mode: string }[] = []
  const worker = open(db.url, 1)
  const [row] = await worker<{ pid: number }[]>`select pg_backend_pid() as pid`
  await worker`set statement_timeout = 150`
  let running = true
  try {
    await db.sql.begin(async blocker => {
      await blocker.unsafe(block)
      const done = worker.unsafe(text).then(
        () => null,
        (error: postgres.PostgresError) => error,
      )
      done.finally(() => {
        running = false
      })
      while (running)
        held.push(
          ...(await db.sql<{ oid: number; mode: string }[]>`
            select relation::int8 as oid, mode from pg_locks where pid = ${row!.pid} and locktype = 'relation'`),
        )
      const error = await done
      // 57014: cancelled by its time-out, as it must be while somebody stands in its way
      if (error && error.code !== '57014') throw error
      throw new Rollback()
    })
  } catch (error) {
    if (!(error instanceof Rollback)) throw error
  } finally {
    await worker.end()
  }
  return held
}

/** Thrown to take back what a case did. */
export class Rollback extends Error {}
