import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'
import type { Roles } from '../model/mapping.js'
import type { TrackInfo } from '../model/project.js'
import type { Finding, FindingOf } from '../model/report.js'
import { columnText, partText } from '../model/table_name.js'
import { idColumnOf } from './fit_columns.js'
import type { Names } from './names.js'
import type { Proposal } from './propose.js'
import { canChangeType, otherType } from './types_of_ids.sql.js'

/** What is known of a track in a database. */
interface KnownTrack {
  info: TrackInfo
  names: Names
  roles: Roles
  found: Proposal
}

/** Types of ids that a copy of a track can use. */
const adaptableIds = ['uuid', 'bigint', 'integer', 'smallint', 'text', 'varchar']

/**
 * What is lacking, where a WRONG_TYPE of an id also says what can be done: which types a copy can use, or,
 * for a column that cannot hold the ids that it names, the statement that gives it their type.
 */
export async function sayOfIds(sql: Root, lacks: Finding[], known: KnownTrack): Promise<Finding[]> {
  const said: Finding[] = []
  for (const f of lacks) {
    const named = f.code === 'WRONG_TYPE' ? await asTheIds(sql, f, known) : null
    said.push(named ?? withUsableTypes(f, known))
  }
  return said
}

/** True for the finding about the column that a role such as `chats.user_id` is bound to. */
function isAbout(f: Finding, role: string, { names, roles }: KnownTrack): boolean {
  const [entity, column] = role.split('.') as [string, string]
  const table = roles[entity]?.table
  const name = table && columnText(names.table(table), names.column(table, column)?.column ?? column)
  return f.subject === `column ${name}`
}

/** A column that names rows, with another type than their ids; null for other columns. */
async function asTheIds(
  sql: Root,
  f: FindingOf<'WRONG_TYPE'>,
  known: KnownTrack,
): Promise<FindingOf<'WRONG_TYPE'> | null> {
  for (const [entity, columns] of known.found.columns)
    for (const { want, column } of columns) {
      if (want.of === null || !column || !isAbout(f, `${entity}.${want.column}`, known)) continue
      const target = known.found.tables.get(want.of)
      const key = target && idColumnOf(target)
      if (!key || key.base === column.base || !f.facts.wanted.includes(key.base)) return null
      const { table } = known.found.tables.get(entity)!
      const wish = { table, column: column.column, to: key.base }
      const mayChange = await readAside(sql, tx => canChangeType(tx, wish))
      const ids = `${target.table}.${partText(key.column)}`
      const { found, wanted } = f.facts
      return { ...f, facts: { found, wanted, ids, change: mayChange ? otherType(wish) : null } }
    }
  return null
}

/**
 * A WRONG_TYPE for an id that no track can read: with the types that a copy can use, or, for a number that
 * only the application generates, with the need of a default.
 */
function withUsableTypes(f: Finding, known: KnownTrack): Finding {
  if (f.code !== 'WRONG_TYPE' || !f.facts.wanted.includes('uuid')) return f
  const { info } = known
  const { found, wanted } = f.facts
  const typed = Object.keys(info.typed ?? {})
  if (/^(bigint|integer|smallint)$/.test(found))
    return typed.some(role => isAbout(f, role, known))
      ? { ...f, facts: { found, wanted: [...wanted, `${found} with a default`] } }
      : f
  const isId = Object.entries(info.roles ?? {}).some(([entity, { columns }]) =>
    Object.entries(columns).some(
      ([column, { of }]) =>
        typed.includes(of === undefined ? `${entity}.${column}` : `${of}.id`) &&
        isAbout(f, `${entity}.${column}`, known),
    ),
  )
  return isId
    ? { ...f, facts: { found, wanted: [...wanted, ...adaptableIds.filter(t => !wanted.includes(t))] } }
    : f
}
