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

/** The schema that holds the twins of a schema's tables. */
export const twinSchema = (schema: string): string => {
  const name = `rethread_twin_${schema}`
  // PostgreSQL would cut a longer name, and two names could become the same
  return Buffer.byteLength(name) <= 63
    ? name
    : `rethread_twin_${createHash('sha256').update(schema).digest('hex').slice(0, 32)}`
}

/** Kinds of statement that are run on a twin. */
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

/** Statements that write rows. A twin has no rows. */
const writesRows = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt'])

/** Statements that no later statement on a twin depends on. */
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

/** Whether no later statement on a twin depends on this one. */
export const isNeedless = ({ kind }: Statement): boolean => needless.has(kind) || writesRows.has(kind)

/**
 * Whether a statement must not run on twins: its locks are unknown, or it composes SQL at run time, in
 * which names cannot be replaced. A text that is filled with values only is allowed.
 */
export const isDynamic = ({ kind, text }: Statement, locks: StatementLock[] | null): boolean =>
  locks === null || (kind === 'DoStmt' && (locks.length > 0 || putsNamesTogether(text)))

function putsNamesTogether(text: string): boolean {
  const all = text.match(/\bexecute\b/gi)?.length ?? 0
  const read = [...text.matchAll(/\bexecute\s+format\s*\(\s*(\$\w*\$)([\s\S]*?)\1\s*[,)]/gi)]
  return all > read.filter(([, , template]) => !/%(?:\d+\$)?-?\d*[Is]/.test(template!)).length
}

/** The schema-qualified names that a statement creates. */
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
 * The statement as it is sent to the twins. Null if it has no effect there, or might reach an original:
 * every relation that it names must have moved. `madeFunctions` are schemas in which the files create
 * functions, some by composed SQL. A statement that writes rows cannot call these, and the twins have no
 * rows.
 */
export async function onTwin(
  s: Statement,
  schemaFor: (schema: string, name: string) => string | null,
  madeFunctions: ReadonlySet<string> = new Set(),
): Promise<string | null> {
  if (!played.has(s.kind)) return null
  const text = await movedNames(s.text, schemaFor)
  if (s.kind === 'CreateFunctionStmt') return text
  // nothing that it drops is on the twins
  if (s.kind === 'DropStmt' && text === s.text) return null
  const [twin] = await parseStatements(text)
  if (!twin || relationsIn(twin).some(r => !r.startsWith('rethread_twin_'))) return null
  if (writesRows.has(s.kind) && callsInto(s, madeFunctions)) return null
  // an empty twin has no rows to validate; before PostgreSQL 18 a partitioned table refuses NOT VALID
  if (s.kind === 'AlterTableStmt' && s.node.cmds.length === 1 && isUnprovenKey(s.node.cmds[0]))
    return text.replace(/\bnot\s+valid\s*;?\s*$/i, '')
  // CONCURRENTLY is not allowed in a transaction, and nobody else writes to a twin
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

/**
 * Schemas of the relations that a statement names, without names of WITH. `public` for a name without a
 * schema.
 */
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
  // a policy on a view of the catalog changes no table
  return found.filter(schema => schema !== 'pg_catalog')
}
