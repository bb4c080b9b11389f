import { type Node, rangeTable, type Statement, strings } from '../files/statements.js'
import { namesIn, partText, tableText } from '../model/table_name.js'
import { closing, nextNamed } from './edits.js'
import { renameWord, rowScope, visit } from './rewrite_query.js'
import { rewriteType } from './rewrite_type.js'
import { emptyScope, type Rewrite, type RowSource, rangeSource, renameTable, tableSource } from './scope.js'
import { forgetTakenIds, letGoOfTakenIds, takeIds } from './taken_ids.sql.js'

type RewriteRule = (to: Rewrite, node: Node, from: number) => void

/** Rewrites a statement, except function bodies. `from` is the index of its first token. */
export function rewriteStatement(to: Rewrite, statement: Statement, from: number): void {
  const rule = rewriteRules[statement.kind]
  if (rule) rule(to, statement.node, from)
  else visit(to, { [statement.kind]: statement.node }, emptyScope())
}

const rewriteRules: Record<string, RewriteRule> = {
  CreateStmt: (to, node, from) => createTable(to, node, from),
  IndexStmt: (to, node) => createIndex(to, node),
  AlterTableStmt: (to, node) => alterTable(to, node),
  CreatePolicyStmt: (to, node) => {
    const source = relation(to, node.table)
    const scope = { ...emptyScope(), sources: [source] }
    visit(to, node.qual, scope)
    visit(to, node.with_check, scope)
  },
  CreateTrigStmt: (to, node, from) => {
    const { table } = relation(to, node.relation)
    let at = nextNamed(to.edits, 'of', from)
    for (const column of strings(node.columns)) at = renameWord(to, table, column, at + 1) - 1
    const row = (name: string): RowSource => tableSource(to.names, table!, name)
    visit(to, node.whenClause, { ...emptyScope(), sources: [row('new'), row('old')] })
  },
  GrantStmt: (to, node) => {
    for (const object of node.objects ?? []) {
      if (object.RangeVar) relation(to, object.RangeVar)
      if (object.ObjectWithArgs) rewriteSignature(to, object.ObjectWithArgs)
    }
  },
  DropStmt: (to, node, from) => drop(to, node, from),
  AlterObjectSchemaStmt: (to, node, from) => setSchema(to, node, from),
  CommentStmt: (to, node, from) => {
    const [schema, name] = strings(node.object.List?.items)
    if (/TABLE|VIEW|COLUMN|POLICY|TRIGGER|CONSTRAINT/.test(node.objtype)) renameNext(to, schema!, name!, from)
  },
  TruncateStmt: (to, node) => {
    for (const item of node.relations ?? []) relation(to, item.RangeVar)
  },
  CreateFunctionStmt: (to, node) => {
    const name = strings(node.funcname).at(-1)!
    for (const { FunctionParameter: p } of node.parameters ?? []) {
      rewriteType(to, p.argType, p.name ?? null, name)
      visit(to, p.defexpr, emptyScope())
    }
    if (node.returnType && node.returnType.location !== undefined) rewriteType(to, node.returnType, name)
  },
  DoStmt: () => {},
  ViewStmt: (to, node) => visit(to, node.query, emptyScope()),
}

const relation = (to: Rewrite, range: Node): RowSource => rangeSource(to, range, emptyScope())

function createTable(to: Rewrite, node: Node, from: number): void {
  const { table } = relation(to, node.relation)
  for (const elem of node.tableElts ?? []) {
    if (elem.ColumnDef) {
      column(to, elem.ColumnDef, table!)
      const ids = to.names.makes(table!, elem.ColumnDef.colname)?.taken
      const start = to.edits.tokens[from]!.start
      if (ids) to.edits.replace(start, start, takeIds(ids))
    }
    if (elem.Constraint) constraint(to, elem.Constraint, table!)
    if (elem.TableLikeClause) relation(to, elem.TableLikeClause.relation)
  }
}

function column(to: Rewrite, def: Node, table: string): void {
  renameWord(to, table, def.colname, to.edits.at(def.location))
  rewriteType(to, def.typeName, def.colname, namesIn(table)!.at(-1))
  const makes = to.names.makes(table, def.colname)
  for (const { Constraint: c } of def.constraints ?? [])
    if (c.contype === 'CONSTR_DEFAULT' && makes !== null) makeDefault(to, c, makes.made)
    else constraint(to, c, table)
}

/** Replaces the default of an id that the track generates: a call without arguments. */
function makeDefault(to: Rewrite, c: Node, makes: string): void {
  const first = to.edits.at(c.raw_expr.FuncCall.location)
  to.edits.replace(to.edits.tokens[first]!.start, to.edits.tokens[closing(to.edits, first + 1)]!.end, makes)
}

function constraint(to: Rewrite, c: Node, table: string): void {
  visit(to, c.raw_expr, rowScope(to, table, null))
  let at = to.edits.at(c.location)
  for (const key of strings(c.keys)) at = renameWord(to, table, key, at)
  for (const key of strings(c.fk_attrs)) at = renameWord(to, table, key, at)
  if (!c.pktable) return
  const to_ = relation(to, c.pktable)
  at = to.edits.at(c.pktable.location) + 3
  for (const key of strings(c.pk_attrs)) at = renameWord(to, to_.table, key, at)
}

function createIndex(to: Rewrite, node: Node): void {
  const { table } = relation(to, node.relation)
  const scope = rowScope(to, table!, null)
  let at = to.edits.at(node.relation.location) + 1
  for (const { IndexElem: elem } of [...(node.indexParams ?? []), ...(node.indexIncludingParams ?? [])]) {
    if (elem.name) at = renameWord(to, table, elem.name, at)
    else visit(to, elem.expr, scope)
  }
  visit(to, node.whereClause, scope)
}

function alterTable(to: Rewrite, node: Node): void {
  const { table } = relation(to, node.relation)
  let at = to.edits.at(node.relation.location) + 3
  for (const { AlterTableCmd: cmd } of node.cmds ?? []) {
    if (cmd.def?.ColumnDef?.colname) column(to, cmd.def.ColumnDef, table!)
    else if (cmd.def?.Constraint) constraint(to, cmd.def.Constraint, table!)
    else if (cmd.name && /Column|NotNull/.test(cmd.subtype)) at = renameWord(to, table, cmd.name, at)
  }
}

/** Replaces the argument types in a function's signature. */
function rewriteSignature(to: Rewrite, object: Node): void {
  const types = to.names.signature.get(strings(object.objname).join('.'))
  for (const [n, { TypeName: type }] of (object.objargs ?? []).entries()) {
    rewriteType(to, type, null)
    const now = types?.[n]
    const token = to.edits.tokens[to.edits.at(type.location)]
    if (now && token?.name === 'uuid') to.edits.replace(token.start, token.end, now)
  }
}

function drop(to: Rewrite, node: Node, from: number): void {
  let at = from
  for (const object of node.objects ?? []) {
    if (object.ObjectWithArgs) rewriteSignature(to, object.ObjectWithArgs)
    const path = strings(object.List?.items)
    const indexed = path.length === 2 ? to.names.indexes.get(path[1]!) : undefined
    if (node.removeType === 'OBJECT_INDEX' && indexed !== undefined) {
      const token = to.edits.tokens[nextNamed(to.edits, path[1]!, at) - 2]!
      const schema = partText(to.names.table(indexed).schema ?? 'public')
      if (token.raw !== schema) to.edits.replace(token.start, token.end, schema)
    }
    // policies, triggers and rules are named after their table, which has the schema
    const names = /TRIGGER|POLICY|RULE/.test(node.removeType) ? path.slice(0, -1) : path
    if (names.length !== 2 || !/TABLE|VIEW|TRIGGER|POLICY|RULE|SEQUENCE/.test(node.removeType)) continue
    at = renameNext(to, names[0]!, names[1]!, at)
    const ids = node.removeType === 'OBJECT_TABLE' ? to.names.makes(path.join('.'), 'id')?.taken : null
    const end = to.edits.tokens[nextNamed(to.edits, ';', at)]?.end
    const start = to.edits.tokens[from]!.start
    if (!ids || end === undefined) continue
    to.edits.replace(start, start, letGoOfTakenIds(tableText(to.names.table(path.join('.')))))
    to.edits.replace(end, end, forgetTakenIds(ids))
  }
}

/**
 * Renames the next schema-qualified occurrence of a table, from a token on. Returns the index of its first
 * token.
 */
function renameNext(to: Rewrite, schema: string, name: string, from: number): number {
  for (let at = from; at < to.edits.tokens.length; at++) {
    const [first, dot, last] = to.edits.tokens.slice(at, at + 3)
    if (first?.name !== schema || dot?.raw !== '.' || last?.name !== name) continue
    renameTable(to, tableText({ schema, name }), at)
    return at
  }
  return from
}

/** SET SCHEMA of a table that is moved to the archive, or back to its schema in the database. */
function setSchema(to: Rewrite, node: Node, from: number): void {
  if (!node.relation) return
  relation(to, node.relation)
  const home = tableText({ schema: node.newschema, name: node.relation.relname })
  const at = nextNamed(to.edits, node.newschema, nextNamed(to.edits, 'set', from))
  const schema = to.names.table(home).schema
  const token = to.edits.tokens[at]
  if (to.names.knows(home) && schema && token) to.edits.replace(token.start, token.end, partText(schema))
}

/**
 * Notes the parameters of functions and the tables of indexes that a text creates. Later statements need
 * them.
 */
export function noteSignatures(names: Rewrite['names'], statements: readonly Statement[]): void {
  for (const { kind, node } of statements) {
    if (kind === 'IndexStmt' && node.idxname)
      names.indexes.set(node.idxname, tableText(rangeTable(node.relation)))
    if (kind === 'CreateFunctionStmt')
      names.signature.set(
        strings(node.funcname).join('.'),
        (node.parameters ?? [])
          .map((p: Node) => p.FunctionParameter)
          .filter((p: Node) => p.mode !== 'FUNC_PARAM_TABLE' && p.mode !== 'FUNC_PARAM_OUT')
          .map((p: Node) =>
            p.name && strings(p.argType.names).at(-1) === 'uuid'
              ? names.type(p.name, strings(node.funcname).at(-1))
              : null,
          ),
      )
  }
}

/** A table that fires a trigger function of the track, and the names of the transition tables. */
export interface FiredBy {
  table: string
  transition: string[]
}

/** Adds the triggers that a text creates, by the name of their function. */
export function noteTriggers(fired: Map<string, FiredBy[]>, statements: readonly Statement[]): void {
  for (const { kind, node } of statements)
    if (kind === 'CreateTrigStmt') {
      const name = strings(node.funcname).join('.')
      const transition = (node.transitionRels ?? []).map((t: Node) => t.TriggerTransition.name as string)
      fired.set(name, [
        ...(fired.get(name) ?? []),
        { table: tableText(rangeTable(node.relation)), transition },
      ])
    }
}
