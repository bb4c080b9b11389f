import { runBackfill } from '../backfill/run_backfill.js'
import { historyChange } from '../histories/read_history.js'
import type { Step } from '../model/plan.js'
import { plural } from '../model/plural.js'
import type { Track } from '../model/project.js'
import { finding } from '../model/report.js'
import { bestEffort } from '../run/best_effort.js'
import { recordBackfill } from '../run/ledger_rows.js'
import { permitsOf } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { runFile } from '../run/run_file.js'
import { type Performed, Stop } from '../run/run_steps.js'
import { forgetSettings } from '../run/session_settings.js'
import type { MigrateOptions } from './migrate_options.js'

/**
 * Executes a step: a file or a backfill. `reopened`: the backfill was finished before and has pending rows.
 */
export async function executeStep(
  run: Run,
  track: Track,
  step: Step,
  options: MigrateOptions,
  reopened: boolean,
): Promise<Performed> {
  const { migration: m } = step
  const alongside = await historyChange(run.writer.sql, track, m, 'up')
  if (m.backfill) return backfillStep(run, step, options, { reopened, alongside })
  const file = {
    track: m.track,
    migration: m.name,
    direction: 'up' as const,
    phase: m.phase,
    file: m.file,
    resumes: step.resumes,
    foreign: m.foreign !== null,
    permits: await permitsOf(track, step, options.consent),
    alongside,
  }
  const { durationMs, attempts, skipped, findings } = await runFile(run, file, m.transaction)
  const reason = skipped ? `${plural(skipped, 'statement')} already there` : null
  return { outcome: 'done', result: { durationMs, attempts, reason }, skipped, findings }
}

/**
 * Executes a backfill as a step. The ledger records it as done only after the closing sweep found nothing.
 */
async function backfillStep(
  run: Run,
  step: Step,
  options: MigrateOptions,
  { reopened, alongside }: { reopened: boolean; alongside: string | null },
): Promise<Performed> {
  const { ctx } = run
  const start = ctx.clock.now()
  const row = await recordBackfill(run, step.migration)
  // a backfill changes the writer's flush setting
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
  const rows = reopened ? ended.written : ended.result.rows
  if (ended.outcome === 'failed') {
    await row.end('failed', durationMs)
    throw new Stop('attention', ended.findings, {
      backfill: ended.result,
      rows,
      reason: `${plural(ended.result.failed, 'row')} failed`,
    })
  }
  if (ended.outcome !== 'done') {
    await row.end('interrupted', durationMs)
    const paused = !ctx.signal.aborted
    const command = paused ? 'rethread backfill --resume' : null
    const findings = [...ended.findings, finding('INTERRUPTED', step.migration.name, { command })]
    throw new Stop(paused ? 'attention' : 'interrupted', findings, { backfill: ended.result, rows })
  }
  await row.end('done', durationMs, alongside)
  const { result, findings } = ended
  return {
    outcome: 'done',
    result: { durationMs, attempts: 1, rows },
    findings,
    backfill: result,
  }
}
