import { begin, commit, commitAndLook, currentRole, rollBack } from '../database/connection.sql.js'
import { isLost } from '../database/faults.js'
import { refusePlanted } from '../database/planted.js'
import { plantedObjects } from '../database/planted.sql.js'
import type { Db } from '../database/types.js'
import { beginUsual, resetRole } from '../database/usual_settings.sql.js'
import { parseStatements, relationName, type Statement, withoutByteOrderMark } from '../files/statements.js'
import { Failure } from '../model/failure.js'
import { idOf } from '../model/project.js'
import { beside } from './beside.js'
import {
  type Executed,
  type FileStep,
  ledgerRow,
  recordFailure,
  send,
  sendStatement,
} from './execute_file.js'
import { sendText } from './execute_file.sql.js'
import { addLedgerRow, addLedgerRowOrAbort } from './ledger.sql.js'
import { writeThenSend } from './ledger_rows.js'
import { withLockRetries } from './lock_retry.js'
import { Tracer } from './lock_trace.js'
import { DestructionGuard } from './refuse_destruction.js'
import type { Run } from './run.js'
import { knownSettings, mayChangeSession, resetLeaked } from './session_settings.js'
import { trialsOf, tryTriggers } from './try_triggers.js'

/** Time limit of a statement of a DDL transaction, in milliseconds. */
const ddlTimeoutMs = 60_000

/** Runs a file and its ledger row in one transaction. */
export async function runTransaction(run: Run, step: FileStep): Promise<Executed> {
  const { ctx } = run
  const text = withoutByteOrderMark(step.file.text)
  const row = await ledgerRow(run, step)
  const watched = await mayChangeSession(run, text)
  const before = watched ? await knownSettings(run) : null
  const start = ctx.clock.now()
  const statements = await parseStatements(text)
  const done = () => ({ ...row, outcome: 'done' as const, durationMs: ctx.clock.now() - start })
  const attempt = {
    source: text,
    from: 0,
    text,
    statements,
    record: (tx: Db) =>
      writeThenSend(
        tx,
        step.alongside ?? null,
        async () => (await addLedgerRow(tx, run.token, done())) !== null,
      ),
    recordOrAbort: watched
      ? null
      : async (tx: Db) => {
          // send both before waiting for an answer
          const added = addLedgerRowOrAbort(tx, run.token, done())
          await firstFault(step.alongside ? [added, sendText(tx, step.alongside)] : [added])
          return added
        },
  }
  const { value: after, attempts } = await withLockRetries(run, step.migration, timeout =>
    oneTransaction(run, step, attempt, timeout),
  ).catch(async error => {
    await recordFailure(run, row, error, ctx.clock.now() - start)
    throw error
  })
  const durationMs = ctx.clock.now() - start
  const findings = before && after ? await resetLeaked(run, step.file.path, before, after) : []
  return { attempts, durationMs, skipped: 0, findings }
}

/** The contents of one transaction: a file or a part of one. */
export interface Attempt {
  /** The whole file, and the position of `text` in it. */
  source: string
  from: number
  text: string
  statements: Statement[]
  /** Records the work in the ledger. Returns false if another run has taken the lease over. */
  record(tx: Db): Promise<boolean>
  /**
   * As `record`, for a text that cannot change the role or settings, so that these need not be checked. That
   * saves half a millisecond. Null for other texts.
   */
  recordOrAbort: ((tx: Db) => Promise<boolean>) | null
}

/**
 * Begins a transaction, sends the text and its ledger row, and commits. Returns the session's settings
 * afterwards, or null if they cannot have changed. Messages are sent without waiting for each answer where
 * possible. That makes one or two round trips, whatever the number of files applied before.
 */
export async function oneTransaction(
  run: Run,
  step: FileStep,
  { source, from, text, statements, record, recordOrAbort }: Attempt,
  lockTimeoutMs: number,
): Promise<Record<string, string> | null> {
  const { ctx, writer, target } = run
  const whole = !ctx.trace && !DestructionGuard.isNeeded(statements, step.permits)
  const tx = await writer.sql.reserve()
  let open = true
  try {
    const begun = (step.foreign ? beginUsual : begin)(tx, lockTimeoutMs, ddlTimeoutMs)
    const sent = whole
      ? send(tx, text, step.file.path, source, from)
      : begun.then(() => sendEach(run, tx, step, source, statements))
    // statements that are sent one by one must be finished here
    if (!whole) await sent
    await tryWhatIsMade(tx, step, statements, () => firstFault([begun, sent]))
    if (recordOrAbort) {
      const recorded = recordOrAbort(tx)
      // ends the transaction also if it was aborted
      const committed = commit(tx)
      open = false
      await firstFault([begun, sent, recorded, committed])
      if (!(await recorded)) throw new Failure('FENCED', step.migration)
      return null
    }
    if (step.foreign && statements.some(changesRole)) {
      await firstFault([begun, sent])
      // the ledger is written by the original role, and the next file must begin with it
      await resetRole(tx)
    }
    const role = currentRole(tx)
    // may fail because of an earlier error or a changed role; the code below reports that
    const recorded = beside(record(tx))
    await firstFault([begun, sent, role])
    const as = await role
    // the transaction must end with the role that began it
    if (as !== target.info.role)
      throw new Failure('ROLE_CHANGED', step.file.path, { before: target.info.role, after: as })
    if (!(await recorded.end())) throw new Failure('FENCED', step.migration)
    // a failed commit has rolled back
    open = false
    return await commitAndLook(tx)
  } finally {
    // a lost connection has rolled back too
    if (open && !writer.lost)
      await rollBack(tx).catch(error => {
        if (!isLost(error)) throw error
      })
    tx.release()
  }
}

/** Looks at what a file has made before anybody can meet it; `settled` waits for the file itself. */
async function tryWhatIsMade(
  tx: Db,
  { direction }: FileStep,
  statements: Statement[],
  settled: () => Promise<void>,
): Promise<void> {
  const trials = direction === 'up' ? trialsOf(statements) : []
  if (trials.length > 0) await settled()
  for (const trial of trials) await tryTriggers(tx, trial)
  // CREATE SCHEMA IF NOT EXISTS is content with a schema of whomever
  if (!statements.some(s => s.kind === 'CreateSchemaStmt')) return
  await settled()
  refusePlanted(await plantedObjects(tx))
}

const changesRole = ({ kind, node }: Statement): boolean =>
  kind === 'VariableSetStmt' && /^(?:role|session_authorization)$/.test(node.name ?? '')

/** Waits for answers in order and throws the first error. Later messages fail because of it. */
async function firstFault(answers: Promise<unknown>[]): Promise<void> {
  for (const answer of await Promise.allSettled(answers))
    if (answer.status === 'rejected') throw answer.reason
}

/** Most statements of one message. A loss is reported at the first of them. */
const mostTogether = 200

/**
 * Statements as they are sent: neighbours that only insert rows into the same table go together, because a
 * file of data has many thousands, each of which would be a round trip and a look at what it has deleted.
 */
function inOneMessage(statements: Statement[], text: string): Statement[] {
  const sent: Statement[] = []
  let together = 0
  let table: string | null = null
  for (const s of statements) {
    const into = s.kind === 'InsertStmt' && !s.node.withClause ? relationName(s.node.relation) : null
    const before = sent.at(-1)
    if (before && into !== null && into === table && together < mostTogether) {
      together++
      sent[sent.length - 1] = { ...before, text: text.slice(before.offset, s.offset + s.text.length) }
    } else {
      together = 1
      table = into
      sent.push(s)
    }
  }
  return sent
}

/**
 * Sends a file's statements one by one, checked by the guard. What a statement deletes is archived first if
 * the step says how.
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
  for (const s of archive || tracer ? statements : inOneMessage(statements, text))
    await guard.run(s, archive ?? null, left => (tracer ? tracer.run(left.text, () => one(left)) : one(left)))
  await guard.end(statements.at(-1))
  if (tracer) ctx.trace?.(idOf({ track: step.track, name: step.migration }), tracer.end())
}
