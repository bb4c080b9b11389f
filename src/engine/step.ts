import { sqlFailure } from '../db/fault.js'
import { Failure, findingsOf } from '../model/failure.js'
import type { LedgerRow } from '../model/plan.js'
import { type Finding, finding, type StatementTrace } from '../model/report.js'
import { idOf, type SqlFile } from '../model/workspace.js'
import { addLedgerRow, type NewLedgerRow, updateLedgerRow } from '../sql/ledger.js'
import { indexProgress } from '../sql/locks.js'
import { setLocal, setLockTimeout, setupSql, snapshot } from '../sql/session.js'
import { cancel, dropIndex, resetAll, sendText } from '../sql/step.js'
import type { Db } from '../sql/types.js'
import { firstLine } from '../workspace/lint.js'
import { proofOf } from '../workspace/proof.js'
import {
  parseStatements,
  type Statement,
  tokenChecksum,
  withoutByteOrderMark,
} from '../workspace/statements.js'
import { standingOf } from './provable.js'
import { withLockRetries } from './retry.js'
import type { Run } from './run.js'
import { Tracer } from './trace.js'

/** What one file came to. */
export interface Executed {
  attempts: number
  durationMs: number
  /** Statements that the catalog showed to be done already. */
  skipped: number
  findings: Finding[]
}

/** What a file is, for the ledger. */
export interface FileStep {
  track: string
  migration: string
  direction: 'up' | 'down'
  phase: string
  file: SqlFile
  /** The unfinished row of an earlier run, when the file has no transaction. */
  resumes: LedgerRow | null
  /**
   * Runs inside the transaction, before the file's own statements; returns the
   * statements that are left to send.
   */
  prepare?: (tx: Db) => Promise<Statement[] | null>
}

/** Longest duration of one DDL transaction, in milliseconds. */
const ddlTimeoutMs = 60_000

/** Runs a file in one transaction, its ledger row included: killed in between, it has both or neither. */
export async function runTransaction(run: Run, step: FileStep): Promise<Executed> {
  const { ctx, writer } = run
  const text = withoutByteOrderMark(step.file.text)
  const row = await ledgerRow(run, step)
  const before = await snapshot(writer.sql)
  const start = ctx.clock.now()
  const { attempts } = await withLockRetries(run, step.migration, async timeout => {
    const began = ctx.clock.now()
    await writer.sql.begin(async tx => {
      await setLocal(tx, timeout, ddlTimeoutMs)
      const left = step.prepare ? await step.prepare(tx) : null
      const tracer = ctx.trace ? new Tracer(tx, ctx.clock) : null
      if (tracer)
        for (const s of left ?? (await parseStatements(text)))
          await tracer.run(s.text, () => sendStatement(tx, s, step.file.path, text))
      else if (left) for (const s of left) await sendStatement(tx, s, step.file.path, text)
      else await send(tx, text, step.file.path, text, 0)
      const { role } = await snapshot(tx)
      // whoever runs the rest must be who ran the start
      if (role !== before.role)
        throw new Failure('ROLE_CHANGED', step.file.path, { before: before.role, after: role })
      const added = await addLedgerRow(tx, run.token, {
        ...row,
        outcome: 'done',
        durationMs: ctx.clock.now() - began,
      })
      if (added === null) throw new Failure('FENCED', step.migration)
      if (tracer) ctx.trace?.(idOf({ track: step.track, name: step.migration }), tracer.end())
    })
  }).catch(async error => {
    await recordFailure(run, row, error, ctx.clock.now() - start)
    throw error
  })
  return {
    attempts,
    durationMs: ctx.clock.now() - start,
    skipped: 0,
    findings: await mendSettings(run, step.file.path, before.settings),
  }
}

/** Runs each statement of a file alone, skipping what the catalog shows to be done. */
export async function runStatements(run: Run, step: FileStep): Promise<Executed> {
  const { ctx, writer } = run
  const text = withoutByteOrderMark(step.file.text)
  const statements = await parseStatements(text)
  const row = await ledgerRow(run, step)
  const id = await addLedgerRow(writer.sql, run.token, row)
  if (id === null) throw new Failure('FENCED', step.migration)
  const start = ctx.clock.now()
  const update = (outcome: LedgerRow['outcome'], reached: number, error: object | null = null) =>
    updateLedgerRow(writer.sql, run.token, id, {
      outcome,
      reached,
      error,
      durationMs: ctx.clock.now() - start,
      fingerprint: null,
    })
  let attempts = 0
  let skipped = 0
  let reached = 0
  try {
    for (const [index, statement] of statements.entries()) {
      const proof = proofOf(statement)
      if (!proof)
        throw new Failure('UNPROVABLE_STATEMENT', step.file.path, { sql: firstLine(statement.text) })
      // an invalid index is ours when an earlier run of this file stood at this statement or beyond
      const standing = await standingOf(writer, proof, step.resumes !== null)
      const note = (why: string | null) =>
        ctx.emit({
          type: 'statement',
          migration: step.migration,
          index: index + 1,
          of: statements.length,
          text: firstLine(statement.text),
          skipped: why,
        })
      if (standing === 'done') {
        skipped++
        note('already there')
      } else {
        note(null)
        if (standing === 'half' && proof.kind === 'index')
          await watched(run, () => dropIndex(writer.sql, proof.index))
        if (ctx.trace) {
          const told = await traced(run, statement, async () => {
            attempts += await runAlone(run, statement, step.file.path, text)
          })
          ctx.trace(
            idOf({ track: step.track, name: step.migration }),
            told.map(t => ({ ...t, statement: index + 1 })),
          )
        } else attempts += await runAlone(run, statement, step.file.path, text)
        const after = await standingOf(writer, proof, true)
        if (after !== 'done')
          throw new Failure('SQL_ERROR', step.file.path, {
            reason: `the catalog does not show \`${firstLine(statement.text)}\``,
          })
      }
      reached = index + 1
      if (!(await update('started', reached))) throw new Failure('FENCED', step.migration)
      if (ctx.signal.aborted && reached < statements.length) {
        await update('interrupted', reached)
        throw new Failure('INTERRUPTED', step.migration, { reached, of: statements.length })
      }
    }
    await update('done', reached)
  } catch (error) {
    if (!writer.lost && !(error instanceof Failure && error.finding.code === 'INTERRUPTED')) {
      await update('failed', reached, findingsOf(error)[0] ?? null).catch(() => {})
    }
    throw error
  }
  return { attempts, durationMs: ctx.clock.now() - start, skipped, findings: [] }
}

/**
 * One statement outside a transaction. Concurrent index work waits without a lock time-out, under our watch:
 * one that gives up leaves an invalid index.
 */
async function runAlone(run: Run, statement: Statement, path: string, source: string): Promise<number> {
  const { writer } = run
  if (statement.node.concurrent) {
    await setLockTimeout(writer.sql, 0)
    await watched(run, () => sendStatement(writer.sql, statement, path, source))
    return 1
  }
  const { attempts } = await withLockRetries(run, firstLine(statement.text), async timeout => {
    await setLockTimeout(writer.sql, timeout)
    try {
      await sendStatement(writer.sql, statement, path, source)
    } finally {
      if (!writer.lost) await setLockTimeout(writer.sql, 0)
    }
  })
  return attempts
}

/** A statement that runs alone, watched: in a transaction of its own where it may, else from outside. */
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
  let told: StatementTrace[] = []
  await writer.sql.begin(async tx => {
    const tracer = new Tracer(tx, ctx.clock)
    await tracer.run(statement.text, () => sendText(tx, statement.text))
    told = tracer.end()
  })
  return told
}

/**
 * Tells how an index build goes and whom it waits for; the first Ctrl-C cancels it, and
 * the next run drops the rest.
 */
async function watched(run: Run, work: () => Promise<unknown>): Promise<void> {
  const { ctx, monitor, writer } = run
  const done = new AbortController()
  const watching = (async () => {
    while (!done.signal.aborted) {
      await ctx.clock.sleep(500, done.signal)
      if (done.signal.aborted || monitor.lost) return
      const progress = await indexProgress(monitor.sql, writer.pid).catch(() => null)
      if (progress) ctx.emit({ type: 'index', ...progress })
      if (ctx.signal.aborted) await cancel(monitor.sql, writer.pid).catch(() => {})
    }
  })()
  try {
    await work()
  } finally {
    done.abort()
    await watching
  }
}

const sendStatement = (sql: Db, s: Statement, path: string, source: string) =>
  send(sql, s.text, path, source, s.offset)

/**
 * Sends a text of a file, gives the rows that its last statement wrote; a fault comes back
 * with file, line and column.
 */
async function send(sql: Db, text: string, path: string, source: string, offset: number): Promise<number> {
  try {
    return await sendText(sql, text)
  } catch (error) {
    // retries must still see the server's own fault, which stays the cause
    throw sqlFailure(error, path, source, offset)
  }
}

async function ledgerRow(run: Run, step: FileStep): Promise<NewLedgerRow> {
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

/** Failures stand in the ledger too; best effort, because the connection may be what failed. */
async function recordFailure(run: Run, row: NewLedgerRow, error: unknown, durationMs: number): Promise<void> {
  if (run.writer.lost) return
  await addLedgerRow(run.writer.sql, run.token, {
    ...row,
    outcome: 'failed',
    error: findingsOf(error)[0] ?? null,
    durationMs,
  }).catch(() => {})
}

/** A file that leaves a setting behind changes how the next one runs: tell it and put it back. */
async function mendSettings(run: Run, path: string, before: Record<string, string>): Promise<Finding[]> {
  const { settings } = await snapshot(run.writer.sql)
  const leaked = [...new Set([...Object.keys(before), ...Object.keys(settings)])].filter(
    k => before[k] !== settings[k],
  )
  if (leaked.length === 0) return []
  await resetAll(run.writer.sql, setupSql('writer', run.ctx.settings, run.ctx.cores))
  return [finding('SETTINGS_LEAKED', path, { settings: leaked })]
}
