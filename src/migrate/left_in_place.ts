import { rollbackCommand } from '../archive/loss_report.js'
import { parseStatements } from '../files/statements.js'
import { isOneWay } from '../model/foreign.js'
import type { Plan } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import type { Run } from '../run/run.js'
import type { Ran } from '../run/run_steps.js'
import { trialsOf } from '../run/try_triggers.js'

/** After a step that failed: which parts of the track are applied, and the command that undoes them. */
export async function leftInPlace(run: Run, track: Track, plan: Plan, ran: Ran): Promise<Finding[]> {
  const failed = ran.steps.find(s => s.outcome === 'failed')
  const applied = [...plan.applied, ...ran.done.map(s => s.migration)]
  if (!failed || applied.length === 0) return []
  const triggers = await triggersLeft(applied)
  const command = applied.some(isOneWay)
    ? null
    : await rollbackCommand(track, null, applied, run.target.info.database)
  const migrations = applied.map(m => m.name)
  return [finding('LEFT_IN_PLACE', track.name, { failed: failed.migration, migrations, triggers, command })]
}

/** Triggers that migrations have added to existing tables and not dropped. */
async function triggersLeft(applied: Migration[]): Promise<string[]> {
  const statements = (await Promise.all(applied.map(m => parseStatements(m.file.text)))).flat()
  return trialsOf(statements).flatMap(t => t.triggers.map(name => `${name} on ${t.table}`))
}
