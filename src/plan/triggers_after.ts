import { type Node, pathName, relationName, type Statement, strings } from '../files/statements.js'
import { type Trigger, type TriggerEvent, triggerBits } from './firing_triggers.sql.js'

/** A statement that fires triggers. */
interface Firing {
  /** The written table and its descendants. */
  tables: string[]
  events: TriggerEvent[]
  /** The columns that an UPDATE sets. */
  columns: string[]
}

/** Pure: which triggers will fire after these statements, given the triggers that fire now. */
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

/** Whether a trigger is for one of the events and, for UPDATE OF, one of the columns. */
function fires({ events, columns }: Node, firing: Firing): boolean {
  const only = strings(columns)
  return firing.events.some(
    event =>
      (events & triggerBits[event]) !== 0 &&
      (event !== 'UPDATE' || only.length === 0 || only.some(column => firing.columns.includes(column))),
  )
}

/** ALTER TABLE ENABLE and DISABLE TRIGGER. A disabled trigger is kept, because it may be enabled later. */
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
