import type { Db } from '../database/types.js'
import { shortSql } from '../files/lint.js'
import {
  type Node,
  pathName,
  relationName,
  someNode,
  statementsOrNone,
  strings,
} from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { type AppFunction, functionsAbout } from './counted_columns.sql.js'

/**
 * Functions of the application that depend on the number of columns of a table: they insert its rows into
 * another table, or return them as a list of columns, and name no columns. After a column is added they
 * fail, and so does the statement of the application. `widened` are the tables that get a column, each with
 * the file that adds it.
 */
export async function countedColumns(sql: Db, widened: Map<string, Migration>): Promise<Finding[]> {
  const found: Finding[] = []
  for (const f of await functionsAbout(sql, [...widened.keys()])) {
    const table = await countedBy(f)
    if (!table) continue
    const facts = {
      table: table.name,
      sql: shortSql(table.sql),
      migration: widened.get(table.name)!.file.path,
    }
    found.push(finding('COUNTS_COLUMNS', `function ${f.name}`, facts))
  }
  return found
}

/** The first table whose number of columns a function depends on, and the statement that depends on it. */
async function countedBy(f: AppFunction): Promise<{ name: string; sql: string } | null> {
  for (const { text, returned } of statementsOf(f))
    for (const { kind, node } of await statementsOrNone(text))
      for (const table of new Set([...f.triggerOf, ...f.mentions])) {
        const rows = starsOf(table, f.triggerOf.includes(table))
        const counts =
          (kind === 'InsertStmt' &&
            relationName(node.relation) !== table &&
            rows.ofSelect(node.selectStmt)) ||
          (returned &&
            kind === 'SelectStmt' &&
            f.namesColumns &&
            f.rowsOf !== table &&
            rows.ofSelect({ SelectStmt: node })) ||
          rows.inSetOperation(node) ||
          isRowOf(node, table)
        if (counts) return { name: table, sql: text.trim() }
      }
  return null
}

/**
 * The statements of a body that may depend on the number of columns. `returned`: the function returns their
 * rows.
 */
function statementsOf({ language, source }: AppFunction): { text: string; returned: boolean }[] {
  if (language === 'sql') return [{ text: source, returned: true }]
  const plain = source.replace(/--[^\n]*/g, ' ').replace(/\/\*[\s\S]*?\*\//g, ' ')
  const found = plain.matchAll(
    /\b(insert\s+into|return\s+query(?!\s+execute\b)|(?:return|:=|=)(?=[^;]*(?:::|\bcast\b)))([^;]*);/gi,
  )
  return [...found].map(([, head, rest]) => {
    // RETURNING may have INTO, which is PL/pgSQL and not SQL
    const body = rest!.replace(/\breturning\b[^;]*$/i, '')
    return /^insert/i.test(head!)
      ? { text: `insert into${body}`, returned: false }
      : /query$/i.test(head!)
        ? { text: body, returned: true }
        : { text: `select ${body}`, returned: false }
  })
}

/** Functions that decide whether `*`, `alias.*` and, in a trigger function, `new.*` are rows of a table. */
function starsOf(table: string, trigger: boolean) {
  const ofList = (list: Node[] | undefined, from: Node[] | undefined): boolean =>
    (list ?? []).some(item => {
      const value = item.ResTarget?.val ?? item
      const path = value.A_Indirection?.indirection?.some((i: Node) => i.A_Star)
        ? [...strings(value.A_Indirection.arg?.ColumnRef?.fields), '*']
        : starPath(value)
      if (path === null || path.at(-1) !== '*') return false
      if (trigger && path.length === 2 && ['new', 'old'].includes(path[0]!)) return true
      return tablesIn(from).some(r => r.table === table && (path.length === 1 || path.at(-2) === r.alias))
    })
  const ofSelect = (node: Node | undefined): boolean => {
    const select = node?.SelectStmt
    if (!select) return false
    return (
      ofList(select.targetList, select.fromClause) ||
      (select.valuesLists ?? []).some((l: Node) => ofList(l.List?.items, []))
    )
  }
  /** True if one side of a UNION, INTERSECT or EXCEPT is rows of the table and the other side is not. */
  const inSetOperation = (node: unknown): boolean =>
    someNode(node, ({ op, larg, rarg }) => {
      if (!op || op === 'SETOP_NONE' || !larg || !rarg) return false
      return ofSelect({ SelectStmt: larg }) !== ofSelect({ SelectStmt: rarg })
    })
  return { ofSelect, inSetOperation }
}

/** The name path of a `*`, including the star. Null if the value is no star. */
function starPath(value: Node): string[] | null {
  const fields: Node[] | undefined = value.ColumnRef?.fields
  return fields?.at(-1)?.A_Star ? [...strings(fields.slice(0, -1)), '*'] : null
}

/** The tables of a FROM clause with their aliases. */
const tablesIn = (from: Node[] | undefined): { table: string; alias: string }[] =>
  (from ?? []).flatMap(item => {
    if (item.RangeVar)
      return [
        {
          table: relationName(item.RangeVar),
          alias: item.RangeVar.alias?.aliasname ?? item.RangeVar.relname,
        },
      ]
    return item.JoinExpr ? tablesIn([item.JoinExpr.larg, item.JoinExpr.rarg]) : []
  })

/** Whether the statement casts a list of values to the row type of the table: `row(...)::chats`. */
const isRowOf = (node: unknown, table: string): boolean =>
  someNode(
    node,
    ({ TypeCast: cast }) => cast?.arg?.RowExpr && pathName(strings(cast.typeName?.names)) === table,
  )
