import { eventTriggers } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { sessionSettings, setupSql } from '../database/connection.sql.js'
import { mayRunCode } from '../files/runs_code.js'
import { parseStatements } from '../files/statements.js'
import { type Finding, finding } from '../model/report.js'
import { resetAll } from './execute_file.sql.js'
import type { Run } from './run.js'

/** Whether the server has event triggers, for as long as nothing has run that could make one. */
const triggered = new WeakMap<Connection, Promise<boolean>>()

/**
 * Whether what a file runs could leave a role or a setting behind; of a mere declaration
 * only an event trigger could.
 */
export async function mayChangeSession({ writer }: Run, text: string): Promise<boolean> {
  if ((await parseStatements(text)).some(mayRunCode)) {
    // it may make an event trigger, too
    triggered.delete(writer)
    return true
  }
  const known = triggered.get(writer) ?? eventTriggers(writer.sql).then(found => found.length > 0)
  triggered.set(writer, known)
  return known
}

/** A writer's settings after the newest file, for as long as nothing else has changed them. */
const settled = new WeakMap<Connection, Record<string, string>>()

/**
 * Says that a writer's settings may have changed on purpose: the next file starts from what they are then.
 */
export const forgetSettings = (connection: Connection): void => void settled.delete(connection)

/** The settings of a writer as they are before a file. */
export const knownSettings = async ({ writer }: Run): Promise<Record<string, string>> =>
  settled.get(writer) ?? (await sessionSettings(writer.sql))

/** A file that leaves a setting behind changes how the next one runs: it is reported and put back. */
export async function resetLeaked(
  run: Run,
  path: string,
  before: Record<string, string>,
  after: Record<string, string>,
): Promise<Finding[]> {
  const { ctx, writer } = run
  settled.set(writer, before)
  const leaked = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    k => before[k] !== after[k],
  )
  if (leaked.length === 0) return []
  forgetSettings(writer)
  await resetAll(writer.sql, setupSql('writer', ctx.settings, ctx.cores))
  return [finding('SETTINGS_LEAKED', path, { settings: leaked })]
}
