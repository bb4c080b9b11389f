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

/** What statements do to rows of tables, the bodies of functions and blocks included. */
export interface RowChanges {
  /** Tables that they update, delete from or merge into. */
  tables: Set<string>
  /** Tables that they insert into. */
  filled: Set<string>
  /** By table, the columns that they give a value by name. */
  columns: Map<string, Set<string>>
  /** Texts that change rows, or may, of a table that shows only when they run. */
  unread: string[]
}

/**
 * The tables whose rows statements change, by their parse trees: those of SQL and PL/pgSQL bodies and of the
 * texts that EXECUTE runs, too. What does not parse, or names its table only at run time, is `unread`.
 */
export async function rowChanges(statements: Statement[]): Promise<RowChanges> {
  const found: RowChanges = { tables: new Set(), filled: new Set(), columns: new Map(), unread: [] }
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

/** The queries of a body, and the texts in what it runs as SQL. */
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

/** Statements of PL/pgSQL whose query is an expression that gives the text of a statement. */
const runsText = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors'])

/** The literals of an expression that gives the text of a statement, those of format() with its places. */
async function readRun(expression: string, found: RowChanges): Promise<void> {
  const texts: string[] = []
  const [select] = await parseStatements(`select ${expression}`)
  // a text that begins with a value may be any statement
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

/** Whether an expression gives a text whose beginning is written in it. */
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

/** Stands where format() puts something: no name that people give. */
const putByFormat = 'rethread_place'

async function readSql(text: string, found: RowChanges): Promise<void> {
  try {
    for (const statement of await parseStatements(text)) await readStatement(statement, found)
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    found.unread.push(...changing(text.replaceAll(putByFormat, '%I')))
  }
}

/** A text that can't be read, where it speaks of changing rows. */
const changing = (text: string): string[] =>
  /\b(?:update|delete\s+from|merge\s+into)\b/i.test(text) ? [text.trim()] : []
