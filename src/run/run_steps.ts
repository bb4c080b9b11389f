import type { MigrationParams, UmzugStorage } from 'umzug'
import type { Context } from '../database/context.js'
import type { FindingOf } from '../model/facts.js'
import { Failure, findingsOf } from '../model/failure.js'
import type { Plan, Step } from '../model/plan.js'
import { idOf, type Track } from '../model/project.js'
import { type BackfillResult, type Finding, finding, type Report, type StepResult } from '../model/report.js'
import { readLedger } from './ledger.sql.js'
import { foldLedger } from './ledger_history.js'
import type { Run } from './run.js'
import { stepResult } from './step_result.js'

/** The type of umzug's storage, which knows what is executed. */
export type StepStorage = UmzugStorage

/** The result of executing one step. */
export interface Performed {
  /** `failed` and `not-run` only occur in rehearsals, which continue. A run throws instead. */
  outcome: 'done' | 'rolled-back' | 'failed' | 'not-run'
  /** Further parts of the step's result in the report. */
  result?: Partial<Omit<StepResult, 'outcome'>>
  /** Statements that were skipped because they were already done. */
  skipped?: number
  findings?: Finding[]
  backfill?: BackfillResult
  /** True if the following steps depend on it and cannot run. */
  ends?: boolean
}

/** The steps of a plan, and how to execute them. */
export interface StepsToRun {
  track: Track
  plan: Plan
  /** What is executed so far, from the ledger or a rehearsal's own list. */
  storage: UmzugStorage
  perform(step: Step): Promise<Performed>
  /** The findings that prevent a step from starting. Empty if it may start. */
  gate?(step: Step): Promise<FindingOf<'GATE'>[]>
  /** The reason for steps that were never reached. */
  unreached?: string
}

/** The result of all planned steps. */
export interface Ran {
  steps: StepResult[]
  done: Step[]
  findings: Finding[]
  backfill: BackfillResult[]
  /** `attention`: a gate or a pause stopped it. Failures are in the steps and findings. */
  verdict: 'clean' | 'attention' | 'interrupted'
}

/** A stop that is no error: a gate found rows, rows of a backfill failed, it was paused, or Ctrl-C. */
export class Stop extends Error {
  constructor(
    readonly verdict: 'attention' | 'interrupted',
    readonly findings: Finding[],
    /** The progress of the step, and why it stopped. */
    readonly reached: { backfill?: BackfillResult; rows?: number; reason?: string } = {},
  ) {
    super(verdict)
  }
}

/** Ends umzug's loop after the reason was recorded. */
class Halt extends Error {}

/**
 * The ledger as umzug's storage. A finished backfill with pending rows counts as not executed. Rows are
 * written in each step's own transaction, so there is nothing to log: a row written later would be lost if
 * the connection broke in between.
 */
export const ledgerStorage = (
  { writer }: Pick<Run, 'writer'>,
  track: string,
  { reopened, begun }: { reopened?: ReadonlySet<string>; begun?: ReadonlySet<string> } = {},
): UmzugStorage => ({
  executed: async () => {
    const { applied, unfinished } = foldLedger(await readLedger(writer.sql), track)
    const halfDone = [...unfinished.keys()].filter(name => begun?.has(name) && !applied.has(name))
    return [...applied.keys(), ...halfDone]
      .filter(name => !reopened?.has(name))
      .map(name => idOf({ track, name }))
  },
  logMigration: async () => {},
  unlogMigration: async () => {},
})

/** The storage of a rehearsal, which writes no ledger: what was applied before, and what it has executed. */
export function rehearsalStorage(applied: Iterable<string>): UmzugStorage {
  const executed = new Set(applied)
  return {
    executed: async () => [...executed],
    logMigration: async ({ name }: MigrationParams<unknown>) => void executed.add(name),
    unlogMigration: async ({ name }: MigrationParams<unknown>) => void executed.delete(name),
  }
}

/**
 * The one loop over steps, of migrations, rollbacks, restores and rehearsals. It runs them in the plan's
 * order until one ends it: a fault, a gate, Ctrl-C. Every planned step is in what comes back, with the reason
 * where it did not run. What a step throws is in the findings; only a fault of the loop itself is thrown.
 *
 *   not-run -> done | rolled-back | failed | interrupted | not-run (with its own reason)
 *
 * Nothing leaves the states on the right.
 */
export async function runSteps(ctx: StepContext, steps: StepsToRun): Promise<Ran> {
  const { track, plan, storage, unreached = 'an earlier step did not finish' } = steps
  const planned = new Map<string, PlannedStep>(
    plan.steps.map((step, i) => [
      idOf(step.migration),
      { step, index: i + 1, result: stepResult(step, 'not-run', unreached) },
    ]),
  )
  const ran: Ran = { steps: [], done: [], findings: [], backfill: [], verdict: 'clean' }
  try {
    await inOrder(track, plan, storage, id => runStep(ctx, steps, planned.get(id)!, ran))
  } catch (error) {
    if (error instanceof Stop) {
      ran.findings.push(...error.findings)
      ran.verdict = error.verdict
    } else if (!(error instanceof Halt)) {
      ran.findings.push(...findingsOf(error))
      if (isStop(error)) ran.verdict = 'interrupted'
    }
  }
  ran.steps = [...planned.values()].map(p => p.result)
  return ran
}

type StepContext = Pick<Context, 'emit' | 'clock' | 'signal'>

/** A step, its place from 1 on, and what the report says of it so far. */
interface PlannedStep {
  step: Step
  index: number
  result: StepResult
}

/** Runs one step and notes what became of it. Throws what ends the loop. */
async function runStep(
  ctx: StepContext,
  { plan, perform, gate }: StepsToRun,
  { step, index, result }: PlannedStep,
  ran: Ran,
): Promise<void> {
  const { migration, direction } = step
  const { name, phase } = migration
  const note = (change: Partial<StepResult>) => Object.assign(result, change)
  if (ctx.signal.aborted) {
    note({ reason: 'interrupted before it began' })
    throw new Stop('interrupted', [finding('INTERRUPTED', name, { command: null })])
  }
  const closed = (await gate?.(step)) ?? []
  if (closed.length > 0) {
    note({ reason: `gate ${closed[0]!.facts.check} found rows` })
    throw new Stop('attention', closed)
  }
  const of = plan.steps.length
  const { title } = result
  ctx.emit({ type: 'step-start', migration: name, title, phase, direction, index, of })
  const start = ctx.clock.now()
  const took = () => ctx.clock.now() - start
  let performed: Performed
  try {
    performed = await perform(step)
  } catch (error) {
    const { backfill, rows = null, reason = null } = error instanceof Stop ? error.reached : {}
    note({ outcome: isStop(error) ? 'interrupted' : 'failed', durationMs: took(), rows, reason })
    if (backfill) ran.backfill.push(backfill)
    throw error
  }
  const { outcome, skipped = 0, findings = [], backfill, ends } = performed
  note({ durationMs: outcome === 'not-run' ? null : took(), reason: null, ...performed.result, outcome })
  ran.findings.push(...findings)
  if (backfill) ran.backfill.push(backfill)
  if (outcome === 'done' || outcome === 'rolled-back') {
    ran.done.push(step)
    const { durationMs, rows } = result
    ctx.emit({ type: 'step-done', migration: name, durationMs: durationMs ?? 0, rows, skipped })
  }
  if (ends) throw new Halt()
}

/** Puts what became of the steps into a command's report. */
export function reportRan(report: Report, ran: Ran): void {
  report.steps = ran.steps
  const finished = new Set(ran.done.map(step => step.migration.file.path))
  report.findings = report.findings.map(f =>
    f.code === 'UNFINISHED' && finished.has(f.subject)
      ? finding('UNFINISHED', f.subject, { ...f.facts, goneOn: true }, 'info')
      : f,
  )
  report.findings.push(...stillInPlace(ran.findings))
  report.backfill.push(...ran.backfill)
  report.verdict = ran.verdict
}

/** The findings without the rows set aside that a later step of the same run took out of their table. */
function stillInPlace(findings: Finding[]): Finding[] {
  const taken = new Map<string, number>()
  for (const f of findings)
    if (f.code === 'QUARANTINED' && f.facts.takenOut)
      taken.set(f.subject, (taken.get(f.subject) ?? 0) + f.facts.rows)
  return findings.flatMap(f => {
    if (f.code !== 'QUARANTINED' || f.facts.takenOut || f.facts.parts) return [f]
    const rows = f.facts.rows - (taken.get(f.subject) ?? 0)
    return rows > 0 ? [finding('QUARANTINED', f.subject, { ...f.facts, rows })] : []
  })
}

/** True for an error that means that the run is to stop. The step has not failed. */
const isStop = (error: unknown): boolean =>
  error instanceof Stop || (error instanceof Failure && error.finding.code === 'INTERRUPTED')

/**
 * Makes an umzug for a track and its ledger. umzug itself refuses a name that is not pending (for a rollback:
 * not executed). It is loaded when there is something to run.
 */
export async function runnerOf(
  track: Track,
  storage: UmzugStorage,
  run: (id: string) => Promise<void> = async () => {},
) {
  const { Umzug } = await import('./umzug.js')
  return new Umzug({
    migrations: track.migrations.map(m => {
      const id = idOf(m)
      return { name: id, up: () => run(id), down: () => run(id) }
    }),
    storage,
    logger: undefined,
  })
}

/** Lets umzug run the steps of a plan in order. */
async function inOrder(
  track: Track,
  plan: Plan,
  storage: UmzugStorage,
  run: (id: string) => Promise<void>,
): Promise<void> {
  const migrations = plan.steps.map(s => idOf(s.migration))
  let thrown: unknown
  const runner = await runnerOf(track, storage, async id => {
    try {
      await run(id)
    } catch (error) {
      thrown = error
      throw error
    }
  })
  try {
    if (plan.steps[0]?.direction === 'down') await runner.down({ migrations })
    else await runner.up({ migrations })
  } catch (error) {
    // umzug wraps the error of a step
    throw thrown ?? error
  }
}
