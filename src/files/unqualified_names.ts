import {
  type Node,
  parsePlpgsql,
  parseStatements,
  SyntaxFault,
  statementsOrNone,
  strings,
  visitNodes,
} from './statements.js'

/** What the body of a function names without a schema: it is found by the `search_path` of the moment. */
export interface UnqualifiedNames {
  relations: string[]
  /** The server's own among them. */
  functions: string[]
}

/**
 * The names without a schema in a `create function` statement of SQL or PL/pgSQL, but those of the body's own
 * (CTEs). None where the body does not parse.
 */
export async function unqualifiedNames(definition: string): Promise<UnqualifiedNames> {
  const relations = new Set<string>()
  const functions = new Set<string>()
  for (const query of await bodyQueries(definition)) {
    const own = new Set<string>()
    for (const { kind, node } of await statementsOrNone(query))
      visitNodes({ [kind]: node }, n => {
        if (n.CommonTableExpr) own.add(n.CommonTableExpr.ctename)
        for (const range of [n.RangeVar, ...changingKinds.map(s => n[s]?.relation)])
          if (range?.relname && !range.schemaname) relations.add(range.relname)
        const [name, ...more] = strings(n.FuncCall?.funcname)
        if (name !== undefined && more.length === 0) functions.add(name)
      })
    for (const name of own) relations.delete(name)
  }
  return { relations: [...relations].sort(), functions: [...functions].sort() }
}

/** Statements whose table is no RangeVar of its own in the tree. */
const changingKinds = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']

/** The queries and expressions in a body, each as a statement. */
async function bodyQueries(definition: string): Promise<string[]> {
  try {
    const [made] = await parseStatements(definition)
    const option = (name: string): Node | undefined =>
      (made?.node.options ?? []).find((o: Node) => o.DefElem.defname === name)?.DefElem.arg
    if (option('language')?.String?.sval !== 'sql') return queriesIn(await parsePlpgsql(definition))
    const as = option('as')
    return [as?.List?.items[0]?.String?.sval ?? as?.String?.sval ?? '']
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return []
  }
}

/**
 * The queries of a tree of PL/pgSQL: an expression is what a SELECT gives, an assignment what follows `:=`.
 */
function queriesIn(tree: unknown): string[] {
  if (Array.isArray(tree)) return tree.flatMap(queriesIn)
  if (tree === null || typeof tree !== 'object') return []
  return Object.entries(tree as Node).flatMap(([key, part]) => {
    if (key !== 'PLpgSQL_expr') return queriesIn(part)
    const mode: number = part.parseMode ?? 0
    if (mode === 0) return [part.query]
    return [`select ${mode > 2 ? part.query.replace(/^[^=]*?:?=/, '') : part.query}`]
  })
}
