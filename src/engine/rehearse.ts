import { serverFault } from '../db/fault.js'
import type { Session } from '../db/session.js'
import type { Plan } from '../model/plan.js'
import { type Finding, finding, type Report, type StepResult, type Table } from '../model/report.js'
import { acts, type Migration, silence, type Track } from '../model/workspace.js'
import { type ObjectRow, objects } from '../sql/fingerprint.js'
import { rowEstimate } from '../sql/probe.js'
import { setLocal } from '../sql/session.js'
import { sendText } from '../sql/step.js'
import type { Db } from '../sql/types.js'
import { savepoint, takenBack, transaction } from '../sql/undo.js'
import { parseStatements, type Statement, withoutByteOrderMark } from '../workspace/statements.js'
import { tablesOf } from '../workspace/tables.js'
import { isListing, isOutlook, runCheck } from './check.js'
import { type Context, connect, inside } from './context.js'
import { describe, stepResult } from './describe.js'
import { differences } from './fingerprint.js'
import { compareMoments, replay } from './replay.js'
import { inspect } from './target.js'
import { Tracer, waitedFor } from './trace.js'

/** Longest statement of a rehearsal on the target itself, in milliseconds: it holds its locks that long. */
const statementMs = 10_000

/** What a rehearsal adds to a plan's report. */
export interface Rehearsed {
  steps: StepResult[]
  checks: Report['checks']
  tables: Table[]
  findings: Finding[]
}

/**
 * Executes the plan on the target itself, in one transaction that is rolled back. Its locks are real
 * and are held to the end: short lock time-outs, and a warning. What can't be done there is
 * `not-run` with the reason.
 */
export async function rehearseHere(
  ctx: Context,
  track: Track,
  plan: Plan,
  oldApp: Statement[],
): Promise<Rehearsed> {
  await using session = await connect(ctx, 'writer')
  const described = await describe(plan)
  const steps = described.steps.map(s => stepResult(s, 'not-run', 'an earlier step was not rehearsed'))
  const rehearsed: Rehearsed = {
    steps,
    checks: [],
    tables: [],
    findings: [finding('REHEARSED_HERE', (await inspect(ctx, session)).info.database)],
  }
  await takenBack(transaction(session.sql), async tx => {
    await setLocal(tx, ctx.lockTimeoutMs, statementMs)
    const before = await objects(tx)
    const moments = [{ after: 'before', moment: await replay(oldApp, savepoint(tx)) }]
    const done: Migration[] = []
    for (const [i, step] of described.steps.entries()) {
      const why = await whyNot(tx, step.migration)
      if (why) {
        steps[i] = { ...steps[i]!, reason: why.reason }
        if (why.ends) break
        continue
      }
      steps[i] = await perform(ctx, tx, step.migration.file.text, steps[i]!)
      if (steps[i]!.outcome === 'failed') break
      done.push(step.migration)
    }
    if (oldApp.length > 0) {
      moments.push({
        after: `after ${done.at(-1)?.name ?? 'nothing'}`,
        moment: await replay(oldApp, savepoint(tx)),
      })
      const heard = compareMoments(oldApp, moments)
      rehearsed.tables.push(heard.table)
      rehearsed.findings.push(...heard.findings)
    }
    if (done.length > 0) {
      const applied = new Set([...plan.applied, ...done].map(m => m.name))
      rehearsed.checks = await checked(ctx, tx, session, track, applied)
      await back(ctx, tx, done, before, rehearsed)
    }
  })
  return rehearsed
}

/**
 * Why a step can't be rehearsed inside a transaction on a live target, and whether
 * those after it build on it.
 */
async function whyNot(tx: Db, m: Migration): Promise<{ reason: string; ends: boolean } | null> {
  if (m.backfill) {
    const rows = await rowEstimate(tx, m.backfill.table)
    return rows > 0
      ? {
          reason: `a backfill of ${rows} rows in one transaction would lock them all; \`plan --sample\` measures batches`,
          ends: true,
        }
      : null
  }
  if (m.transaction !== 'none') return null
  const concurrent = (await parseStatements(m.file.text)).some(s => s.node.concurrent)
  return concurrent
    ? {
        reason: 'an index can’t be built concurrently inside a transaction; a copy can: --rehearse-url',
        ends: false,
      }
    : null
}

/** Sends the statements of a file one by one, each with its trace. */
async function perform(ctx: Context, tx: Db, source: string, step: StepResult): Promise<StepResult> {
  const start = ctx.clock.now()
  try {
    const traces = await savepoint(tx)(async inner => {
      const tracer = new Tracer(inner, ctx.clock)
      for (const s of await parseStatements(withoutByteOrderMark(source)))
        await tracer.run(s.text, () => sendText(inner, s.text))
      return tracer.end()
    })
    return { ...step, outcome: 'rolled-back', reason: null, durationMs: ctx.clock.now() - start, traces }
  } catch (error) {
    const fault = serverFault(error)
    if (!fault) throw error
    return { ...step, outcome: 'failed', reason: `${fault.code}: ${fault.message}` }
  }
}

/** All checks, as they would find the database after the plan. */
async function checked(
  ctx: Context,
  tx: Db,
  session: Session,
  track: Track,
  applied: ReadonlySet<string>,
): Promise<Report['checks']> {
  const around = { track, tables: await tablesOf(track), deep: false, scope: savepoint(tx) }
  const results: Report['checks'] = []
  for (const check of track.checks) {
    if (isOutlook(check) || isListing(check) || check.deep) continue
    // what acts would only say that it has nothing to act on yet
    if (acts(check) && silence(check, applied) !== null) continue
    results.push((await runCheck(ctx, inside(session, tx), check, applied, around)).result)
  }
  return results
}

/** The way back, in the same transaction, and whether the schema is then as it was. */
async function back(
  ctx: Context,
  tx: Db,
  done: Migration[],
  before: ObjectRow[],
  rehearsed: Rehearsed,
): Promise<void> {
  const results: StepResult[] = []
  for (const m of [...done].reverse()) {
    if (!m.rollback) continue
    const step = stepResult({ migration: m, direction: 'down', statements: [], hazards: [], resumes: null })
    const result = await perform(ctx, tx, m.rollback.file.text, step)
    results.push(result)
    if (result.outcome === 'failed') {
      rehearsed.findings.push(finding('REHEARSAL_STUCK', m.name, { reason: result.reason }))
      break
    }
  }
  rehearsed.tables.push(downTable(results))
  if (results.every(r => r.outcome !== 'failed'))
    rehearsed.findings.push(
      wayBack('this database', done.length, 'nothing', differences(before, await objects(tx))),
    )
}

/** Objects that a report shows. */
const shown = 20

/** Whether the schema is as it was before, after all of the way back. */
export const wayBack = (where: string, steps: number, lastingIn: string, differing: string[]): Finding =>
  differing.length === 0
    ? finding('REHEARSED', where, { steps, lastingIn })
    : finding('REHEARSAL_DIFFERS', where, { objects: differing.slice(0, shown) })

/** The rollbacks that were rehearsed, with the locks that somebody would have waited for. */
export const downTable = (steps: StepResult[]): Table => ({
  title: 'The way back, rehearsed',
  columns: ['rollback', 'outcome', 'ms', 'locks'],
  rows: steps.map(s => [
    s.migration,
    s.outcome,
    s.durationMs === null ? null : Math.round(s.durationMs),
    waitedFor(s.traces.flatMap(t => t.locks)),
  ]),
})
