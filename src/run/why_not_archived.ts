import { columnFacts } from '../database/catalog.sql.js'
import { primaryKey } from '../database/row_key.sql.js'
import type { Db } from '../database/types.js'
import { type DroppedObject, objectText, returnsRows } from '../files/dropped_objects.js'
import { shortSql } from '../files/lint.js'
import { lineOf, type Statement } from '../files/statements.js'
import type { Level } from '../model/codes.js'
import type { SqlFile } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { columnText, tableText } from '../model/table_name.js'
import type { Holding, Relation } from './refuse_destruction.sql.js'

/** A deletion for a report, and why it is refused. */
export interface WouldTake {
  object: string
  /** A description of what is deleted: `column public.a.b`, `3 rows of public.a`. */
  what: string
  reason: string
  /** What to do instead. */
  instead: string
}

/** The finding that refuses a statement. `wanted` is what is missing: an archive or consent. */
export function refusal(
  statement: Statement,
  file: SqlFile,
  taken: WouldTake[],
  wanted: 'archive' | 'consent',
  level?: Level,
): Finding {
  const facts = {
    at: `${file.path}:${lineOf(file.text, statement.offset).line}`,
    sql: shortSql(statement.text),
    takes: taken.map(t => `${t.what}: ${t.reason}`),
    wanted,
    instead: taken[0]!.instead,
  }
  return finding('DESTROYS_UNARCHIVED', taken[0]!.object, facts, level)
}

/**
 * Why a rollback cannot archive what a statement deletes, according to the current catalog. Null if it can.
 */
export async function whyNotArchived(
  sql: Db,
  statement: Statement,
  object: DroppedObject,
  relation: Relation | null,
  left: Holding[] = [],
): Promise<WouldTake | null> {
  const name = relation?.text ?? objectText(object)[0] ?? ''
  const no = (what: string, reason: string, instead: string): WouldTake => ({
    object: 'column' in object ? columnText(relation!, object.column) : name,
    what,
    reason,
    instead,
  })
  if (object.kind === 'database')
    return no(`database ${name}`, 'nothing archives a whole database', 'Take the statement out.')
  if (object.kind === 'schema') {
    const tables = left.filter(t => t.schema === object.schema).map(tableText)
    return tables.length === 0
      ? null
      : no(
          `schema ${name}`,
          `it holds ${tables.join(', ')}`,
          `Drop its tables by name first, which archives them: drop table ${tables.join(', ')};`,
        )
  }
  if (object.kind === 'unknown' || !relation) return null
  if (relation.schema === 'rethread' || (relation.archive && !isPutBack(statement, relation)))
    return no(
      `${object.kind} ${name}`,
      'it is the tool’s own record of what was done or set aside',
      relation.archive ? 'rethread prune --archives' : 'Take the statement out.',
    )
  if (object.kind === 'rows') return whyNotRows(sql, statement, object, relation, no)
  if (object.kind === 'table')
    return relation.inherited
      ? no(
          `table ${name}`,
          'other tables inherit from it',
          'Take those out of it first: alter table ... no inherit',
        )
      : null
  return whyNotColumn(sql, object.column, relation, no)
}

type No = (what: string, reason: string, instead: string) => WouldTake

async function whyNotRows(
  sql: Db,
  statement: Statement,
  object: DroppedObject & { kind: 'rows' },
  relation: Relation,
  no: No,
): Promise<WouldTake | null> {
  const what = `rows of ${relation.text}`
  const plainly = `Write it as \`delete from ${relation.text} where ...\`, a statement of its own without RETURNING: its rows are archived.`
  if (object.by === 'TRUNCATE') return no(what, 'TRUNCATE leaves no rows to archive', plainly)
  if (!returnsRows(statement)) return no(what, 'only a plain DELETE is archived', plainly)
  if (relation.archive) return null
  if (!isTable(relation)) return no(what, 'it is no table', 'Delete from the tables that hold the rows.')
  return (await primaryKey(sql, relation.text)).length === 0
    ? no(
        what,
        'a table without a primary key cannot get its rows back',
        'Drop the table instead, or add a primary key.',
      )
    : null
}

async function whyNotColumn(sql: Db, column: string, relation: Relation, no: No): Promise<WouldTake | null> {
  const what = `column ${columnText(relation, column)}`
  if (relation.kind === 'c')
    return no(what, 'values of a composite type are in other tables', 'Leave the attribute.')
  if (!isTable(relation) || !(await columnFacts(sql, relation.text, column))) return null
  if ((await primaryKey(sql, relation.text)).includes(column))
    return no(what, 'it is part of the primary key', 'Drop the table instead.')
  return relation.inherited
    ? no(
        what,
        'tables that inherit it lose their values too',
        'Take those out of it first: alter table ... no inherit',
      )
    : null
}

const isTable = (r: Relation): boolean => r.kind === 'r' || r.kind === 'p'

/**
 * True for a DELETE on the quarantine, whose rows a rollback puts back. It is checked when it runs, not
 * archived.
 */
export const isPutBack = (statement: Statement, r: Relation): boolean =>
  r.schema === 'rethread_archive' && r.name === 'quarantine' && returnsRows(statement)
