import { type Db, ident, literal, type Root } from '../database/types.js'
import type { MergedColumn } from '../rollback/merged_table.sql.js'
import { sameKey } from '../rollback/restore.sql.js'

/** Rows of a session for a table, and the temporary table (stage) that holds them. */
export interface Staged {
  table: string
  stage: string
  key: string[]
  /** All columns except generated ones. */
  columns: MergedColumn[]
}

/** The name of a stage. */
export const stageName = (n: number): string => `pg_temp.rethread_session_${n}`

const columnList = (columns: MergedColumn[]): string => columns.map(c => ident(c.name)).join(', ')

/** Creates a stage with the column types of its table. It is dropped at the end of the transaction. */
export async function makeStage(tx: Db, { table, stage, columns }: Staged): Promise<void> {
  await tx.unsafe(
    `create temporary table ${stage} on commit drop as select ${columnList(columns)} from ${table} with no data`,
  )
}

/** Inserts rows into a stage from texts, in the order of the columns. */
export async function fillStage(tx: Db, s: Staged, rows: (string | null)[][]): Promise<void> {
  // without a length, so that a text that is too long is refused and not cut
  const values = s.columns.map(({ bareType }, i) => `(r.value ->> ${i})::${bareType}`).join(', ')
  await tx.unsafe(
    `insert into ${s.stage} (${columnList(s.columns)})
     select ${values} from json_array_elements($1::text::json) r`,
    [JSON.stringify(rows)],
  )
}

/** Converts rows from their texts without storing them. Throws the server's error. */
export async function tryReading(sql: Root, s: Staged, rows: (string | null)[][]): Promise<void> {
  await sql.begin(async inner => {
    await makeStage(inner, s)
    await fillStage(inner, s, rows)
  })
}

/** Copies rows from an archive: those whose columns have the values of a row in another stage. */
export async function fillFromArchive(
  tx: Db,
  { stage, columns }: Staged,
  storedAs: string,
  of: { columns: string[]; stage: string; stageColumns: string[] } | { idColumn: string; id: string },
): Promise<number> {
  const where =
    'id' in of
      ? `a.${ident(of.idColumn)}::text = $1`
      : `exists (select from ${of.stage} p where ${of.columns.map((c, i) => `p.${ident(of.stageColumns[i]!)} = a.${ident(c)}`).join(' and ')})`
  const copied = await tx.unsafe(
    `insert into ${stage} (${columnList(columns)}) select ${columns.map(c => `a.${ident(c.name)}`).join(', ')} from ${storedAs} a where ${where}`,
    'id' in of ? [of.id] : [],
  )
  return copied.count
}

/** Whether an archive contains a session. */
export async function hasSession(sql: Db, storedAs: string, idColumn: string, id: string): Promise<boolean> {
  const [row] = await sql.unsafe<{ there: boolean }[]>(
    `select exists (select from ${storedAs} a where a.${ident(idColumn)}::text = $1) as there`,
    [id],
  )
  return row!.there
}

/** The comparison of a stage with its table. */
export interface Compared {
  waiting: number
  /** Rows whose keys exist. */
  there: number
  /** Of these: rows with other values. */
  differ: number
  /** Columns in which they differ. */
  columns: string[]
}

/**
 * Compares the rows of a stage with those of its table as text, because some types have no equality operator.
 */
export async function compareStage(tx: Db, s: Staged): Promise<Compared> {
  if (s.key.length === 0) return compareWhole(tx, s)
  const columns = s.columns.map(c => ident(c.name))
  const differs = (c: string) => `t.${c}::text is distinct from a.${c}::text`
  const [row] = await tx.unsafe<Compared[]>(
    `select (select count(*) from ${s.stage})::float8 as waiting, count(*)::float8 as there,
       (count(*) filter (where ${columns.map(differs).join(' or ')}))::float8 as differ,
       array_remove(array[${s.columns.map(({ name }) => `case when bool_or(${differs(ident(name))}) then ${literal(name)} end`).join(', ')}], null) as columns
     from ${s.stage} a join ${s.table} t on ${sameKey(s.key, 't', 'a')}`,
  )
  return row!
}

/** The same for a table without a key, whose rows are identified by their values. */
async function compareWhole(tx: Db, { table, stage, columns }: Staged): Promise<Compared> {
  const texts = columns.map(c => `${ident(c.name)}::text`).join(', ')
  const [row] = await tx.unsafe<Omit<Compared, 'columns'>[]>(
    `select (select count(*) from ${stage})::float8 as waiting, 0::float8 as differ,
       ((select count(*) from ${stage}) - (select count(*) from (select ${texts} from ${stage} except all select ${texts} from ${table}) x))::float8 as there`,
  )
  return { ...row!, columns: [] }
}

/** Where the rows of a stage are in the table, by partition or child table. */
export async function rowPlaces(
  tx: Db,
  { table, stage, key }: Staged,
): Promise<{ heap: string; rows: string[] }[]> {
  return tx.unsafe(
    `select t.tableoid::regclass::text as heap, array_agg(t.ctid::text) as rows
     from ${table} t join ${stage} a on ${sameKey(key, 't', 'a')} group by t.tableoid`,
  )
}

/** How many rows reference a parent that does not exist, and one of these rows. */
export async function withoutParent(
  tx: Db,
  { stage }: Staged,
  { columns, isThere }: { columns: string[]; isThere: string },
): Promise<{ rows: number; value: string | null }> {
  const [row] = await tx.unsafe<{ rows: number; value: string | null }[]>(
    `select count(*)::float8 as rows, min(concat_ws(', ', ${columns.map(c => `a.${ident(c)}`).join(', ')})) as value
     from ${stage} a where not ${isThere}`,
  )
  return row!
}

/** Removes the mark of deletion from a session. */
export async function unmarkDeleted(
  tx: Db,
  { table, deleted, where }: { table: string; deleted: string; where: string },
  id: string,
): Promise<void> {
  await tx.unsafe(`update ${table} t set ${ident(deleted)} = null where ${where}`, [JSON.stringify([id])])
}
