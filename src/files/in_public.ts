import { charsOf, type Node, parseStatements, scanTokens, visitNodes } from './statements.js'

/**
 * Adds the schema `public` to tables, views and indexes without a schema, because files of other tools create
 * them there. Names of functions and types, and names inside bodies, stay as they are.
 */
export async function inPublic(text: string): Promise<string> {
  const chars = charsOf(text, Buffer.from(text))
  const places = new Set<number>()
  for (const s of await parseStatements(text)) {
    const own = new Set<string>()
    visitNodes(s.node, n => {
      if (n.CommonTableExpr) own.add(n.CommonTableExpr.ctename)
    })
    visitNodes(s.node, n => {
      if (typeof n.relname === 'string' && !n.schemaname && !own.has(n.relname) && n.location !== undefined)
        places.add(chars(n.location))
    })
    if (s.kind === 'DropStmt') for (const at of await droppedPlaces(s.text, s.node)) places.add(s.offset + at)
  }
  let out = text
  for (const at of [...places].sort((a, b) => b - a)) out = `${out.slice(0, at)}public.${out.slice(at)}`
  return out
}

/** The positions of the names in a DROP, which the parse tree does not contain. */
async function droppedPlaces(text: string, node: Node): Promise<number[]> {
  if (!/^OBJECT_(TABLE|INDEX|VIEW|MATVIEW|SEQUENCE)$/.test(node.removeType)) return []
  const tokens = await scanTokens(text)
  const kind = tokens.findIndex(t => /^(table|index|view|sequence)$/i.test(t.text))
  return tokens
    .filter((t, i) => {
      const before = tokens[i - 1]?.text.toLowerCase() ?? ''
      const isFirst = i > kind && /^(table|index|view|sequence|concurrently|exists|,)$/.test(before)
      return isFirst && tokens[i + 1]?.text !== '.' && !/^(if|exists|concurrently)$/i.test(t.text)
    })
    .map(t => t.start)
}
