import { archiveColumn, archivesTable, sealArchives, sealBroken } from '../archive/archive.js'
import { noteMade } from '../archive/archive.sql.js'
import { archiveInstead } from '../archive/archive_statement.js'
import { droppedBy, nameOf, type ObjectAtRisk } from '../archive/loss_report.js'
import { notPutBack, rehearsePutBack } from '../archive/rehearse_put_back.js'
import { closeBackfill } from '../backfill/run_backfill.sql.js'
import { type Context, connect } from '../database/context.js'
import { readAgainOn } from '../database/faults.js'
import { inspect } from '../database/server.js'
import { droppedObjects } from '../files/dropped_objects.js'
import { parseStatements } from '../files/statements.js'
import { historyChange } from '../histories/read_history.js'
import { findingsOf } from '../model/failure.js'
import type { Step } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { finding, isSevere, type Report, verdictOf } from '../model/report.js'
import { outdated } from '../plan/consent.js'
import { undoCommand } from '../plan/next_command.js'
import type { FileStep } from '../run/execute_file.js'
import { inRun } from '../run/in_run.js'
import { record } from '../run/ledger_rows.js'
import { openRun } from '../run/open_run.js'
import { sparedBy } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { runFile } from '../run/run_file.js'
import { ledgerStorage, type Performed, reportRan, runSteps } from '../run/run_steps.js'
import { exactness, storeFingerprint } from '../run/schema_snapshot.js'
import { stepResult } from '../run/step_result.js'
import {
  lossTitle,
  type PlannedRollback,
  planRollback,
  type RollbackOptions,
  rollbackConsent,
} from './plan_rollback.js'

/** Undoes migrations in reverse order: loss report, guards, archive, then the files. */
export async function rollback(given: Context, track: Track, options: RollbackOptions): Promise<Report> {
  const ctx = { ...given, cores: 1 }
  const approved = await approve(ctx, track, options)
  const { report } = approved
  if (report.verdict !== 'clean' || approved.plan.steps.length === 0) {
    report.steps = report.steps.map(s => ({
      ...s,
      outcome: 'not-run',
      reason: 'refused before the first step',
    }))
    return report
  }
  delete report.next
  const run = await openRun(ctx, 'rollback', options.leaseWaitMs)
  return inRun(run, report, async () => {
    // plan again under the lease: what runs must be what was approved
    const now = await planRollback(run.writer, run.target, track, options)
    const refused =
      now.plan.steps.length === 0
        ? [finding('NOTHING_TO_DO', track.name, { applied: now.plan.applied.length })]
        : [
            ...outdated(approved.plan, now.plan, options.consent),
            ...rollbackConsent(now.plan, options, run.target.info.database),
            ...now.report.findings.filter(isSevere),
          ]
    if (refused.length > 0) {
      const reason =
        now.plan.steps.length === 0
          ? 'another run undid it meanwhile'
          : 'the plan changed after it was approved'
      const shown = now.plan.steps.length === 0 ? approved.plan : now.plan
      report.steps = shown.steps.map(s => stepResult(s, 'not-run', reason))
      report.findings.push(...refused)
    } else await executeRollback(run, track, now, report)
    report.verdict = verdictOf(report)
  })
}

/** What the server says where another run has just dropped what is read here. */
const undoneMeanwhile = ['42P01', '42703', '42883', '3F000']
/** A run that undoes several steps may be met more than once. */
const mostApprovals = 5

/**
 * The plan and whether it may run, before the lease is taken. What is tried is rolled back. If another run
 * undoes a step meanwhile, the history is read again.
 */
const approve = (ctx: Context, track: Track, options: RollbackOptions): Promise<PlannedRollback> =>
  readAgainOn({ states: undoneMeanwhile, most: mostApprovals }, () => approveOnce(ctx, track, options))

async function approveOnce(ctx: Context, track: Track, options: RollbackOptions): Promise<PlannedRollback> {
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  const planned = await planRollback(connection, target, track, options)
  const { plan, report } = planned
  if (plan.steps.length === 0) await sealBroken(ctx, connection, track.name, options.leaseWaitMs)
  if (!plan.findings.some(f => f.level === 'error')) {
    const undone = plan.steps.map(s => s.migration)
    const rehearsed = await rehearsePutBack(connection, undone, ctx.lockTimeoutMs, rehearsalTimeoutMs)
    report.findings.push(...rehearsed.refused)
  }
  report.findings.push(
    ...(plan.steps.length === 0
      ? [finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length })]
      : rollbackConsent(plan, options, target.info.database)),
  )
  if (plan.steps.length > 0) report.next = undoCommand(track.name, options, report.findings, options.consent)
  report.verdict = verdictOf(report)
  return planned
}

/** Time limit for trying one statement that puts rows back, in milliseconds. */
const rehearsalTimeoutMs = 5000

const nothing: ReadonlySet<string> = new Set()

async function executeRollback(
  run: Run,
  track: Track,
  planned: PlannedRollback,
  report: Report,
): Promise<void> {
  const { plan } = planned
  const captures = new Map<string, number>()
  let undone = false
  try {
    // archive columns before anything is dropped
    await capture(run, track, planned.lost, captures)
    const ran = await runSteps(run.ctx, {
      track,
      plan,
      storage: ledgerStorage(run, track.name, { begun: new Set(plan.steps.map(s => s.migration.name)) }),
      perform: step => perform(run, track, step, captures),
    })
    reportRan(report, ran)
    if (!run.writer.lost) {
      const left = await notPutBack(
        run.writer.sql,
        ran.done.map(s => s.migration),
      )
      report.findings.push(...left)
      if (left.length > 0 && report.verdict === 'clean') report.verdict = 'attention'
    }
    undone = ran.done.length === plan.steps.length
    if (undone) for (const t of report.tables) if (t.title === lossTitle) t.title = 'What was removed'
  } catch (error) {
    report.steps = plan.steps.map(s => stepResult(s, 'not-run', 'what it would drop could not be archived'))
    report.findings.push(...findingsOf(error))
  }
  if (run.writer.lost) return
  const sealed = undone ? await sealArchives(run, track.name) : []
  for (const a of sealed) {
    const loss = planned.lost.find(l => l.table === a.relation && l.column === a.column && l.counted)
    if (loss) await noteMade(run.writer.sql, a.id, loss.atRisk)
  }
  if (sealed.length > 0) {
    report.tables.push(archivesTable(sealed))
    report.findings.push(
      finding('ARCHIVED', `r${run.id}`, {
        rows: sealed.reduce((n, a) => n + a.rows, 0),
        command: 'rethread restore latest',
      }),
    )
  }
  await storeFingerprint(run, planned.drift)
  if (undone) report.findings.push(...(await exactness(run, track, plan.steps.at(-1)!.migration)))
}

/** Copies the values of columns that would be lost, each column once per run. */
async function capture(
  run: Run,
  track: Track,
  objects: ObjectAtRisk[],
  captures: Map<string, number>,
): Promise<void> {
  for (const d of objects)
    if (d.column && !captures.has(nameOf(d))) captures.set(nameOf(d), await archiveColumn(run, track.name, d))
}

/**
 * Undoes one migration: runs its rollback file, in which drops become moves to the archive, or adds a row
 * that names the migration that undoes it.
 */
async function perform(
  run: Run,
  track: Track,
  { migration: m, resumes }: Step,
  captures: Map<string, number>,
): Promise<Performed> {
  if (m.backfill) await closeBackfill(run.writer.sql, m.track, m.name)
  const alongside = await historyChange(run.writer.sql, track, m, 'down')
  if (!m.rollback) {
    await record(run, m, 'down', 'done', { alongside })
    return {
      outcome: 'done',
      result: { reason: m.undoneBy ? `undone with ${m.undoneBy}` : `irreversible: ${m.irreversible}` },
    }
  }
  const { file, transaction } = m.rollback
  const spared = await sparedBy(track.migrations, (await parseStatements(file.text)).flatMap(droppedObjects))
  const step: FileStep = {
    track: m.track,
    migration: m.name,
    direction: 'down',
    phase: m.phase,
    file,
    resumes,
    foreign: m.foreign !== null,
    permits: { keys: nothing, spared, everything: false, wanted: 'archive' },
    alongside,
  }
  // an earlier step may have created or renamed what this one drops
  await capture(run, track, (await droppedBy(run.writer, track, [m])).found, captures)
  const instead: FileStep['instead'] = (tx, statement, existed) =>
    archiveInstead({ run, tx, migration: m, captures, spared, existed }, statement)
  const { attempts, findings } = await runFile(run, { ...step, instead }, transaction)
  return { outcome: 'done', result: { attempts }, findings }
}
