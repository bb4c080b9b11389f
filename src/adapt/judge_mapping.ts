import { relationName, strings } from '../files/statements.js'
import { UsageError } from '../model/failure.js'
import type { Mapping } from '../model/mapping.js'
import { nearest } from '../model/similar.js'
import { dottedText, namesIn } from '../model/table_name.js'
import { bindingOf, type TrackNames } from './names.js'
import { apiKey, settingsKey } from './own_grants.js'

/** Keys of a mapping that are neither table nor column. */
const others: ReadonlySet<string> = new Set(['identity', apiKey, settingsKey])

/** PostgreSQL's limit for a name, in bytes. A longer name cannot exist. */
const longestBytes = 63

/** A table's name with its schema; `public` if it has none. */
const located = (table: string): string => dottedText(['public', ...namesIn(table)!].slice(-2))

/**
 * Separates the columns that the track does not use, which are ignored, from the rest of the mapping. Throws
 * USAGE for a table that the track does not know, and for a column that is probably a misspelling of one of
 * its own.
 */
export function splitMapping(
  track: string,
  names: TrackNames,
  mapping: Mapping,
): { mapping: Mapping; unused: string[] } {
  const unused: string[] = []
  for (const [role, value] of Object.entries(mapping)) {
    if (others.has(role) || isKnown(names, role, value)) continue
    const [entity, column] = role.split('.') as [string, string | undefined]
    const found = names.roles[entity]
    const known = found
      ? [...Object.keys(found.columns), ...(names.own.get(found.table) ?? [])]
      : Object.keys(names.roles)
    const meant = nearest(found && column ? column : entity, known)
    if (!found || !column || meant)
      throw new UsageError(`--map ${role}`, `track ${track} has no such name`, {
        known: found ? known.map(c => `${entity}.${c}`) : known,
        meant: found && meant ? `${entity}.${meant}` : meant,
      })
    unused.push(role)
  }
  const used = Object.entries(mapping).filter(([role]) => !unused.includes(role))
  return { mapping: Object.fromEntries(used), unused }
}

function isKnown(names: TrackNames, role: string, value: Mapping[string] | undefined): boolean {
  const [entity, column] = role.split('.') as [string, string | undefined]
  const found = names.roles[entity]
  const beside = typeof value === 'object' && value?.probe !== undefined
  return Boolean(
    found && (!column || beside || column in found.columns || names.own.get(found.table)?.has(column)),
  )
}

/**
 * Throws USAGE for a key that is no table or column of the track, for a name that is too long, and if two
 * names of the track would become the same.
 */
export function judgeMapping(track: string, names: TrackNames, mapping: Mapping): void {
  for (const [role, value] of Object.entries(mapping)) {
    if (others.has(role)) continue
    if (!isKnown(names, role, value)) throw new UsageError(`--map ${role}`, `track ${track} has no such name`)
    const to = typeof value === 'string' ? namesIn(value)! : [bindingOf(value)?.column ?? '']
    const long = to.find(part => Buffer.byteLength(part) > longestBytes)
    if (long)
      throw new UsageError(`--map ${role}`, `a name has at most ${longestBytes} bytes, \`${long}\` has more`)
  }
  for (const [role, calls] of writtenByTheirs(names)) {
    const to = bindingOf(mapping[role])?.column
    const column = role.split('.')[1]!
    if (to !== undefined && to !== column)
      throw new UsageError(
        `--map ${role}`,
        `a trigger calls ${calls}(), a function of the application, which writes \`${column}\`: the column keeps this name`,
      )
  }
  const tables = Object.entries(names.roles).map(([entity, { table }]) => {
    const to = mapping[entity]
    return { role: entity, to: located(typeof to === 'string' ? to : table) }
  })
  throwIfOne(tables, mapping)
  for (const [entity, { table, columns }] of Object.entries(names.roles)) {
    const all = new Set([...Object.keys(columns), ...(names.own.get(table) ?? [])])
    throwIfOne(
      [...all].flatMap(column => {
        const role = `${entity}.${column}`
        return mapping[role] === null ? [] : [{ role, to: bindingOf(mapping[role])?.column ?? column }]
      }),
      mapping,
    )
  }
}

/**
 * Columns of the track's own tables that a function of the application writes, with that function: it is
 * called after what it updates.
 */
function writtenByTheirs({ roles, statements }: TrackNames): Map<string, string> {
  const made = new Set(
    statements.filter(s => s.kind === 'CreateFunctionStmt').map(s => strings(s.node.funcname).join('.')),
  )
  const written = new Map<string, string>()
  for (const { node } of statements.filter(s => s.kind === 'CreateTrigStmt')) {
    const calls = strings(node.funcname).join('.')
    const column = /\bupdate_(\w+)$/.exec(calls)?.[1]
    const table = relationName(node.relation)
    const entity = Object.keys(roles).find(e => roles[e]!.table === table)
    if (!made.has(calls) && column && entity && roles[entity]!.new) written.set(`${entity}.${column}`, calls)
  }
  return written
}

function throwIfOne(list: { role: string; to: string }[], mapping: Mapping): void {
  const taken = new Map<string, string>()
  for (const { role, to } of list) {
    const other = taken.get(to)
    taken.set(to, role)
    if (other === undefined) continue
    const [mapped, kept] = mapping[role] === undefined ? [other, role] : [role, other]
    throw new UsageError(
      `--map ${mapped}`,
      `the track calls ${kept} \`${to}\` too: add --map ${kept}=<another name>, or correct ${mapped}`,
    )
  }
}
