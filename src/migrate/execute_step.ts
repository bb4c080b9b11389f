import { runBackfill } from '../backfill/run_backfill.js'
import type { Transaction } from '../model/foreign.js'
import type { Step } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { finding } from '../model/report.js'
import { bestEffort } from '../run/best_effort.js'
import { type Executed, type FileStep, runStatements } from '../run/execute_file.js'
import { runParts } from '../run/execute_parts.js'
import { runTransaction } from '../run/execute_transaction.js'
import { recordBackfill } from '../run/ledger_rows.js'
import { permitsOf } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { type Performed, Stop } from '../run/run_steps.js'
import { forgetSettings } from '../run/session_settings.js'
import type { MigrateOptions } from './migrate_options.js'

/** Executes a step, a file or a backfill. `reopened`: it was done before, and has rows to do again. */
export async function executeStep(
  run: Run,
  track: Track,
  step: Step,
  options: MigrateOptions,
  reopened: boolean,
): Promise<Performed> {
  const { migration: m } = step
  if (m.backfill) return backfillStep(run, step, options, reopened)
  const file = {
    track: m.track,
    migration: m.name,
    direction: 'up' as const,
    phase: m.phase,
    file: m.file,
    resumes: step.resumes,
    foreign: m.foreign !== null,
    permits: await permitsOf(track, step, options.consent),
  }
  const executed = await execute(run, file, m.transaction)
  const { durationMs, attempts, skipped, findings } = executed
  const reason = skipped ? `${skipped} statement(s) already there` : null
  return { outcome: 'done', result: { durationMs, attempts, reason }, skipped, findings }
}

/** Runs a file in one transaction, in parts, or each statement alone. */
const execute = (run: Run, file: FileStep, transaction: Transaction): Promise<Executed> =>
  transaction === 'none'
    ? runStatements(run, file)
    : transaction === 'one'
      ? runTransaction(run, file)
      : runParts(run, file, transaction)

/** A backfill as a step: open until the closing sweep is empty; only then does the ledger say done. */
async function backfillStep(
  run: Run,
  step: Step,
  options: MigrateOptions,
  reopened: boolean,
): Promise<Performed> {
  const { ctx } = run
  const start = ctx.clock.now()
  const row = await recordBackfill(run, step.migration)
  // it sets how the writer leaves its pages to the disk
  forgetSettings(run.writer)
  const ended = await runBackfill(run, step.migration, {
    unit: null,
    maxRows: null,
    workers: options.workers,
    nice: options.nice,
    throttleQuery: options.throttleQuery,
    consent: options.consent,
    reopened,
  }).catch(async error => {
    await bestEffort(ctx, 'ledger', () => row.end('failed', ctx.clock.now() - start))
    throw error
  })
  const durationMs = ctx.clock.now() - start
  if (ended.outcome === 'failed') {
    await row.end('failed', durationMs)
    throw new Stop('attention', ended.findings, {
      backfill: ended.result,
      reason: `${ended.result.failed} row(s) failed`,
    })
  }
  if (ended.outcome !== 'done') {
    await row.end('interrupted', durationMs)
    const paused = !ctx.signal.aborted
    throw new Stop(paused ? 'attention' : 'interrupted', [
      ...ended.findings,
      finding('INTERRUPTED', step.migration.name, {
        command: paused ? 'rethread backfill --resume' : null,
      }),
    ])
  }
  await row.end('done', durationMs)
  const { result, findings } = ended
  return {
    outcome: 'done',
    result: { durationMs, attempts: 1, rows: reopened ? ended.written : result.rows },
    findings,
    backfill: result,
  }
}
