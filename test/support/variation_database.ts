import { isRefused, serverFault } from '../../src/database/faults.js'
import { type Database, open } from './database.js'
import type { Variation } from './variation.js'

/**
 * Applies the variations that fit together; those. By a connection of its own: one that has run a trigger
 * function keeps a plan, which fails there when a column gets another type.
 */
export async function vary(db: Database, all: Variation[]): Promise<Variation[]> {
  const fitting: Variation[] = []
  const sql = open(db.url, 1)
  try {
    for (const v of all) if ((await errorOf(sql, v.sql)) === null) fitting.push(v)
  } finally {
    await sql.end()
  }
  return fitting
}

/** The SQLSTATE with which a text is refused. */
export async function errorOf(sql: Database['sql'], text: string): Promise<string | null> {
  try {
    await sql.begin(tx => tx.unsafe(text))
    const prepared = /; prepare transaction '(\w+)'$/.exec(text)
    if (prepared) await sql.unsafe(`commit prepared '${prepared[1]}'`)
    return null
  } catch (error) {
    if (!isRefused(error)) throw error
    const { code, message } = serverFault(error)!
    return `${code} ${message}`
  }
}

/** A statement with the ids of rows that are there now: on another database it must mean the same rows. */
export async function withIds(db: Database, statement: string): Promise<string> {
  let text = statement
  for (const [part] of statement.matchAll(/\(select id from \S+ where .*? order by md5\(.*?\) limit 1\)/g)) {
    const [row] = await db.sql.unsafe<{ id: string | null }[]>(`select ${part}::text as id`)
    text = text.replace(part, row!.id === null ? 'null' : `'${row!.id}'`)
  }
  for (const [part] of text.matchAll(/array\(select x\.id from \S+ x where .*?'\)/g)) {
    const [row] = await db.sql.unsafe<{ ids: string }[]>(`select ${part}::text as ids`)
    text = text.replace(part, `'${row!.ids}'::uuid[]`)
  }
  return text
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** All rows of the application, without what sequences and these triggers write. */
export async function rowsOf(db: Database, moved: string[]): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {}
  const tables = await db.sql<{ name: string; whole: string; columns: string[] }[]>`
    select c.relname::text as name, coalesce((select r.relname from pg_class r where r.oid = pg_partition_root(c.oid)), c.relname)::text as whole, array(
      select a.attname::text from pg_attribute a left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attidentity = '' and coalesce(pg_get_expr(f.adbin, f.adrelid), '') not like 'nextval(%'
      order by a.attname) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = 'public' order by 1`
  for (const { name, whole, columns } of tables) {
    if (moved.includes(name)) continue
    const own = columns.filter(c => !moved.includes(`${whole}.${c}`)).map(c => `t.${quoted(c)}`)
    // to the letter: JSON would have one null for its own and that of SQL
    const rows = await db.sql.unsafe<{ row: string }[]>(
      `select row(${own.join(', ')})::text as row from only public.${quoted(name)} t order by 1`,
    )
    found[name] = rows.map(r => r.row)
  }
  return found
}
