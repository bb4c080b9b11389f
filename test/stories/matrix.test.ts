import { expect, test } from 'vitest'
import { contentHash } from '../../src/run/schema_snapshot.sql.js'
import { contract, rethread, undoAll } from '../support/cli.js'
import { type Database, database, picture, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { strangerRooms } from '../support/stranger_rooms.js'
import { strangerSchemas } from '../support/stranger_schemas.js'

type Ran = Awaited<ReturnType<typeof rethread>>

const faults = ({ report, code }: Ran) => [
  ...report.findings
    .filter(f => f.level === 'error' || f.level === 'refused' || (code !== 0 && f.level !== 'info'))
    .map(f => `${f.code} ${f.message}`),
  ...report.checks
    // what the database had before is its own
    .filter(c => c.outcome === 'failed' || (c.level === 'error' && c.found.some(f => !f.preExisting)))
    .map(c => JSON.stringify([c.check, c.found.map(f => f.detail)])),
]

/** The application's own columns of its tables, as they are before anything is changed. */
const columnsOf = async (sql: Database['sql']) =>
  sql<{ table: string; columns: string[] }[]>`
    select c.oid::regclass::text as table, array_agg(a.attname::text order by a.attname) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema|rethread)' group by 1 order by 1`

/** Each schema on one server, in turn; in the soak on all. */
const cases = [...strangerRooms, ...strangerSchemas].flatMap((s, n) =>
  some(n % 2 === 0 ? 'oldest' : 'newest').map(server => [s.name, server.major, s, server] as const),
)

test.each(cases)(
  '%s, from init to restore, on PostgreSQL %i',
  async (_name, _major, s, server) => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(s.tables)
    const sends = async (statements: string[]) => {
      for (const statement of statements) await db.sql.unsafe(statement)
    }
    await sends(s.old)
    const before = await picture(db.sql)
    const own = await columnsOf(db.sql)
    const content = async () => {
      const found: Record<string, unknown> = {}
      for (const { table, columns } of own) {
        const [there] = await db.sql`select to_regclass(${table}) is not null as it`
        if (there!.it) found[table] = await contentHash(db.sql, table, columns)
      }
      return found
    }
    const ran = async (...args: string[]) => {
      const done = await rethread(db.url, args, { cwd })
      expect([args, done.code, faults(done)]).toEqual([args, 0, []])
    }
    await ran('init', ...s.init)
    await ran('plan')
    await ran('migrate')
    await sends(s.old)
    const [left] = await db.sql.unsafe(`select count(*)::int as n from ${s.left}`)
    expect(left!.n).toBe(0)
    await ran('verify', '--sample', '2')
    await ran('migrate', ...contract)
    await sends(s.fresh)
    await ran('prove')
    // nothing is found wrong that is not
    if (process.env.RETHREAD_SOAK) await ran('verify', '--deep', '--sample', '2')
    const written = await content()
    await ran('rollback', ...undoAll(db.name))
    expect((await picture(db.sql)).schema).toEqual(before.schema)
    expect(await content()).toMatchObject(written)
    await ran('restore', 'latest')
  },
  120_000,
)
