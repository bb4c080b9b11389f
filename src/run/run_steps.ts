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

/** What umzug asks what is executed. */
export type StepStorage = UmzugStorage

/** What executing one step came to. */
export interface Performed {
  /** `failed` and `not-run` are those of a rehearsal, which stops nobody's work; a run throws. */
  outcome: 'done' | 'rolled-back' | 'failed' | 'not-run'
  /** What the report says of it besides. */
  result?: Partial<Omit<StepResult, 'outcome'>>
  /** Statements that were done already. */
  skipped?: number
  findings?: Finding[]
  backfill?: BackfillResult
  /** The steps after this one build on it: none of them runs. */
  ends?: boolean
}

/** What is executed: the steps of a plan and what they need. */
export interface StepsToRun {
  track: Track
  plan: Plan
  /** What is executed so far: the ledger, or a rehearsal's own account of it. */
  storage: UmzugStorage
  perform(step: Step): Promise<Performed>
  /** What keeps a step from beginning; nothing where it may. */
  gate?(step: Step): Promise<FindingOf<'GATE'>[]>
  /** Why a step did not run that was never reached. */
  unreached?: string
}

/** What became of the steps, of each one that was planned. */
export interface Ran {
  steps: StepResult[]
  done: Step[]
  findings: Finding[]
  backfill: BackfillResult[]
  /** `attention`: a gate or a pause stopped it. What failed is seen in the steps and the findings. */
  verdict: 'clean' | 'attention' | 'interrupted'
}

/**
 * A stop that is no error: a gate found rows, rows of a backfill failed, it was paused, or somebody pressed
 * Ctrl-C.
 */
export class Stop extends Error {
  constructor(
    readonly verdict: 'attention' | 'interrupted',
    readonly findings: Finding[],
    /** How far the step came, and why no further. */
    readonly reached: { backfill?: BackfillResult; rows?: number; reason?: string } = {},
  ) {
    super(verdict)
  }
}

/** Ends umzug's loop after the reason has been noted. */
class Halt extends Error {}

/**
 * umzug's view of the ledger; a finished backfill with rows to do again counts as not executed. Its rows are
 * written in each step's own transaction, so that there is nothing left to log: a row written afterwards
 * would be lost with a connection that breaks in between.
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

/**
 * The account of a rehearsal, which writes no ledger: what was applied before, and what it executed itself.
 */
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
  report.findings.push(...ran.findings)
  report.backfill.push(...ran.backfill)
  report.verdict = ran.verdict
}

/** Somebody asked it to stop: a step that ends so has not failed. */
const isStop = (error: unknown): boolean =>
  error instanceof Stop || (error instanceof Failure && error.finding.code === 'INTERRUPTED')

/**
 * umzug over a track and its ledger. A name that is asked for and not pending (or, for the way back, not
 * executed) is refused by umzug itself. Loaded when something is to run.
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

/** Has umzug run the steps of a plan in their order. */
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
    // umzug wraps what a step throws
    throw thrown ?? error
  }
}
