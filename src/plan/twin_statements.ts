import { createHash } from 'node:crypto'
import { movedNames, type QualifiedName } from '../files/moved_names.js'
import {
  indexName,
  isUnprovenKey,
  parseStatements,
  type Statement,
  strings,
  visitNodes,
} from '../files/statements.js'
import type { StatementLock } from '../model/plan.js'
import { namesIn } from '../model/table_name.js'

/** Where the twins of a schema's tables are. */
export const twinSchema = (schema: string): string => {
  const name = `rethread_twin_${schema}`
  // a longer name would be cut, and two could be cut to the same
  return Buffer.byteLength(name) <= 63
    ? name
    : `rethread_twin_${createHash('sha256').update(schema).digest('hex').slice(0, 32)}`
}

/** Statements that mean something on a twin. */
const played = new Set([
  'CreateStmt',
  'CreateTableAsStmt',
  'IndexStmt',
  'AlterTableStmt',
  'CreateFunctionStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
  'CreateTrigStmt',
  'ViewStmt',
  'CreateEnumStmt',
  'CreateDomainStmt',
  'CompositeTypeStmt',
  'CreateSeqStmt',
  'DropStmt',
  'RenameStmt',
  'TruncateStmt',
  'DoStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
])

/** Statements that write rows, of which a twin has none. */
const writesRows = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt'])

/** Statements that nothing after them needs on a twin. */
const needless = new Set([
  'SelectStmt',
  'CommentStmt',
  'GrantStmt',
  'CreateSchemaStmt',
  'AlterFunctionStmt',
  'AlterOwnerStmt',
  'AlterDefaultPrivilegesStmt',
  'VacuumStmt',
  'VariableSetStmt',
])

/** Whether nothing after a statement needs it on a twin. */
export const isNeedless = ({ kind }: Statement): boolean => needless.has(kind) || writesRows.has(kind)

/**
 * Whether a statement must not run on twins: nobody knows what it locks, or it puts a text together, in which
 * names are not moved. What fills only values into a text names what can be read.
 */
export const isDynamic = ({ kind, text }: Statement, locks: StatementLock[] | null): boolean =>
  locks === null || (kind === 'DoStmt' && (locks.length > 0 || putsNamesTogether(text)))

function putsNamesTogether(text: string): boolean {
  const all = text.match(/\bexecute\b/gi)?.length ?? 0
  const read = [...text.matchAll(/\bexecute\s+format\s*\(\s*(\$\w*\$)([\s\S]*?)\1\s*[,)]/gi)]
  return all > read.filter(([, , template]) => !/%(?:\d+\$)?-?\d*[Is]/.test(template!)).length
}

/** The names that a statement makes in a schema. */
export function madeBy({ kind, node }: Statement): QualifiedName[] {
  const named = (path: string[]) => ({ schema: path.at(-2) ?? 'public', name: path.at(-1) ?? '' })
  switch (kind) {
    case 'CreateStmt':
      return [named([node.relation.schemaname, node.relation.relname].filter(Boolean))]
    case 'ViewStmt':
      return [named([node.view.schemaname, node.view.relname].filter(Boolean))]
    case 'CreateSeqStmt':
      return [named([node.sequence.schemaname, node.sequence.relname].filter(Boolean))]
    case 'IndexStmt':
      return node.idxname ? [named(namesIn(indexName(node))!)] : []
    case 'CreateFunctionStmt':
      return [named(strings(node.funcname))]
    case 'CreateEnumStmt':
      return [named(strings(node.typeName))]
    case 'CreateDomainStmt':
      return [named(strings(node.domainname))]
    default:
      return []
  }
}

/**
 * A statement as it is sent to the twins; null where it means nothing there or might reach a table itself:
 * every relation that it names must have moved. `madeFunctions` are the schemas that the files make functions
 * in, some of them by a text that they put together: what writes rows cannot call those, and has no rows.
 */
export async function onTwin(
  s: Statement,
  schemaFor: (schema: string, name: string) => string | null,
  madeFunctions: ReadonlySet<string> = new Set(),
): Promise<string | null> {
  if (!played.has(s.kind)) return null
  const text = await movedNames(s.text, schemaFor)
  if (s.kind === 'CreateFunctionStmt') return text
  // it names nothing that has moved
  if (s.kind === 'DropStmt' && text === s.text) return null
  const [twin] = await parseStatements(text)
  if (!twin || relationsIn(twin).some(r => !r.startsWith('rethread_twin_'))) return null
  if (writesRows.has(s.kind) && callsInto(s, madeFunctions)) return null
  // an empty twin has nothing to prove, and a partitioned one refuses NOT VALID before PostgreSQL 18
  if (s.kind === 'AlterTableStmt' && s.node.cmds.length === 1 && isUnprovenKey(s.node.cmds[0]))
    return text.replace(/\bnot\s+valid\s*;?\s*$/i, '')
  // nobody writes to a twin, and a transaction may not build an index beside writers
  return s.node.concurrent ? text.replace(/\bconcurrently\b/i, '') : text
}

/** Whether a statement calls a function of one of these schemas. */
function callsInto({ node }: Statement, schemas: ReadonlySet<string>): boolean {
  let found = false
  visitNodes(node, part => {
    const path = Array.isArray(part.funcname) ? strings(part.funcname) : []
    if (path.length === 2 && schemas.has(path[0]!)) found = true
  })
  return found
}

/** Schemas of the relations that a statement names, those of WITH left out; `public` where it names none. */
function relationsIn({ kind, node }: Statement): string[] {
  const found: string[] = []
  const own = new Set<string>()
  visitNodes(node, part => {
    if (typeof part.ctename === 'string') own.add(part.ctename)
    if (typeof part.relname === 'string' && (part.schemaname || !own.has(part.relname)))
      found.push(part.schemaname ?? 'public')
  })
  if (kind === 'DropStmt' && node.removeType !== 'OBJECT_FUNCTION')
    for (const o of node.objects) {
      const path = strings([o])
      const inTable = ['OBJECT_POLICY', 'OBJECT_TRIGGER', 'OBJECT_RULE'].includes(node.removeType)
      found.push(path.at(inTable ? -3 : -2) ?? 'public')
    }
  // of a policy on a pseudo relation nothing is touched
  return found.filter(schema => schema !== 'pg_catalog')
}
