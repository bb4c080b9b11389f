import { eventTriggers } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { sessionSettings, setupSql } from '../database/connection.sql.js'
import { mayRunCode } from '../files/runs_code.js'
import { parseStatements } from '../files/statements.js'
import { type Finding, finding } from '../model/report.js'
import { resetAll } from './execute_file.sql.js'
import type { Run } from './run.js'

/** Whether the server has event triggers. Valid until something runs that could create one. */
const triggered = new WeakMap<Connection, Promise<boolean>>()

/**
 * Whether a file could leave a changed role or setting. For plain declarations only an event trigger could.
 */
export async function mayChangeSession({ writer }: Run, text: string): Promise<boolean> {
  if ((await parseStatements(text)).some(mayRunCode)) {
    // it may also create an event trigger
    triggered.delete(writer)
    return true
  }
  const known = triggered.get(writer) ?? eventTriggers(writer.sql).then(found => found.length > 0)
  triggered.set(writer, known)
  return known
}

/** A writer's settings after the newest file. Valid until something else changes them. */
const settled = new WeakMap<Connection, Record<string, string>>()

/** Forgets a writer's settings because they may have been changed on purpose. */
export const forgetSettings = (connection: Connection): void => void settled.delete(connection)

/** The settings of a writer before a file. */
export const knownSettings = async ({ writer }: Run): Promise<Record<string, string>> =>
  settled.get(writer) ?? (await sessionSettings(writer.sql))

/** Reports and resets a setting that a file has left changed, because it would affect the next file. */
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
