import { setupSql } from '../database/connection.sql.js'
import type { Db } from '../database/types.js'
import { setUsual } from '../database/usual_settings.sql.js'
import { shortSql } from '../files/lint.js'
import { type Proof, proofOf } from '../files/statement_proof.js'
import { type Statement, withoutByteOrderMark } from '../files/statements.js'
import { calledProcedures, type FilePart, filePartsOf } from '../files/transactions.js'
import { Failure, Failures, findingsOf } from '../model/failure.js'
import type { Transaction } from '../model/foreign.js'
import { finding } from '../model/report.js'
import { bestEffort } from './best_effort.js'
import { byPartition } from './by_partition.js'
import { proofState } from './catalog_proof.js'
import { type Executed, type FileStep, ledgerRow, runAlone, withProgress } from './execute_file.js'
import { dropIndex, resetAll } from './execute_file.sql.js'
import { committingProcedures, invalidLeftovers, schemaInPath } from './execute_parts.sql.js'
import { oneTransaction } from './execute_transaction.js'
import { addLedgerRow, finishedStatements, updateLedgerRow } from './ledger.sql.js'
import { writeThenSend, writeTogether } from './ledger_rows.js'
import { withLockRetries } from './lock_retry.js'
import { movingRow } from './moving_row.js'
import { refuseNamed } from './refuse_destruction.js'
import type { Run } from './run.js'
import { forgetSettings } from './session_settings.js'

/**
 * Runs a file of another tool that cannot be one transaction. Statements that may share a transaction are
 * sent together, with the ledger's count in the same transaction; others are sent alone. An interrupted file
 * continues after the finished statements, if these have not changed. Throws PART_CHANGED if they have.
 */
export async function runParts(run: Run, step: FileStep, transaction: Transaction): Promise<Executed> {
  const { ctx, writer } = run
  forgetSettings(writer)
  const source = withoutByteOrderMark(step.file.text)
  const names = await calledProcedures(source)
  const committing = new Set(names.length > 0 ? await committingProcedures(writer.sql, names) : [])
  const parts = await filePartsOf(source, transaction, committing)
  const all = parts.flatMap(p => p.statements)
  const begunAt = await resumedAt(run, step, all)
  const row = movingRow(run, step, await openRow(run, step, begunAt), begunAt)
  let attempts = 1
  let skipped = 0
  let behind = 0
  await setUsual(writer.sql)
  try {
    for (const part of parts) {
      behind += part.statements.length
      if (behind <= row.reached) {
        skipped += part.statements.length
        continue
      }
      const outcome = behind === all.length ? 'done' : 'started'
      const beside = outcome === 'done' ? (step.alongside ?? null) : null
      const index = behind - part.statements.length + 1
      const text = shortSql(part.statements[0]!.text)
      const { migration } = step
      ctx.emit({ type: 'statement', migration, index, of: all.length, text, skipped: null })
      const to = behind
      const move = (tx: Db) => row.move(tx, outcome, to)
      if (part.alone) {
        const { again, done } = await oneAlone(run, step, part.statements[0]!, source)
        attempts += again
        if (done) skipped++
        if (!(await writeTogether(run, beside, move))) throw new Failure('FENCED', migration)
      } else {
        const record = (tx: Db) => writeThenSend(tx, beside, move)
        attempts += (await together(run, step, part, source, record)) - 1
      }
      row.reached = to
      await row.stopIfAsked(all.length)
    }
    if (all.length === 0) await writeTogether(run, step.alongside ?? null, tx => row.move(tx, 'done', 0))
  } catch (error) {
    await row.fail(error)
    throw row.reached === 0 ? error : partlyApplied(step, all, row.reached, error)
  } finally {
    if (!writer.lost)
      await bestEffort(ctx, 'settings', () =>
        resetAll(writer.sql, setupSql('writer', ctx.settings, ctx.cores)),
      )
  }
  return { attempts, durationMs: row.took(), skipped, findings: [] }
}

/** A fault after which the first statements stay. */
function partlyApplied({ file }: FileStep, all: Statement[], reached: number, error: unknown): Failures {
  const done = all.slice(0, reached).map(s => shortSql(s.text))
  return new Failures([
    ...findingsOf(error),
    finding('PARTLY_APPLIED', file.path, { done: done.length, of: all.length, statements: done }),
  ])
}

/** How many statements an earlier run has finished. */
async function resumedAt({ writer }: Run, step: FileStep, all: Statement[]): Promise<number> {
  if (!step.resumes) return 0
  const done = await finishedStatements(writer.sql, step.track, step.migration)
  for (const [i, text] of done.entries())
    if (all[i]?.text !== text)
      throw new Failure('PART_CHANGED', step.file.path, { statement: i + 1, sql: shortSql(text) })
  return done.length
}

/** Adds the ledger row of an attempt, with the number of statements that earlier attempts finished. */
async function openRow(run: Run, step: FileStep, reached: number): Promise<number> {
  const row = await ledgerRow(run, step)
  return run.writer.sql.begin(async tx => {
    const id = await addLedgerRow(tx, run.token, row)
    if (id === null) throw new Failure('FENCED', step.migration)
    const change = { outcome: 'started' as const, reached, error: null, durationMs: null, fingerprint: null }
    if (reached > 0) await updateLedgerRow(tx, run.token, id, change)
    return id
  })
}

/** Runs a part in a transaction. Returns the number of attempts. */
async function together(
  run: Run,
  step: FileStep,
  { statements }: FilePart,
  source: string,
  record: (tx: Db) => Promise<boolean>,
): Promise<number> {
  const from = statements[0]!.offset
  const last = statements.at(-1)!
  const text = source.slice(from, last.offset + last.text.length)
  const attempt = { source, from, text, statements, record, recordOrAbort: null }
  // the part runs with the session's current settings: an earlier part may have set some
  const within = { ...step, foreign: false }
  const { attempts } = await withLockRetries(run, step.migration, timeout =>
    oneTransaction(run, within, attempt, timeout),
  )
  return attempts
}

/**
 * Runs a statement outside of a transaction. Returns its retries; `done` if the catalog shows that it was
 * done before. It first drops an index that an interrupted build has left, and at once one that this build
 * leaves.
 */
async function oneAlone(
  run: Run,
  step: FileStep,
  statement: Statement,
  source: string,
): Promise<{ again: number; done: boolean }> {
  const { writer } = run
  await refuseNamed(writer.sql, step.file, statement, step.permits)
  const proof = await placed(writer.sql, statement)
  if (proof && (await isThere(run, step, statement, proof))) return { again: 0, done: true }
  const table = workedOn(statement)
  const leftovers = async () => (table ? invalidLeftovers(writer.sql, table, leftoverNames(statement)) : [])
  const drop = async (names: string[]) => {
    for (const name of names) await withProgress(run, () => dropIndex(writer.sql, name))
  }
  // an invalid index is from this tool if an earlier run of the file reached this statement
  if (step.resumes) await drop(await leftovers())
  const before = new Set(await leftovers())
  const divided = proof ? await byPartition(writer, statement, proof) : null
  let again = 0
  try {
    for (const one of divided ?? [statement])
      again += (await runAlone(run, one, step.file.path, divided ? one.text : source)) - 1
  } catch (error) {
    if (!writer.lost)
      await bestEffort(run.ctx, 'index', async () =>
        drop((await leftovers()).filter(name => !before.has(name))),
      )
    throw error
  }
  if (proof && (await proofState(writer, proof, true)) !== 'done')
    throw new Failure('FOREIGN_INVALID_INDEX', shortSql(statement.text), { builder: null })
  return { again, done: false }
}

/** Whether the catalog shows a statement to be done. With IF NOT EXISTS another definition is accepted. */
async function isThere(run: Run, step: FileStep, { node }: Statement, proof: Proof): Promise<boolean> {
  try {
    return (await proofState(run.writer, proof, step.resumes !== null)) === 'done'
  } catch (error) {
    const other = error instanceof Failure && error.finding.code === 'DIFFERENT_DEFINITION'
    if (!other || !node.if_not_exists) throw error
    return true
  }
}

/** The proof of a statement, with the schema that the search_path gives. */
async function placed(sql: Db, statement: Statement): Promise<Proof | null> {
  const proof = proofOf(statement)
  const table = statement.node.relation
  if (proof?.kind !== 'index' || !proof.present || table?.schemaname) return proof
  const schema = table ? await schemaInPath(sql, table.relname) : null
  if (schema === null) return proof
  return proofOf({ ...statement, node: { ...statement.node, relation: { ...table, schemaname: schema } } })
}

/** The table or index of CREATE INDEX or REINDEX, as the file names it. */
function workedOn({ kind, node }: Statement): { schema: string | null; name: string } | null {
  if (!node.relation || (kind !== 'IndexStmt' && kind !== 'ReindexStmt')) return null
  return { schema: node.relation.schemaname ?? null, name: node.relation.relname }
}

/**
 * A pattern for the names of indexes that a statement may leave: its own, or the temporary names of REINDEX.
 */
const leftoverNames = ({ kind, node }: Statement): string =>
  kind === 'ReindexStmt'
    ? '_cc(?:new|old)[0-9]*$'
    : node.idxname
      ? `^${node.idxname.replace(/[^\w]/g, '\\$&')}$`
      : `^${node.relation.relname.slice(0, 20).replace(/[^\w]/g, '\\$&')}.*_idx[0-9]*$`
