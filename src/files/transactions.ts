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

/** Statements of a file that are sent together: in one transaction, or one alone outside of any. */
export interface FilePart {
  statements: Statement[]
  alone: boolean
}

/** Without one of these words no statement of a text needs anything but one transaction. */
const mayNeedParts =
  /\b(?:concurrently|vacuum|database|system|tablespace|subscription|cluster|call|commit|rollback|value)\b/i

/** Kinds of statements that the server never runs inside a transaction block. */
const aloneKinds = new Set([
  'CreatedbStmt',
  'DropdbStmt',
  'AlterSystemStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
  'DropSubscriptionStmt',
])

/** True for statements that the server refuses inside a transaction block. */
export function runsAlone({ kind, node }: Statement): boolean {
  if ((kind === 'IndexStmt' || kind === 'DropStmt') && node.concurrent) return true
  if (kind === 'ReindexStmt') {
    if (/^REINDEX_OBJECT_(?:DATABASE|SYSTEM|SCHEMA)$/.test(node.kind)) return true
    return someNode(node.params ?? [], n => n.DefElem?.defname === 'concurrently')
  }
  if (kind === 'VacuumStmt') return Boolean(node.is_vacuumcmd)
  if (kind === 'ClusterStmt') return !node.relation
  if (kind === 'CreateSubscriptionStmt')
    // without a slot to make it is a row like any other
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
 * What a file is sent in, as its statements need it. `each` is what another tool's own marker asks for;
 * `committing` are procedures of the database that end transactions.
 * Throws SyntaxFault.
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

/** Whether a statement has a constant that one before it, in this transaction, made a value of an enum. */
const usesNewValue = (s: Statement, values: ReadonlySet<string>): boolean =>
  values.size > 0 && s.kind !== 'AlterEnumStmt' && [...values].some(v => s.text.includes(quotedText(v)))

/** The procedures of a file whose bodies end a transaction. */
async function proceduresThatCommit(statements: Statement[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (const s of statements)
    if (s.kind === 'CreateFunctionStmt' && s.node.is_procedure && (await endsTransactions(s)))
      found.add(strings(s.node.funcname).at(-1)!)
  return found
}

/** A DO block with COMMIT in it, a call of a procedure with one. */
const commitsItself = async (s: Statement, procedures: ReadonlySet<string>): Promise<boolean> =>
  s.kind === 'DoStmt' ? endsTransactions(s) : procedures.has(calledBy(s) ?? '')

/** The procedure that a CALL names, without its schema. */
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
 * A migration with what an earlier run has finished of it blanked: what is left to look ahead for. Only files
 * of other tools have statements that are counted.
 */
export async function remainderOf(m: Migration, finished: number): Promise<Migration> {
  if (!m.foreign || finished === 0) return m
  const { text } = m.file
  const next = (await parseStatements(text))[finished]
  const at = next?.offset ?? text.length
  return { ...m, file: { ...m.file, text: blankOf(text.slice(0, at)) + text.slice(at) } }
}

/** The migrations of steps, each without what an earlier run has finished of it. */
export const remaindersOf = (
  steps: { migration: Migration; resumes: { reached: number } | null }[],
): Promise<Migration[]> =>
  Promise.all(steps.map(({ migration, resumes }) => remainderOf(migration, resumes?.reached ?? 0)))

/**
 * Decides how files of other tools are executed, for the migrations that somebody is about to plan: what
 * needs one transaction says so from here on. A file that does not parse is `lint`'s to report.
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
    // what a procedure does is known when the file runs
    const open = second || first?.alone || first?.statements.some(s => s.kind === 'CallStmt')
    return open ? 'parts' : 'one'
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return 'one'
  }
}
