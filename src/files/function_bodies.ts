import type { Track } from '../model/project.js'
import { type Node, pathName, type Statement, statementsOrNone, strings } from './statements.js'

/** A CREATE FUNCTION statement, taken apart. */
interface FunctionDefinition {
  name: string
  body: string
  /** Names of its parameters, without output columns. */
  parameters: string[]
  /** The types of its parameters as text, equal for equal types. */
  signature: string
}

/** Null if the statement defines no function, or its body is no string. */
export function definedFunction({ kind, node }: Statement): FunctionDefinition | null {
  if (kind !== 'CreateFunctionStmt') return null
  const as = (node.options ?? []).find((o: Node) => o.DefElem.defname === 'as')?.DefElem.arg
  const body: string | undefined = as?.List?.items[0]?.String?.sval
  if (body === undefined) return null
  const taken = (node.parameters ?? [])
    .map((p: Node) => p.FunctionParameter)
    .filter((p: Node) => p.mode !== 'FUNC_PARAM_TABLE')
  return {
    name: pathName(strings(node.funcname)),
    body,
    parameters: taken.map((p: Node) => p.name),
    signature: taken.map((p: Node) => strings(p.argType.names).join('.')).join(', '),
  }
}

/**
 * The bodies of a track's functions after its applied migrations, by name. Functions that a DO block creates
 * are left out.
 */
export async function bodiesOf(
  track: Track,
  applied: ReadonlySet<string>,
): Promise<Record<string, string[]>> {
  const newest = new Map<string, FunctionDefinition>()
  for (const m of track.migrations.filter(m => applied.has(m.name)))
    for (const s of await statementsOrNone(m.file.text)) {
      const defined = definedFunction(s)
      if (defined) newest.set(`${defined.name}(${defined.signature})`, defined)
      // the text that a block composes may depend on the database
      if (s.kind === 'DoStmt')
        for (const [, name] of s.text.matchAll(/\bcreate\s+(?:or\s+replace\s+)?function\s+([\w."]+)/gi))
          for (const [key, made] of newest) if (made.name === name) newest.delete(key)
    }
  const bodies: Record<string, string[]> = {}
  for (const { name, body } of newest.values()) bodies[name] = [...(bodies[name] ?? []), body]
  return bodies
}
