import { knownOf } from '../database/known.js'
import type { Db } from '../database/types.js'
import { droppedObjects } from '../files/dropped_objects.js'
import { parseStatements, type Statement, statementsOrNone } from '../files/statements.js'
import { fileOfStep, type Held, type Plan, type Step } from '../model/plan.js'
import { sparedBy } from '../run/refuse_destruction.js'
import { judgeStatements } from './hazards.js'

/**
 * Adds the statements, hazards and locks of every step, judged by the catalog. `plan` prints and `migrate`
 * executes the same value. Steps that are held get their hazards only.
 */
export async function describe(plan: Plan, sql: Db): Promise<Plan> {
  if (plan.steps.length + plan.held.length === 0) return plan
  const files: Statement[][] = []
  for (const step of plan.steps) {
    const file = fileOfStep(step)
    files.push(file ? await parseStatements(file.text) : [])
  }
  const later: Statement[][] = []
  for (const { migration } of plan.held) later.push(await statementsOrNone(migration.file.text))
  const known = await knownOf(sql, [...files, ...later].flat())
  const migrations = [...plan.applied, ...plan.steps, ...plan.held].map(m =>
    'migration' in m ? m.migration : m,
  )
  const steps: Step[] = []
  for (const [i, step] of plan.steps.entries()) {
    const statements = files[i]!
    const down = step.direction === 'down'
    const own = await sparedBy(migrations, statements.flatMap(droppedObjects))
    // rows that a rollback deletes from the quarantine are put back; that is checked when it runs
    const spared = down ? new Set([...own, 'rethread_archive.quarantine']) : own
    const judged = judgeStatements(statements, down ? null : step.migration, known, spared)
    steps.push({ ...step, statements: statements.map(s => s.text), ...judged })
  }
  const held: Held[] = []
  for (const [i, h] of plan.held.entries()) {
    const spared = await sparedBy(migrations, later[i]!.flatMap(droppedObjects))
    held.push({ ...h, hazards: judgeStatements(later[i]!, h.migration, known, spared).hazards })
  }
  return { ...plan, steps, held }
}
