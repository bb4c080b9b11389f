import { type Node, strings } from '../files/statements.js'
import { namesIn, partText } from '../model/table_name.js'
import { closing, nextNamed } from './edits.js'
import { rewriteAttribute, rewriteConstant, rewriteKey } from './rewrite_literal.js'
import { rewriteType } from './rewrite_type.js'
import { endsValue, rewriteValues, wrap } from './rewrite_values.js'
import {
  emptyScope,
  filled,
  type NameScope,
  type Rewrite,
  type RowSource,
  rangeSource,
  renameColumn,
  sourceNamed,
  tableSource,
} from './scope.js'

type VisitNode = (to: Rewrite, node: Node, scope: NameScope, plain: boolean) => void

/** Rewrites a node in a scope. For `plain` see `renameColumn`. */
export function visit(to: Rewrite, node: unknown, scope: NameScope, plain = false): void {
  if (Array.isArray(node)) for (const item of node) visit(to, item, scope, plain)
  else if (typeof node === 'object' && node !== null)
    for (const [key, value] of Object.entries(node)) {
      const special = visitors[key]
      if (special && typeof value === 'object' && value !== null) special(to, value as Node, scope, plain)
      else visit(to, value, scope, false)
    }
}

const visitors: Record<string, VisitNode> = {
  ColumnRef: (to, node, scope, plain) => void renameColumn(to, node, scope, plain),
  SelectStmt: (to, node, scope) => select(to, node, scope, true),
  InsertStmt: (to, node, scope) => insert(to, node, scope),
  UpdateStmt: (to, node, scope) => update(to, node, scope),
  DeleteStmt: (to, node, scope) => remove(to, node, scope),
  TypeName: (to, node) => rewriteType(to, node, to.body?.name ?? null),
  typeName: (to, node) => rewriteType(to, node, to.body?.name ?? null),
  A_Const: (to, node) => rewriteConstant(to, node),
  A_Expr: (to, node, scope, plain) => expression(to, node, scope, plain),
  FuncCall: (to, node, scope) => rewriteCall(to, node, scope),
  NullTest: (to, node, scope) => visit(to, node.arg, scope, true),
  SubLink: (to, node, scope) => {
    visit(to, node.testexpr, scope)
    visit(to, node.subselect, scope)
  },
}

/** An operator. A literal operand may be the name of a column. */
function expression(to: Rewrite, node: Node, scope: NameScope, plain: boolean): void {
  const operator = strings(node.name).at(-1)
  if (operator === '->>' || operator === '->') rewriteKey(to, node, scope)
  if (operator === '=') rewriteAttribute(to, node)
  visit(to, node.lexpr, scope, plain)
  visit(to, node.rexpr, scope, plain)
}

function rewriteCall(to: Rewrite, node: Node, scope: NameScope): void {
  const { edits, names } = to
  const path = strings(node.funcname).join('.')
  if (path === 'auth.uid' && names.identity) {
    const at = edits.at(node.location)
    edits.replace(edits.tokens[at]!.start, edits.tokens[at + 4]!.end, filled(names.identity, ''))
  }
  visit(to, { ...node, funcname: null }, scope)
}

/** The column names of a query's result. Null if they are not known. */
function outputs(node: Node, scope: NameScope): Set<string> | null {
  const first = node.op && node.op !== 'SETOP_NONE' ? leftmost(node) : node
  const out = new Set<string>()
  for (const { ResTarget: target } of first.targetList ?? []) {
    const fields = target.val?.ColumnRef?.fields as Node[] | undefined
    if (target.name) out.add(target.name)
    else if (fields?.at(-1)?.A_Star) {
      const [name] = strings(fields)
      const of = name ? [sourceNamed(scope, name)] : scope.sources
      for (const source of of) {
        if (!source?.columns) return null
        for (const column of source.columns) out.add(column)
      }
    } else out.add(strings(fields).at(-1) ?? strings(target.val?.FuncCall?.funcname).at(-1) ?? '?column?')
  }
  return out
}

const leftmost = (node: Node): Node => (node.larg ? leftmost(node.larg) : node)

/** Adds the CTEs of a query to its scope. */
function withClause(to: Rewrite, node: Node, scope: NameScope): void {
  for (const { CommonTableExpr: cte } of node.withClause?.ctes ?? []) {
    const named = strings(cte.aliascolnames)
    const query = cte.ctequery
    const target = query.SelectStmt
    // a recursive query refers to itself
    scope.ctes.set(cte.ctename, named.length > 0 ? new Set(named) : null)
    visit(to, query, scope)
    if (named.length === 0) {
      const inner = emptyScope(scope)
      const first = target ? leftmost(target) : null
      if (first) for (const item of first.fromClause ?? []) inner.sources.push(...quietly(to, item, inner))
      scope.ctes.set(cte.ctename, first ? outputs(first, inner) : null)
    }
  }
}

/** The sources of a FROM item. Repeated replacements have no effect. */
const quietly = (to: Rewrite, item: Node, scope: NameScope): RowSource[] => from(to, item, scope)

function from(to: Rewrite, item: Node, scope: NameScope): RowSource[] {
  if (item.RangeVar) return [rangeSource(to, item.RangeVar, scope)]
  if (item.JoinExpr) {
    const left = from(to, item.JoinExpr.larg, scope)
    // LATERAL can refer to sources on its left
    scope.sources.push(...left)
    const right = from(to, item.JoinExpr.rarg, scope)
    scope.sources.push(...right)
    visit(to, item.JoinExpr.quals, scope)
    scope.sources.splice(-left.length - right.length)
    return [...left, ...right]
  }
  if (item.RangeSubselect) {
    const { subquery, alias } = item.RangeSubselect
    visit(to, subquery, scope)
    const named = strings(alias?.colnames)
    const query = subquery.SelectStmt
    const inner = emptyScope(scope)
    for (const part of leftmost(query).fromClause ?? []) inner.sources.push(...from(to, part, inner))
    const columns = named.length > 0 ? new Set(named) : query.valuesLists ? null : outputs(query, inner)
    return [{ name: alias?.aliasname ?? '', table: null, columns, bare: false }]
  }
  if (item.RangeFunction) {
    const { functions, alias } = item.RangeFunction
    visit(to, functions, scope)
    const named = strings(alias?.colnames)
    return [
      {
        name: alias?.aliasname ?? '',
        table: null,
        columns: named.length > 0 ? new Set(named) : null,
        bare: false,
      },
    ]
  }
  visit(to, item, scope)
  return []
}

function fromClause(to: Rewrite, items: Node[] | undefined, scope: NameScope): void {
  for (const item of items ?? []) scope.sources.push(...from(to, item, scope))
}

/** Rewrites a select list or RETURNING. A column that gets another output name has its old name as alias. */
function targets(to: Rewrite, list: Node[] | undefined, scope: NameScope, named = true): void {
  for (const { ResTarget: target } of list ?? []) {
    const ref = target.val?.ColumnRef
    const column = strings(ref?.fields).at(-1)
    if (target.name && target.val?.TypeCast) rewriteType(to, target.val.TypeCast.typeName, target.name)
    if (!ref) {
      visit(to, target.val, scope)
      continue
    }
    if (renameColumn(to, ref, scope, false) && !target.name && named) {
      const last = to.edits.tokens[to.edits.at(ref.location) + 2 * (ref.fields.length - 1)]!
      to.edits.replace(last.end, last.end, ` as ${partText(column!)}`)
    }
  }
}

/** Rewrites a query. `named` is true if its columns are referred to by name. */
function select(to: Rewrite, node: Node, outer: NameScope, named: boolean): void {
  const scope = emptyScope(outer)
  withClause(to, node, scope)
  if (node.larg) {
    select(to, node.larg, scope, named)
    select(to, node.rarg, scope, named)
    return
  }
  fromClause(to, node.fromClause, scope)
  targets(to, node.targetList, scope, named)
  const said = outputs(node, scope)
  for (const { SortBy: sort } of node.sortClause ?? []) {
    const fields = strings(sort.node.ColumnRef?.fields)
    // in ORDER BY a name means an output column first
    if (fields.length === 1 && said?.has(fields[0]!)) continue
    visit(to, sort.node, scope, !node.distinctClause)
  }
  for (const key of [
    'distinctClause',
    'whereClause',
    'groupClause',
    'havingClause',
    'windowClause',
    'valuesLists',
  ])
    visit(to, node[key], scope)
  visit(to, node.limitCount, scope)
  visit(to, node.limitOffset, scope)
}

function insert(to: Rewrite, node: Node, outer: NameScope): void {
  const scope = emptyScope(outer)
  withClause(to, node, scope)
  const target = rangeSource(to, node.relation, scope)
  const columns = (node.cols ?? []).map((c: Node) => c.ResTarget)
  assigned(to, columns, target)
  const query = node.selectStmt?.SelectStmt
  if (query) select(to, query, scope, false)
  if (query && target.table) rewriteValues(to, columns, query, target.table)
  const own: NameScope = {
    ...emptyScope(outer),
    sources: [target, { ...target, name: 'excluded', bare: false }],
  }
  const conflict = node.onConflictClause
  if (conflict) {
    let from = nextNamed(to.edits, 'conflict', to.edits.at(conflict.location)) + 1
    for (const { IndexElem: elem } of conflict.infer?.indexElems ?? [])
      if (elem.name) from = renameWord(to, target.table, elem.name, from)
    assignments(to, conflict.targetList, target, own)
    visit(to, conflict.whereClause, own)
  }
  targets(to, node.returningClause?.exprs, own)
}

/** Rewrites the columns that an INSERT or UPDATE assigns. */
function assigned(to: Rewrite, columns: Node[], target: RowSource): void {
  for (const column of columns) {
    const now = target.table ? to.names.column(target.table, column.name) : null
    const token = to.edits.tokens[to.edits.at(column.location)]!
    if (now && now.column !== column.name) to.edits.replace(token.start, token.end, now.text)
  }
}

/** Rewrites `set column = value`. */
function assignments(to: Rewrite, list: Node[] | undefined, target: RowSource, scope: NameScope): void {
  assigned(
    to,
    (list ?? []).map(t => t.ResTarget),
    target,
  )
  for (const { ResTarget: t } of list ?? []) {
    visit(to, t.val, scope)
    const writes = target.table ? to.names.column(target.table, t.name)?.writes : null
    if (!writes) continue
    const equals = nextNamed(to.edits, '=', to.edits.at(t.location))
    let last = equals + 1
    for (let i = equals + 1; i < to.edits.tokens.length; i++) {
      if (to.edits.tokens[i]!.raw === '(') i = closing(to.edits, i)
      else if (endsValue(to.edits, i)) break
      last = i
    }
    wrap(to, { first: equals + 1, last }, writes)
  }
}

function update(to: Rewrite, node: Node, outer: NameScope): void {
  const scope = emptyScope(outer)
  withClause(to, node, scope)
  const target = rangeSource(to, node.relation, scope)
  scope.sources.push(target)
  fromClause(to, node.fromClause, scope)
  assignments(to, node.targetList, target, scope)
  visit(to, node.whereClause, scope)
  targets(to, node.returningClause?.exprs, scope)
}

function remove(to: Rewrite, node: Node, outer: NameScope): void {
  const scope = emptyScope(outer)
  withClause(to, node, scope)
  scope.sources.push(rangeSource(to, node.relation, scope))
  fromClause(to, node.usingClause, scope)
  visit(to, node.whereClause, scope)
  targets(to, node.returningClause?.exprs, scope)
}

/** Renames the next occurrence of a column as a bare word, from a token on. Returns the index after it. */
export function renameWord(to: Rewrite, table: string | null, column: string, from: number): number {
  const at = nextNamed(to.edits, column, from)
  if (at < 0) return from
  const now = table ? to.names.column(table, column) : null
  const token = to.edits.tokens[at]!
  if (now && now.column !== column) to.edits.replace(token.start, token.end, now.text)
  return at + 1
}

/** The scope of an expression over a row of one table, under the table's name or an alias. */
export function rowScope(
  to: Rewrite,
  table: string,
  alias: string | null,
  more: RowSource[] = [],
): NameScope {
  const bare = namesIn(table)?.at(-1) ?? table
  return {
    ...emptyScope(),
    sources: [tableSource(to.names, table, alias ?? bare, alias === null), ...more],
  }
}
