import type { Connection } from '../database/connection.js'
import { ident } from '../database/types.js'
import type { Proof } from '../files/statement_proof.js'
import { parseStatements, relationName, type Statement, scanTokens } from '../files/statements.js'
import {
  addConstraintText,
  alterTableText,
  attachText,
  createIndexText,
  dropConstraintText,
  dropIndexText,
  isPartitioned,
  type Part,
  partsOf,
  validateText,
  versionNumber,
} from './by_partition.sql.js'

/** From this version on, a partitioned table can have a NOT VALID foreign key. */
const invalidKeysFrom = 180_000

/**
 * The statements to send instead of one that PostgreSQL refuses on a partitioned table: CREATE or DROP INDEX
 * CONCURRENTLY and, before version 18, a NOT VALID foreign key. They do the same for each partition, with the
 * same locks, and leave out what the catalog shows to be done. Null if the statement can be sent.
 */
export async function byPartition(
  { sql }: Connection,
  statement: Statement,
  proof: Proof,
): Promise<Statement[] | null> {
  if (proof.kind === 'index') {
    const { table, index } = proof
    if (!(await isPartitioned(sql, table ?? index)) || !statement.node.concurrent) return null
    if (table === null) return toStatements([dropIndexText(index, false)])
    return toStatements(
      await indexByPartition(statement, await partsOf(sql, table, proof.node.idxname), index),
    )
  }
  if (proof.kind !== 'constraint' || !(await isPartitioned(sql, proof.table))) return null
  const { name, node } = proof
  const parts = await partsOf(sql, proof.table, name)
  const rows = parts.filter(p => !p.parted)
  if (!proof.present) {
    const loose = rows.filter(p => p.constraintValid !== null)
    return toStatements([
      dropConstraintText(proof.table, ident(name)),
      ...loose.map(p => dropConstraintText(p.table, ident(name))),
    ])
  }
  if ((await versionNumber(sql)) >= invalidKeysFrom) return null
  if (node?.contype === 'CONSTR_FOREIGN' && !proof.valid) {
    const { tail } = await around(statement, 'TABLE')
    const missing = rows.filter(p => p.constraintValid === null)
    return toStatements(missing.map(p => alterTableText(p.table, tail)))
  }
  const definition = rows[0]?.constraintDefinition
  if (node || !definition?.startsWith('FOREIGN KEY')) return null
  // the root's constraint uses those of its partitions, and reads no row
  return toStatements([
    ...rows.filter(p => p.constraintValid === false).map(p => validateText(p.table, ident(name))),
    addConstraintText(proof.table, ident(name), definition.replace(/ NOT VALID$/, '')),
  ])
}

/** True if every partition has the constraint and the root does not have it yet. */
export async function onPartitions(
  { sql }: Connection,
  table: string,
  name: string,
): Promise<'all' | 'some' | 'none'> {
  if (!(await isPartitioned(sql, table))) return 'none'
  const rows = (await partsOf(sql, table, name)).filter(p => !p.parted)
  const having = rows.filter(p => p.constraintValid !== null).length
  return having === 0 ? 'none' : having === rows.length ? 'all' : 'some'
}

/**
 * Creates the root's index without its partitions, then each partition's index concurrently, and attaches
 * them from the bottom up.
 */
async function indexByPartition(statement: Statement, parts: Part[], index: string): Promise<string[]> {
  const { head, tail } = await around(statement, 'ON')
  const create = head.replace(/\s+concurrently\b[\s\S]*$/i, '')
  const root = createIndexText(
    create,
    `if not exists ${ident(statement.node.idxname)}`,
    true,
    relationName(statement.node.relation),
    tail,
  )
  const built = parts.flatMap(p => [
    ...(p.indexExists && !p.indexValid && !p.parted ? [dropIndexText(p.index, true)] : []),
    ...(p.indexExists && (p.indexValid || p.parted)
      ? []
      : [createIndexText(create, p.indexName, p.parted, p.table, tail)]),
  ])
  const joined = [...parts]
    .reverse()
    .filter(p => !p.indexAttached)
    .map(p => attachText(p.level === 1 ? index : p.parentIndex, p.index))
  return [root, ...built, ...joined]
}

/** The text before a keyword of a statement, and the text after the name that follows it. */
async function around(
  statement: Statement,
  keyword: 'ON' | 'TABLE',
): Promise<{ head: string; tail: string }> {
  const tokens = await scanTokens(statement.text)
  const at = tokens.findIndex(t => t.text.toUpperCase() === keyword)
  let last = at + 1
  while (['ONLY', 'IF', 'EXISTS'].includes(tokens[last]!.text.toUpperCase())) last++
  while (tokens[last + 1]?.text === '.') last += 2
  return {
    head: statement.text.slice(0, tokens[at]!.start).trimEnd(),
    tail: statement.text.slice(tokens[last]!.end),
  }
}

const toStatements = async (texts: string[]): Promise<Statement[]> =>
  (await Promise.all(texts.map(parseStatements))).flat()
