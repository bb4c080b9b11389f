import { type Node, pathName, relationName, type Statement, strings } from '../files/statements.js'
import { type Trigger, type TriggerEvent, triggerBits } from './firing_triggers.sql.js'

/** What a statement that fires triggers does. */
interface Firing {
  /** The table that it writes and all that inherits from it. */
  tables: string[]
  events: TriggerEvent[]
  /** The columns that an update sets. */
  columns: string[]
}

/** Pure: the triggers that are fired once these statements have run, from those that are fired now. */
export function triggersAfter(statements: Statement[], now: Trigger[], firing: Firing): Trigger[] {
  const found = new Map(now.map(t => [placeOf(t.table, t.name), t]))
  for (const { kind, node, text } of statements) {
    if (kind === 'CreateTrigStmt') {
      const made = triggerOf(node, text)
      if (firing.tables.includes(made.table) && fires(node, firing))
        found.set(placeOf(made.table, made.name), made)
      else found.delete(placeOf(made.table, made.name))
    }
    if (kind === 'DropStmt' && node.removeType === 'OBJECT_TRIGGER')
      for (const object of node.objects) {
        const path = strings([object])
        found.delete(placeOf(pathName(path.slice(0, -1)), path.at(-1)!))
      }
    if (kind === 'AlterTableStmt')
      for (const { AlterTableCmd: cmd } of node.cmds) enables(found, relationName(node.relation), cmd)
  }
  return [...found.values()].filter(t => t.enabled !== 'D')
}

const placeOf = (table: string, name: string): string => JSON.stringify([table, name])

const triggerOf = (node: Node, definition: string): Trigger => ({
  table: relationName(node.relation),
  name: node.trigname,
  function: pathName(strings(node.funcname)),
  enabled: 'O',
  definition,
})

/** Whether a trigger is for one of the events, and of an update for one of the columns. */
function fires({ events, columns }: Node, firing: Firing): boolean {
  const only = strings(columns)
  return firing.events.some(
    event =>
      (events & triggerBits[event]) !== 0 &&
      (event !== 'UPDATE' || only.length === 0 || only.some(column => firing.columns.includes(column))),
  )
}

/** What ALTER TABLE does to triggers: disabled ones stay known, as an ENABLE may follow. */
function enables(found: Map<string, Trigger>, table: string, cmd: Node): void {
  const enabled = enabledBy[cmd.subtype as keyof typeof enabledBy]
  if (!enabled) return
  for (const [key, t] of found)
    if (t.table === table && (!cmd.name || t.name === cmd.name)) found.set(key, { ...t, enabled })
}

const enabledBy = {
  AT_EnableTrig: 'O',
  AT_EnableTrigAll: 'O',
  AT_EnableTrigUser: 'O',
  AT_EnableAlwaysTrig: 'A',
  AT_EnableReplicaTrig: 'R',
  AT_DisableTrig: 'D',
  AT_DisableTrigAll: 'D',
  AT_DisableTrigUser: 'D',
} as const
