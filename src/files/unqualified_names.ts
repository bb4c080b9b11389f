import {
  type Node,
  parsePlpgsql,
  parseStatements,
  SyntaxFault,
  statementsOrNone,
  strings,
  visitNodes,
} from './statements.js'

/** Names without a schema in the body of a function. The current `search_path` decides what they mean. */
export interface UnqualifiedNames {
  relations: string[]
  /** Built-in functions included. */
  functions: string[]
}

/**
 * The names without a schema in a `create function` statement of SQL or PL/pgSQL, except names of CTEs. Empty
 * if the body does not parse.
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

/** Statements whose target table has no node of type RangeVar around it. */
const changingKinds = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']

/** The queries and expressions of a body, each as a statement. */
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
 * The queries of a PL/pgSQL tree. An expression becomes a SELECT; of an assignment, the right side is taken.
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
