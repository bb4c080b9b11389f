import { setLockTimeout } from '../database/connection.sql.js'
import { sqlFailure } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { shortSql } from '../files/lint.js'
import { proofOf } from '../files/statement_proof.js'
import { parseStatements, type Statement, tokenChecksum, withoutByteOrderMark } from '../files/statements.js'
import { Failure, findingsOf } from '../model/failure.js'
import type { LedgerRow } from '../model/plan.js'
import { idOf, type SqlFile } from '../model/project.js'
import type { Finding, StatementTrace } from '../model/report.js'
import { beside } from './beside.js'
import { bestEffort } from './best_effort.js'
import { byPartition } from './by_partition.js'
import { proofState } from './catalog_proof.js'
import { cancel, dropIndex, sendText } from './execute_file.sql.js'
import { addLedgerRow, type NewLedgerRow } from './ledger.sql.js'
import { writeTogether } from './ledger_rows.js'
import { withLockRetries } from './lock_retry.js'
import { indexProgress } from './lock_retry.sql.js'
import { Tracer } from './lock_trace.js'
import { movingRow } from './moving_row.js'
import { type Archived, type Permits, refuseNamed } from './refuse_destruction.js'
import type { Run } from './run.js'
import { forgetSettings } from './session_settings.js'

/** The result of one file. */
export interface Executed {
  attempts: number
  durationMs: number
  /** Statements that were skipped because the catalog shows them to be done. */
  skipped: number
  findings: Finding[]
}

/** A file to execute, with what the ledger records about it. */
export interface FileStep {
  track: string
  migration: string
  direction: 'up' | 'down'
  phase: string
  file: SqlFile
  /** The unfinished row of an earlier run, for a file without a transaction; else null. */
  resumes: LedgerRow | null
  /** True for a file of another tool. It runs with the default settings of the role and the database. */
  foreign: boolean
  /** What the file may delete. Any other deletion is refused when its statement is sent. */
  permits: Permits
  /** Archives what a statement would delete, in the file's transaction. Returns the rest of the statement. */
  instead?: (tx: Db, statement: Statement, existed: (oid: number) => boolean) => Promise<Archived>
  /** SQL for the transaction that records the file as done: a row for another tool's history. */
  alongside?: string | null
}

/**
 * Runs each statement of a file without a transaction. Skips statements that the catalog shows to be done.
 */
export async function runStatements(run: Run, step: FileStep): Promise<Executed> {
  const { writer } = run
  forgetSettings(writer)
  const statements = await parseStatements(withoutByteOrderMark(step.file.text))
  const id = await addLedgerRow(writer.sql, run.token, await ledgerRow(run, step))
  if (id === null) throw new Failure('FENCED', step.migration)
  const row = movingRow(run, step, id)
  let attempts = 1
  let skipped = 0
  try {
    for (const [index, statement] of statements.entries()) {
      const again = await runUnlessDone(run, step, statement, { index, of: statements.length })
      if (again === null) skipped++
      attempts += again ?? 0
      row.reached = index + 1
      if (!(await row.move(writer.sql, 'started', row.reached))) throw new Failure('FENCED', step.migration)
      await row.stopIfAsked(statements.length)
    }
    await writeTogether(run, step.alongside ?? null, tx => row.move(tx, 'done', row.reached))
  } catch (error) {
    await row.fail(error)
    throw error
  }
  return { attempts, durationMs: row.took(), skipped, findings: [] }
}

/**
 * Runs one such statement. Returns its retries; null if the catalog shows it to be done. Throws if the
 * catalog does not show it afterwards.
 */
async function runUnlessDone(
  run: Run,
  step: FileStep,
  statement: Statement,
  { index, of }: { index: number; of: number },
): Promise<number | null> {
  const { ctx, writer } = run
  const text = shortSql(statement.text)
  const proof = proofOf(statement)
  if (!proof) throw new Failure('UNPROVABLE_STATEMENT', step.file.path, { sql: text, drops: false })
  // an invalid index is from this tool if an earlier run of the file reached this statement
  const state = await proofState(writer, proof, step.resumes !== null)
  const skipped = state === 'done' ? 'already there' : null
  ctx.emit({ type: 'statement', migration: step.migration, index: index + 1, of, text, skipped })
  if (skipped !== null) return null
  await refuseNamed(writer.sql, step.file, statement, step.permits)
  const parts = await byPartition(writer, statement, proof)
  if (state === 'half' && proof.kind === 'index' && !parts)
    await withProgress(run, () => dropIndex(writer.sql, proof.index))
  let again = 0
  for (const part of parts ?? [statement]) {
    const source = parts ? part.text : withoutByteOrderMark(step.file.text)
    const alone = async () => {
      again += (await runAlone(run, part, step.file.path, source)) - 1
    }
    if (!ctx.trace) await alone()
    else {
      const traces = await traced(run, part, alone)
      ctx.trace(
        idOf({ track: step.track, name: step.migration }),
        traces.map(t => ({ ...t, statement: index + 1 })),
      )
    }
  }
  if ((await proofState(writer, proof, true)) !== 'done')
    throw new Failure('SQL_ERROR', step.file.path, {
      sqlstate: null,
      reason: `the catalog does not show \`${text}\``,
      detail: null,
      hint: null,
      column: null,
      excerpt: null,
      context: null,
    })
  return again
}

/**
 * Runs one statement outside of a transaction. CONCURRENTLY waits without a lock timeout and is monitored,
 * because giving up leaves an invalid index.
 */
export async function runAlone(
  run: Run,
  statement: Statement,
  path: string,
  source: string,
): Promise<number> {
  const { writer } = run
  if (statement.node.concurrent) {
    await setLockTimeout(writer.sql, 0)
    await withProgress(run, () => sendStatement(writer.sql, statement, path, source))
    return 1
  }
  const { attempts } = await withLockRetries(run, shortSql(statement.text), async timeout => {
    await setLockTimeout(writer.sql, timeout)
    try {
      await sendStatement(writer.sql, statement, path, source)
    } finally {
      if (!writer.lost) await setLockTimeout(writer.sql, 0)
    }
  })
  return attempts
}

/**
 * Runs a statement without a transaction and records its locks: in a transaction if possible, else observed
 * from another session.
 */
async function traced(run: Run, statement: Statement, alone: () => Promise<void>): Promise<StatementTrace[]> {
  const { ctx, writer, monitor } = run
  if (statement.node.concurrent) {
    const tracer = new Tracer(writer.sql, ctx.clock, { sql: monitor.sql, pid: writer.pid })
    await tracer.run(statement.text, async () => {
      await alone()
      return 0
    })
    return tracer.end()
  }
  let traces: StatementTrace[] = []
  await writer.sql.begin(async tx => {
    const tracer = new Tracer(tx, ctx.clock)
    await tracer.run(statement.text, () => sendText(tx, statement.text))
    traces = tracer.end()
  })
  return traces
}

/**
 * Reports the progress of an index build and whom it waits for. The first Ctrl-C cancels it; the next run
 * drops what is left.
 */
export async function withProgress(run: Run, work: () => Promise<unknown>): Promise<void> {
  const { ctx, monitor, writer } = run
  const done = new AbortController()
  const watching = beside(
    (async () => {
      while (!done.signal.aborted) {
        await ctx.clock.sleep(500, done.signal)
        if (done.signal.aborted || monitor.lost) return
        const progress = await bestEffort(ctx, 'progress of the index build', () =>
          indexProgress(monitor.sql, writer.pid),
        )
        if (progress) ctx.emit({ type: 'index', ...progress })
        if (ctx.signal.aborted)
          await bestEffort(ctx, 'cancelling the index build', () => cancel(monitor.sql, writer.pid))
      }
    })(),
  )
  try {
    await work()
  } finally {
    done.abort()
    await watching.end()
  }
}

/** Sends one statement of a file. */
export const sendStatement = (sql: Db, s: Statement, path: string, source: string) =>
  send(sql, s.text, path, source, s.offset)

/**
 * Sends a text of a file. Returns how many rows its last statement wrote. An error gets file, line and
 * column.
 */
export async function send(
  sql: Db,
  text: string,
  path: string,
  source: string,
  offset: number,
): Promise<number> {
  try {
    return await sendText(sql, text)
  } catch (error) {
    // keep the server's error as cause, because retries depend on it
    throw sqlFailure(error, path, source, offset)
  }
}

/** The ledger row for the start of a file. */
export async function ledgerRow(run: Run, step: FileStep): Promise<NewLedgerRow> {
  const statements = await parseStatements(step.file.text)
  const { track, migration, direction, phase } = step
  return {
    run: run.id,
    track,
    migration,
    direction,
    outcome: 'started',
    checksum: step.file.checksum,
    tokens: await tokenChecksum(step.file.text),
    statements: statements.map(s => s.text),
    phase,
    error: null,
    fingerprint: null,
    durationMs: null,
  }
}

/** Records a failure in the ledger, unless the connection is lost. */
export async function recordFailure(
  run: Run,
  row: NewLedgerRow,
  error: unknown,
  durationMs: number,
): Promise<void> {
  const failed = { ...row, outcome: 'failed' as const, error: findingsOf(error)[0] ?? null, durationMs }
  await bestEffort(run.ctx, 'ledger', () => addLedgerRow(run.writer.sql, run.token, failed))
}
