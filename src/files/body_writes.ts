import {
  type Node,
  parsePlpgsql,
  parseStatements,
  relationName,
  type Statement,
  SyntaxFault,
  strings,
  visitNodes,
} from './statements.js'

/** A privilege to write rows. */
export type WriteRight = 'INSERT' | 'UPDATE' | 'DELETE'

/** The changes that statements make to rows, including those in bodies of functions and DO blocks. */
export interface RowChanges {
  /** Tables with UPDATE, DELETE or MERGE. */
  tables: Set<string>
  /** Tables with INSERT. */
  filled: Set<string>
  /** By table, the columns that are assigned by name. */
  columns: Map<string, Set<string>>
  /** By table, the privileges that the changes need. */
  rights: Map<string, Set<WriteRight>>
  /** Texts that may change rows of a table that is known only when they run. */
  unread: string[]
}

/**
 * The tables whose rows statements change. It reads parse trees, also those of SQL and PL/pgSQL bodies and of
 * texts for EXECUTE. A text that does not parse, or whose table is known only when it runs, is in `unread`.
 */
export async function rowChanges(statements: Statement[]): Promise<RowChanges> {
  const found: RowChanges = {
    tables: new Set(),
    filled: new Set(),
    columns: new Map(),
    rights: new Map(),
    unread: [],
  }
  for (const statement of statements) await readStatement(statement, found)
  return found
}

async function readStatement({ kind, node, text }: Statement, found: RowChanges): Promise<void> {
  visitNodes({ [kind]: node }, n => {
    for (const s of [n.UpdateStmt, n.DeleteStmt, n.MergeStmt])
      if (s?.relation?.relname === putByFormat) found.unread.push(text.replaceAll(putByFormat, '%I'))
      else if (s?.relation) found.tables.add(relationName(s.relation))
    const { InsertStmt: insert, UpdateStmt: update } = n
    if (insert?.relation) found.filled.add(relationName(insert.relation))
    noteRights(found, insert, insert?.onConflictClause?.targetList ? ['INSERT', 'UPDATE'] : ['INSERT'])
    noteRights(found, update, ['UPDATE'])
    noteRights(found, n.DeleteStmt, ['DELETE'])
    noteRights(found, n.MergeStmt, ['INSERT', 'UPDATE', 'DELETE'])
    const targets = [insert?.cols, insert?.onConflictClause?.targetList, update?.targetList]
    noteColumns(found, (insert ?? update)?.relation, targets.flat())
  })
  if (kind !== 'CreateFunctionStmt' && kind !== 'DoStmt') return
  const option = (name: string): Node | undefined =>
    (node.options ?? node.args ?? []).find((o: Node) => o.DefElem.defname === name)?.DefElem.arg
  const as = option('as')
  const body: string | undefined = as?.String?.sval ?? as?.List?.items[0]?.String?.sval
  const language = option('language')?.String?.sval ?? 'plpgsql'
  if (body === undefined || !['sql', 'plpgsql'].includes(language)) return
  if (language === 'sql') return readSql(body, found)
  try {
    await readPlpgsql(await parsePlpgsql(text), false, found)
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    found.unread.push(...changing(body))
  }
}

function noteRights({ rights }: RowChanges, statement: Node | undefined, needed: WriteRight[]): void {
  if (!statement?.relation || statement.relation.relname === putByFormat) return
  const table = relationName(statement.relation)
  rights.set(table, new Set([...(rights.get(table) ?? []), ...needed]))
}

function noteColumns(
  { columns }: RowChanges,
  relation: Node | undefined,
  targets: (Node | undefined)[],
): void {
  if (!relation) return
  const table = relationName(relation)
  for (const t of targets)
    if (t?.ResTarget?.name) columns.set(table, (columns.get(table) ?? new Set()).add(t.ResTarget.name))
}

/** Reads the queries of a PL/pgSQL body, and the literals of SQL that it executes. */
async function readPlpgsql(tree: unknown, runs: boolean, found: RowChanges): Promise<void> {
  if (Array.isArray(tree)) for (const part of tree) await readPlpgsql(part, runs, found)
  else if (tree !== null && typeof tree === 'object')
    for (const [key, part] of Object.entries(tree as Node)) {
      if (key !== 'PLpgSQL_expr')
        await readPlpgsql(
          part,
          key === 'dynquery' || (runsText.has(key) ? true : runs && key === 'query'),
          found,
        )
      else if (runs) await readRun(part.query, found)
      else if (!part.parseMode) await readSql(part.query, found)
    }
}

/** PL/pgSQL statements whose query is an expression for the text of a statement. */
const runsText = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors'])

/**
 * Reads the literals of an expression for the text of a statement, with placeholders of format() replaced.
 */
async function readRun(expression: string, found: RowChanges): Promise<void> {
  const texts: string[] = []
  const [select] = await parseStatements(`select ${expression}`)
  // a text that begins with a variable part may be any statement
  if (!beginsWithText(select!.node.targetList?.[0]?.ResTarget?.val))
    found.unread.push(`execute ${expression.trim()}`)
  visitNodes(select!.node, n => {
    const text = n.A_Const?.sval?.sval
    if (typeof text === 'string') texts.push(text)
  })
  for (const text of texts)
    await readSql(
      text.replace(/%(?:\d+\$)?([sIL])/g, (_, kind) => (kind === 'L' ? "''" : putByFormat)),
      found,
    )
}

/** Whether the beginning of the text is a literal in the expression. */
function beginsWithText(value: Node | undefined): boolean {
  if (!value) return false
  const { A_Expr: joined, FuncCall: call, TypeCast: cast } = value
  if (cast) return beginsWithText(cast.arg)
  if (joined) return strings(joined.name)[0] === '||' && beginsWithText(joined.lexpr)
  if (call)
    return ['format', 'concat'].includes(strings(call.funcname).at(-1)!) && beginsWithText(call.args?.[0])
  const text = value.A_Const?.sval?.sval
  return typeof text === 'string' && !/^\s*(?:%|$)/.test(text)
}

/** Replaces a placeholder of format(). Unlikely to be the name of an object. */
const putByFormat = 'rethread_place'

async function readSql(text: string, found: RowChanges): Promise<void> {
  try {
    for (const statement of await parseStatements(text)) await readStatement(statement, found)
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    found.unread.push(...changing(text.replaceAll(putByFormat, '%I')))
  }
}

/** A text that cannot be parsed, if it contains UPDATE, DELETE or MERGE. */
const changing = (text: string): string[] =>
  /\b(?:update|delete\s+from|merge\s+into)\b/i.test(text) ? [text.trim()] : []
