import { begin, commit, commitAndLook, currentRole, rollBack } from '../database/connection.sql.js'
import { isLost } from '../database/faults.js'
import { refusePlanted } from '../database/planted.js'
import { plantedObjects } from '../database/planted.sql.js'
import type { Db } from '../database/types.js'
import { parseStatements, type Statement, withoutByteOrderMark } from '../files/statements.js'
import { Failure } from '../model/failure.js'
import { idOf } from '../model/project.js'
import {
  type Executed,
  type FileStep,
  ledgerRow,
  recordFailure,
  send,
  sendStatement,
} from './execute_file.js'
import { sendText } from './execute_file.sql.js'
import { addLedgerRow, addLedgerRowOrAbort, type NewLedgerRow } from './ledger.sql.js'
import { withLockRetries } from './lock_retry.js'
import { Tracer } from './lock_trace.js'
import { DestructionGuard } from './refuse_destruction.js'
import type { Run } from './run.js'
import { knownSettings, mayChangeSession, resetLeaked } from './session_settings.js'
import { trialsOf, tryTriggers } from './try_triggers.js'

/** Longest duration of one DDL transaction, in milliseconds. */
const ddlTimeoutMs = 60_000

/** Runs a file in one transaction, its ledger row included. */
export async function runTransaction(run: Run, step: FileStep): Promise<Executed> {
  const { ctx } = run
  const text = withoutByteOrderMark(step.file.text)
  const row = await ledgerRow(run, step)
  const watched = await mayChangeSession(run, text)
  const before = watched ? await knownSettings(run) : null
  const start = ctx.clock.now()
  const { value: after, attempts } = await withLockRetries(run, step.migration, timeout =>
    oneTransaction(run, step, { text, row, lockTimeoutMs: timeout, watched }),
  ).catch(async error => {
    await recordFailure(run, row, error, ctx.clock.now() - start)
    throw error
  })
  const durationMs = ctx.clock.now() - start
  const findings = before && after ? await resetLeaked(run, step.file.path, before, after) : []
  return { attempts, durationMs, skipped: 0, findings }
}

/** What one attempt at a file needs. */
interface Attempt {
  text: string
  row: NewLedgerRow
  lockTimeoutMs: number
  /** Whether role and settings are looked at afterwards: that costs half a millisecond. */
  watched: boolean
}

/**
 * Begins, sends the file and its ledger row, and commits; the settings of the session afterwards where they
 * are asked for. What need not be looked at in between goes together, without waiting for each answer: one
 * trip to the server and back, or two, however many files were applied before.
 */
async function oneTransaction(
  run: Run,
  step: FileStep,
  { text, row, lockTimeoutMs, watched }: Attempt,
): Promise<Record<string, string> | null> {
  const { ctx, writer, target } = run
  const start = ctx.clock.now()
  const statements = await parseStatements(text)
  const whole = !ctx.trace && !DestructionGuard.isNeeded(statements, step.permits)
  const done = () => ({ ...row, outcome: 'done' as const, durationMs: ctx.clock.now() - start })
  const tx = await writer.sql.reserve()
  let open = true
  try {
    const begun = begin(tx, lockTimeoutMs, ddlTimeoutMs)
    const sent = whole
      ? send(tx, text, step.file.path, text, 0)
      : begun.then(() => sendEach(run, tx, step, text, statements))
    // what goes statement by statement is still on its way when this is reached
    if (!whole) await sent
    // before anybody can meet them
    const trials = step.direction === 'up' ? trialsOf(statements) : []
    if (trials.length > 0) await firstFault([begun, sent])
    for (const trial of trials) await tryTriggers(tx, trial)
    // CREATE SCHEMA IF NOT EXISTS is content with a schema of whomever
    if (statements.some(s => s.kind === 'CreateSchemaStmt')) {
      await firstFault([begun, sent])
      refusePlanted(await plantedObjects(tx))
    }
    if (!watched) {
      const beside = alongside(tx, step)
      const recorded = addLedgerRowOrAbort(tx, run.token, done())
      // of a transaction that anything has aborted, this is the end too
      const committed = commit(tx)
      open = false
      await firstFault([begun, sent, beside, recorded, committed])
      if (!(await recorded)) throw new Failure('FENCED', step.migration)
      return null
    }
    const role = currentRole(tx)
    const beside = alongside(tx, step)
    const recorded = addLedgerRow(tx, run.token, done())
    // refused because of an earlier fault, or because the file changed the role: what follows says so
    recorded.catch(() => {})
    beside.catch(() => {})
    await firstFault([begun, sent, role])
    const as = await role
    // whoever runs the rest must be who ran the start
    if (as !== target.info.role)
      throw new Failure('ROLE_CHANGED', step.file.path, { before: target.info.role, after: as })
    await beside
    if ((await recorded) === null) throw new Failure('FENCED', step.migration)
    // a commit that fails has rolled back
    open = false
    return await commitAndLook(tx)
  } finally {
    // so has a connection that is gone
    if (open && !writer.lost)
      await rollBack(tx).catch(error => {
        if (!isLost(error)) throw error
      })
    tx.release()
  }
}

/** Sends what another tool's history is to say of the step. */
const alongside = async (tx: Db, step: FileStep): Promise<unknown> =>
  step.alongside ? sendText(tx, step.alongside) : null

/**
 * Waits for answers in the order of their questions. The first fault says what is wrong: what was sent after
 * it is refused because of it.
 */
async function firstFault(answers: Promise<unknown>[]): Promise<void> {
  for (const answer of await Promise.allSettled(answers))
    if (answer.status === 'rejected') throw answer.reason
}

/**
 * Sends a file's statements one by one inside its transaction, under the guard, each archived
 * first where the step says how.
 */
async function sendEach(
  { ctx }: Run,
  tx: Db,
  step: FileStep,
  text: string,
  statements: Statement[],
): Promise<void> {
  const guard = await DestructionGuard.open(tx, step.file, statements, step.permits)
  const tracer = ctx.trace ? new Tracer(tx, ctx.clock) : null
  const archive = step.instead && ((s: Statement) => step.instead!(tx, s, guard.existed))
  const one = (s: Statement) => sendStatement(tx, s, step.file.path, text)
  for (const s of statements)
    await guard.run(s, archive ?? null, left => (tracer ? tracer.run(left.text, () => one(left)) : one(left)))
  await guard.end(statements.at(-1))
  if (tracer) ctx.trace?.(idOf({ track: step.track, name: step.migration }), tracer.end())
}
