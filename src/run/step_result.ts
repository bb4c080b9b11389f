import type { Transaction } from '../model/foreign.js'
import type { Step } from '../model/plan.js'
import type { StepResult } from '../model/report.js'

/** How a report shows a transaction. What is not decided yet counts as one. */
const shownTransaction = (transaction: Transaction): StepResult['transaction'] =>
  transaction === 'as-needed' ? 'one' : transaction === 'each' ? 'parts' : transaction

/** A step for the report before it has run. */
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
    transaction: shownTransaction(direction === 'down' ? (m.rollback?.transaction ?? 'one') : m.transaction),
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
