import type { Transaction } from '../model/foreign.js'
import type { Migration } from '../model/project.js'
import { quotedText } from '../model/table_name.js'
import { blankOf } from './layout.js'
import {
  type Node,
  parsePlpgsql,
  parseStatements,
  type Statement,
  SyntaxFault,
  someNode,
  strings,
  withoutByteOrderMark,
} from './statements.js'

/** Statements of a file that are sent together: in one transaction, or one statement outside of any. */
export interface FilePart {
  statements: Statement[]
  alone: boolean
}

/** A text without these words can run in one transaction. */
const mayNeedParts =
  /\b(?:concurrently|vacuum|database|system|tablespace|subscription|cluster|call|commit|rollback|value)\b/i

/** Kinds of statements that the server refuses inside a transaction block. */
const aloneKinds = new Set([
  'CreatedbStmt',
  'DropdbStmt',
  'AlterSystemStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
  'DropSubscriptionStmt',
])

/** True for a statement that the server refuses inside a transaction block. */
export function runsAlone({ kind, node }: Statement): boolean {
  if ((kind === 'IndexStmt' || kind === 'DropStmt') && node.concurrent) return true
  if (kind === 'ReindexStmt') {
    if (/^REINDEX_OBJECT_(?:DATABASE|SYSTEM|SCHEMA)$/.test(node.kind)) return true
    return someNode(node.params ?? [], n => n.DefElem?.defname === 'concurrently')
  }
  if (kind === 'VacuumStmt') return Boolean(node.is_vacuumcmd)
  if (kind === 'ClusterStmt') return !node.relation
  if (kind === 'CreateSubscriptionStmt')
    // a subscription without a replication slot to create may be in a transaction
    return !someNode(
      node.options ?? [],
      n =>
        /^(?:connect|create_slot)$/.test(n.DefElem?.defname ?? '') &&
        JSON.stringify(n.DefElem.arg).includes('false'),
    )
  if (kind === 'AlterTableStmt')
    return node.cmds.some(
      (c: Node) =>
        c.AlterTableCmd?.subtype === 'AT_DetachPartition' && c.AlterTableCmd.def?.PartitionCmd?.concurrent,
    )
  return aloneKinds.has(kind)
}

/**
 * Divides a file into the parts in which it is sent. With `each`, which another tool's marker asks for, every
 * statement is a part. `committing` are procedures of the database that end transactions. Throws SyntaxFault.
 */
export async function filePartsOf(
  text: string,
  transaction: Transaction,
  committing: ReadonlySet<string> = new Set(),
): Promise<FilePart[]> {
  const statements = await parseStatements(withoutByteOrderMark(text))
  const commits = new Set([...committing, ...(await proceduresThatCommit(statements))])
  const values = new Set<string>()
  const parts: FilePart[] = []
  for (const s of statements) {
    const alone = runsAlone(s) || (await commitsItself(s, commits))
    const last = parts.at(-1)
    const joins = last && !alone && !last.alone && transaction !== 'each' && !usesNewValue(s, values)
    if (joins) last.statements.push(s)
    else {
      parts.push({ statements: [s], alone })
      values.clear()
    }
    if (s.kind === 'AlterEnumStmt' && s.node.newVal) values.add(s.node.newVal)
  }
  return parts
}

/** Whether a statement uses an enum value that an earlier statement of the same transaction added. */
const usesNewValue = (s: Statement, values: ReadonlySet<string>): boolean =>
  values.size > 0 && s.kind !== 'AlterEnumStmt' && [...values].some(v => s.text.includes(quotedText(v)))

/** The procedures that a file creates with COMMIT or ROLLBACK in their bodies. */
async function proceduresThatCommit(statements: Statement[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (const s of statements)
    if (s.kind === 'CreateFunctionStmt' && s.node.is_procedure && (await endsTransactions(s)))
      found.add(strings(s.node.funcname).at(-1)!)
  return found
}

/** True for a DO block with COMMIT or ROLLBACK, or a call of a procedure with one. */
const commitsItself = async (s: Statement, procedures: ReadonlySet<string>): Promise<boolean> =>
  s.kind === 'DoStmt' ? endsTransactions(s) : procedures.has(calledBy(s) ?? '')

/** The procedure of a CALL, without its schema. */
const calledBy = ({ kind, node }: Statement): string | undefined =>
  kind === 'CallStmt' ? strings(node.funccall?.funcname).at(-1) : undefined

/** The procedures that a text calls. */
export const calledProcedures = async (text: string): Promise<string[]> =>
  (await parseStatements(text)).flatMap(s => calledBy(s) ?? [])

async function endsTransactions({ text }: Statement): Promise<boolean> {
  if (!/\b(?:commit|rollback)\b/i.test(text)) return false
  try {
    return someNode(await parsePlpgsql(text), n => Boolean(n.PLpgSQL_stmt_commit ?? n.PLpgSQL_stmt_rollback))
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return false
  }
}

/**
 * A migration without the statements that an earlier run has finished, which are replaced by blanks. Only
 * files of other tools have a count of finished statements.
 */
export async function remainderOf(m: Migration, finished: number): Promise<Migration> {
  if (!m.foreign || finished === 0) return m
  const { text } = m.file
  const next = (await parseStatements(text))[finished]
  const at = next?.offset ?? text.length
  return { ...m, file: { ...m.file, text: blankOf(text.slice(0, at)) + text.slice(at) } }
}

/** The migrations of steps, without the statements that an earlier run has finished. */
export const remaindersOf = (
  steps: { migration: Migration; resumes: { reached: number } | null }[],
): Promise<Migration[]> =>
  Promise.all(steps.map(({ migration, resumes }) => remainderOf(migration, resumes?.reached ?? 0)))

/**
 * Replaces `as-needed` by `one` or `parts`, from the statements of a file. A file that does not parse gets
 * `one`; `lint` reports it.
 */
export async function settleTransactions(migrations: Iterable<Migration>): Promise<void> {
  for (const m of migrations) {
    if (m.transaction === 'as-needed') m.transaction = await settledTransaction(m.file.text)
    if (m.rollback?.transaction === 'as-needed')
      m.rollback.transaction = await settledTransaction(m.rollback.file.text)
  }
}

async function settledTransaction(text: string): Promise<Transaction> {
  if (!mayNeedParts.test(text)) return 'one'
  try {
    const parts = await filePartsOf(text, 'parts')
    const [first, second] = parts
    // whether a procedure commits is known only when the file runs
    const open = second || first?.alone || first?.statements.some(s => s.kind === 'CallStmt')
    return open ? 'parts' : 'one'
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return 'one'
  }
}
