import type { Plan, Step } from '../model/plan.js'
import type { StepResult } from '../model/report.js'
import { droppedObjects } from '../workspace/dropped_objects.js'
import { parseStatements } from '../workspace/statements.js'
import { hazardsOf } from './hazards.js'
import { sparedBy } from './refuse_destruction.js'

/** Fills in statements and hazards of every step: what `plan` prints is what `migrate` executes. */
export async function describe(plan: Plan): Promise<Plan> {
  const created = new Set<string>()
  const migrations = [...plan.applied, ...plan.steps, ...plan.held].map(m =>
    'migration' in m ? m.migration : m,
  )
  const steps: Step[] = []
  for (const step of plan.steps) {
    const { migration } = step
    const down = step.direction === 'down'
    const file = down ? migration.rollback?.file : migration.file
    const statements = file ? await parseStatements(file.text) : []
    const own = await sparedBy(migrations, statements.flatMap(droppedObjects))
    // what a rollback takes from the quarantine, it puts back: looked at when it runs
    const spared = down ? new Set([...own, 'rethread_archive.quarantine']) : own
    const hazards = hazardsOf(statements, down ? null : migration, created, spared)
    steps.push({ ...step, statements: statements.map(s => s.text), hazards })
  }
  return { ...plan, steps }
}

/** A step as it stands in a report before anything ran. */
export function stepResult(
  step: Step,
  outcome: StepResult['outcome'] = 'planned',
  reason: string | null = null,
): StepResult {
  const { migration: m, direction } = step
  return {
    track: m.track,
    migration: m.name,
    title: direction === 'down' ? (m.rollback?.title ?? m.title) : m.title,
    direction,
    phase: m.phase,
    transaction: direction === 'down' ? (m.rollback?.transaction ?? 'one') : m.transaction,
    outcome,
    durationMs: null,
    attempts: 0,
    reason,
    hazards: step.hazards,
    statements: step.statements,
    rows: null,
    locks: [],
    traces: [],
  }
}
