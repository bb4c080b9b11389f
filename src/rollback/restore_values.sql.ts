import type { ParentKey } from '../archive/archive.sql.js'
import { isDataFault } from '../database/faults.js'
import { type Db, ident, literal } from '../database/types.js'
import {
  archivedKey,
  type Conflict,
  type Fitted,
  hasParent,
  holds,
  inScope,
  inStretch,
  leftToMigrate,
  mustNotBeNull,
  type Stretch,
  sameKey,
  type TableMerge,
  withDefault,
} from './restore.sql.js'

/** An archived column and the current table. */
export interface ColumnMerge extends Fitted {
  table: string
  column: string
  storedAs: string
  key: string[]
  ours: string | null
  parents: ParentKey[]
  only: string[] | null
  /** The value, as SQL, of a row to which nobody gave one; null for NULL. */
  initial: string | null
}

/** Restores archived values in rows that still have the value that a migrate gives. */
export async function mergeColumn(sql: Db, m: ColumnMerge, stretch: Stretch): Promise<number> {
  const type = m.casts[m.column]
  const value = withDefault(m, m.column, `a.${ident(m.column)}${type ? `::text::${type}` : ''}`)
  const isInitial = m.initial === null ? 'false' : `t.${ident(m.column)}::text = (${m.initial})::text`
  const result = await sql.unsafe(
    `update ${m.table} t set ${ident(m.column)} = ${value}
     from ${m.storedAs} a
     where ${inStretch(stretch)} and ${inScope(m)} and ${sameKey(m.key, 't', 'a')}
       ${m.needs.includes(m.column) ? `and a.${ident(m.column)} is not null` : ''}
       and t.${ident(m.column)}::text is distinct from a.${ident(m.column)}::text
       and (t.${ident(m.column)} is null or ${isInitial} or ${holds('t', m.ours)})
       and ${m.parents.map(hasParent).join(' and ') || 'true'}`,
  )
  return result.count
}

/** Values that could not be restored, with the reason, and the number of those whose row was deleted. */
export async function columnConflicts(
  sql: Db,
  m: ColumnMerge,
): Promise<{ conflicts: Conflict[]; left: number }> {
  const missing = `t.${ident(m.key[0]!)} is null`
  const [counted] = await sql.unsafe<{ left: number }[]>(
    `select count(*)::float8 as left from ${m.storedAs} a left join ${m.table} t on ${sameKey(m.key, 't', 'a')} where ${missing}`,
  )
  const rows = await sql.unsafe<Conflict[]>(
    `select ${archivedKey(m.key)} as key,
       case when not (${m.parents.map(hasParent).join(' and ') || 'true'}) then 'what it points at is gone'
         ${m.needs.map(c => `when a.${ident(c)} is null then ${literal(mustNotBeNull(c))}`).join(' ')}
         else 'it was changed after the rollback' end as reason
     from ${m.storedAs} a join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where ${inScope(m)} and t.${ident(m.column)}::text is distinct from a.${ident(m.column)}::text
     order by 1`,
  )
  return { conflicts: [...rows], left: counted!.left }
}

/**
 * How many rows have another value than the archive in a column whose values had to be converted. For a table
 * without a key, how many values the archive has.
 */
export async function otherValues(
  sql: Db,
  m: TableMerge | ColumnMerge,
  { column, from }: { column: string; from: string },
): Promise<number> {
  const c = ident(column)
  const left = 'track' in m ? { where: `not ${leftToMigrate(m)}`, of: [m.track] } : { where: 'true', of: [] }
  const count = async (present: string): Promise<number> => {
    const rows = await sql.unsafe<{ n: number }[]>(
      m.key.length === 0
        ? `select count(${c})::float8 as n from ${m.storedAs} a where ${left.where}`
        : `select count(*)::float8 as n from ${m.storedAs} a join ${m.table} t on ${sameKey(m.key, 't', 'a')}
           where ${present} is distinct from a.${c}::text and ${left.where}`,
      left.of,
    )
    return rows[0]!.n
  }
  try {
    // compare in the archived type: 2.50 equals 2.5
    return await count(`t.${c}::text::${from}::text`)
  } catch (error) {
    if (!isDataFault(error)) throw error
    return count(`t.${c}::text`)
  }
}
