import type { Known } from '../database/known.js'
import type { Db } from '../database/types.js'
import { type Node, parseStatements, relationName, type Statement, strings } from '../files/statements.js'
import { dottedText, namesIn } from '../model/table_name.js'
import { rowSecurityActive, type Trigger, type TriggerEvent } from './firing_triggers.sql.js'

/** What is known about the rows that an UPDATE writes. */
export interface Bound {
  /** The columns that it sets. */
  columns: string[]
  /** Columns that are null in every row that it updates. */
  emptyBefore: string[]
  /** Columns that it sets to null. */
  emptied: string[]
  /** Tables that will exist by then and whose row security does not apply to the role that creates them. */
  opened: ReadonlySet<string>
}

/** Tables that earlier files create, without those that FORCE ROW LEVEL SECURITY or get another owner. */
export function openTables(known: Known, earlier: Statement[]): ReadonlySet<string> {
  const found = new Set(known.made)
  for (const { kind, node } of earlier)
    if (kind === 'AlterTableStmt')
      for (const { AlterTableCmd: cmd } of node.cmds)
        if (['AT_ForceRowSecurity', 'AT_ChangeOwner'].includes(cmd.subtype))
          found.delete(relationName(node.relation))
  return found
}

/** Whether the trigger's WHEN is false for all rows that this role's backfill writes. */
export async function isRuledOut(
  sql: Db,
  { definition }: Trigger,
  events: TriggerEvent[],
  bound: Bound,
): Promise<boolean> {
  if (events.some(e => e !== 'UPDATE')) return false
  const [made] = await parseStatements(definition)
  return made?.node.whenClause ? isFalse(sql, made.node.whenClause, bound) : false
}

/** Whether a WHEN condition, or a part of it, is false for every row that the update writes. */
async function isFalse(sql: Db, node: Node, bound: Bound): Promise<boolean> {
  const { BoolExpr: bool, A_Expr: compared, NullTest: nullTest, FuncCall: call } = node
  if (bool) {
    const each: boolean[] = []
    for (const part of bool.args) each.push(await isFalse(sql, part, bound))
    return bool.boolop === 'AND_EXPR'
      ? each.some(Boolean)
      : bool.boolop === 'OR_EXPR'
        ? each.every(Boolean)
        : false
  }
  if (nullTest) {
    const [row, column, more] = strings(nullTest.arg?.ColumnRef?.fields)
    if (nullTest.nulltesttype !== 'IS_NOT_NULL' || !column || more) return false
    return (row === 'old' ? bound.emptyBefore : row === 'new' ? bound.emptied : []).includes(column)
  }
  if (call) {
    // PostgreSQL prints the argument as ('public.t'::regclass)::oid
    let [table] = call.args ?? []
    while (table?.TypeCast) table = table.TypeCast.arg
    table = table?.A_Const?.sval?.sval
    // search_path is empty, so a name without a schema is in pg_catalog
    if (strings(call.funcname).join('.') !== 'row_security_active' || !table) return false
    const names = namesIn(table)
    return bound.opened.has(names ? dottedText(names) : '') || (await rowSecurityActive(sql, table)) === false
  }
  return compared ? staysAsItIs(compared, bound.columns) : false
}

/** Whether a comparison of OLD and NEW is about a column that the update does not set. */
function staysAsItIs(compared: Node, columns: string[]): boolean {
  const differs =
    compared.kind === 'AEXPR_DISTINCT' ||
    (compared.kind === 'AEXPR_OP' && ['<>', '!='].includes(strings(compared.name)[0] ?? ''))
  const sides = [compared.lexpr, compared.rexpr].map(side => strings(side?.ColumnRef?.fields))
  const [left, right] = sides
  return (
    differs &&
    left!.length === 2 &&
    right!.length === 2 &&
    left![1] === right![1] &&
    new Set([left![0], right![0]]).size === 2 &&
    !columns.includes(left![1]!)
  )
}

/** Columns that an update sets to null in every row. */
export const emptied = ({ kind, node }: Statement): string[] =>
  kind !== 'UpdateStmt'
    ? []
    : node.targetList.flatMap(({ ResTarget: t }: Node) => (t?.val?.A_Const?.isnull ? [t.name] : []))

/**
 * Columns that must be null according to WHERE: `c.x is null`, `coalesce(c.x, ...) is distinct from c.x`.
 */
export function emptyBefore({ kind, node }: Statement): string[] {
  if (kind !== 'UpdateStmt' || !node.whereClause) return []
  const alias = node.relation.alias?.aliasname ?? node.relation.relname
  const own = (side: Node | undefined): string | null => {
    const [table, column, more] = strings(side?.ColumnRef?.fields)
    return table === alias && column && !more ? column : null
  }
  const of = (part: Node): (string | null)[] => {
    const { BoolExpr: bool, NullTest: nullTest, A_Expr: compared } = part
    if (bool) return bool.boolop === 'AND_EXPR' ? bool.args.flatMap(of) : []
    if (nullTest) return nullTest.nulltesttype === 'IS_NULL' ? [own(nullTest.arg)] : []
    if (compared?.kind !== 'AEXPR_DISTINCT') return []
    // COALESCE returns its first argument, the column, unless that is null
    const column = own(compared.rexpr)
    return column === own(compared.lexpr?.CoalesceExpr?.args?.[0]) ? [column] : []
  }
  return of(node.whereClause).filter(column => column !== null)
}
