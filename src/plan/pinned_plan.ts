import type { Connection } from '../database/connection.js'
import type { Target } from '../database/server.js'
import { systemIdentifier } from '../database/server.sql.js'
import type { Db } from '../database/types.js'
import type { DatabaseIdentity, Pin } from '../model/pin.js'
import type { Plan } from '../model/plan.js'
import { type Finding, finding } from '../model/report.js'
import type { History } from '../run/ledger_history.js'
import { changedObjects } from '../run/schema_snapshot.js'
import { catalogOf, objects } from '../run/schema_snapshot.sql.js'
import type { PlanOptions } from './make_plan.js'

/** The plan with everything that it depends on, for comparison later. */
export async function pinOf(
  connection: Connection,
  plan: Plan,
  history: History,
  options: PlanOptions,
  target: Target,
): Promise<Pin> {
  return {
    format: 1,
    track: plan.track,
    database: await identityOf(connection.sql, target),
    wish: { to: options.to, phase: options.phase, backfills: options.backfills },
    steps: plan.steps.map(s => ({ migration: s.migration.name, checksum: s.migration.file.checksum })),
    applied: plan.applied.map(m => ({ migration: m.name, checksum: history.applied.get(m.name)!.checksum })),
    hazards: [...new Set(plan.steps.flatMap(s => s.hazards.map(h => h.code)))].sort(),
    major: target.major,
    catalog: catalogOf(await objects(connection.sql)),
  }
}

/** The options of a run. What is not given is taken from the pinned plan, else it is the default. */
export const wishOf = (
  asked: { [Name in keyof PlanOptions]?: PlanOptions[Name] | undefined },
  pin: Pin | null = null,
): PlanOptions => ({
  to: asked.to ?? pin?.wish.to ?? null,
  phase: asked.phase ?? pin?.wish.phase ?? null,
  backfills: asked.backfills ?? pin?.wish.backfills ?? true,
})

/** What identifies the database. */
export const identityOf = async (sql: Db, { facts }: Target): Promise<DatabaseIdentity> => ({
  name: facts.database,
  system: await systemIdentifier(sql),
})

/** The differences between two databases, in words. Empty if they may be the same. */
export function compareDatabases(then: DatabaseIdentity, now: DatabaseIdentity): string[] {
  return [
    ...(then.name === now.name ? [] : [`the database was ${then.name}, and is ${now.name}`]),
    ...(then.system === null || now.system === null || then.system === now.system
      ? []
      : [`the server is another one: its system identifier was ${then.system}, and is ${now.system}`]),
  ]
}

/** PLAN_CHANGED with what has changed since a plan was pinned. Empty if it is still valid. */
export function judgePin(pin: Pin, now: Pin): Finding[] {
  const changes: string[] = []
  if (pin.track !== now.track) changes.push(`the track was ${pin.track}, and is ${now.track}`)
  changes.push(
    ...compareDatabases(pin.database, now.database),
    ...compareSteps('step', pin.steps, now.steps),
    ...compareSteps('applied', pin.applied, now.applied),
  )
  for (const h of now.hazards) if (!pin.hazards.includes(h)) changes.push(`hazard ${h} was not in the plan`)
  if (pin.major !== now.major) changes.push(`the server was PostgreSQL ${pin.major}, and is ${now.major}`)
  else changes.push(...changedObjects(pin.catalog, now.catalog).map(o => `schema: ${o}`))
  return changes.length === 0 ? [] : [finding('PLAN_CHANGED', pin.track, { changes: changes.slice(0, 30) })]
}

/** Pure: which migrations of a list were added, removed or changed, in words. */
export function compareSteps(what: string, then: Pin['steps'], now: Pin['steps']): string[] {
  const old = new Map(then.map(s => [s.migration, s.checksum]))
  const fresh = new Map(now.map(s => [s.migration, s.checksum]))
  return [
    ...then
      .filter(s => !fresh.has(s.migration))
      .map(s => `${what} ${s.migration} was in the plan and is not now`),
    ...now.filter(s => !old.has(s.migration)).map(s => `${what} ${s.migration} was not in the plan`),
    ...now
      .filter(s => old.has(s.migration) && old.get(s.migration) !== s.checksum)
      .map(s => `the file of ${what} ${s.migration} has changed`),
  ]
}
