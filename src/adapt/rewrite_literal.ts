import { type Node, strings } from '../files/statements.js'
import { namesIn, quotedText, tableText } from '../model/table_name.js'
import { filled, type NameScope, type Rewrite, sourceNamed } from './scope.js'

/** Rewrites a literal that is the name of a table. */
export function rewriteConstant({ edits, names }: Rewrite, node: Node): void {
  const said: unknown = node.sval?.sval
  if (typeof said !== 'string') return
  const table = namesIn(said)
  if (table?.length !== 2 || !names.knows(said)) return
  const token = edits.tokens[edits.at(node.location)]!
  const now = tableText(names.table(said))
  if (now !== said && token.raw === quotedText(said)) edits.replace(token.start, token.end, quotedText(now))
}

/** Rewrites the key in `to_jsonb(row) ->> 'column'`. */
export function rewriteKey(to: Rewrite, node: Node, scope: NameScope): void {
  if (rewriteClaim(to, node)) return
  const { edits, names } = to
  const key = node.rexpr?.A_Const
  const made = node.lexpr?.FuncCall
  if (!key?.sval || strings(made?.funcname).at(-1) !== 'to_jsonb') return
  const [row] = strings(made.args?.[0]?.ColumnRef?.fields)
  const table = row ? sourceNamed(scope, row)?.table : null
  const now = table ? names.column(table, key.sval.sval) : null
  const token = edits.tokens[edits.at(key.location)]!
  if (now) edits.replace(token.start, token.end, quotedText(now.column))
}

/** Rewrites `attname = 'column'`, for a table that the same text names as a literal. */
export function rewriteAttribute({ edits, names }: Rewrite, node: Node): void {
  const key = node.rexpr?.A_Const
  if (!key?.sval || strings(node.lexpr?.ColumnRef?.fields).at(-1) !== 'attname') return
  const token = edits.tokens[edits.at(key.location)]!
  for (const table of names.tables()) {
    const now = edits.text.includes(`'${table}'`) ? names.column(table, key.sval.sval) : null
    if (now) edits.replace(token.start, token.end, quotedText(now.column))
  }
}

/**
 * Replaces `auth.jwt() ->> 'sub'` by the expression for the current user, if the track identifies users by
 * it.
 */
function rewriteClaim({ edits, names }: Rewrite, node: Node): boolean {
  const { lexpr, rexpr } = node
  const isClaim =
    strings(lexpr?.FuncCall?.funcname).join('.') === 'auth.jwt' && rexpr?.A_Const?.sval?.sval === 'sub'
  if (!isClaim || !names.identity) return false
  const from = edits.tokens[edits.at(lexpr.FuncCall.location)]!
  const to = edits.tokens[edits.at(rexpr.A_Const.location)]!
  edits.replace(from.start, to.end, filled(names.identity, ''))
  return true
}
