import { anyType } from '../database/requirements.sql.js'
import type { RoleHint, Roles } from '../model/mapping.js'
import type { Track } from '../model/project.js'
import { nameAt } from '../model/table_name.js'

/** A column that a track needs. */
export interface WantedColumn {
  column: string
  /** Types that the track can read. Empty if it can read any. */
  types: string[]
  /** The entity whose rows it references. */
  of: string | null
  /** Usual names besides the track's own. */
  called: string[]
  /** Of a reference: true if rows may be without one. */
  nullable: boolean
  /** What holds where a table has none, in words. Null if it must have one. */
  without: string | null
  /** What the track does with it, in words. */
  needed: string | null
}

/** A table of the application's that a track needs. */
export interface WantedTable {
  entity: string
  /** The track's own name of the table, as SQL. */
  table: string
  called: string[]
  columns: WantedColumn[]
  /** The column without which it is no such table, of a type that the track reads. */
  essential?: string | undefined
}

/** The users of Supabase, as the tracks name them. */
export const authUsers = 'auth.users'

/** The types that a track's headers allow for each column, by `schema.table.column`. */
export function requiredTypes(track: Track): Map<string, string[]> {
  const types = new Map<string, string[]>()
  for (const required of track.migrations.flatMap(m => m.requires)) {
    const found = required.startsWith('column ') ? nameAt(required.slice('column '.length)) : null
    if (found && found.rest.trim() !== '' && found.rest.trim() !== anyType)
      types.set(found.parts.join('.'), found.rest.trim().split('|'))
  }
  return types
}

/** The tables that a track needs from an application. Referenced tables come first. */
export function wantedTables(
  track: Track,
  roles: Roles,
  hints: Record<string, RoleHint> | undefined,
): WantedTable[] {
  const types = requiredTypes(track)
  const wanted = Object.entries(roles)
    .filter(([, role]) => !role.new)
    .map(([entity, { table, columns }]) => ({
      entity,
      table,
      called: hints?.[entity]?.called ?? [],
      columns: Object.keys(columns).map(column => ({
        column,
        types: types.get(`${table}.${column}`) ?? [],
        of: hints?.[entity]?.columns[column]?.of ?? null,
        called: hints?.[entity]?.columns[column]?.called ?? [],
        nullable: hints?.[entity]?.columns[column]?.nullable ?? false,
        without: hints?.[entity]?.columns[column]?.optional?.without ?? null,
        needed: hints?.[entity]?.columns[column]?.needed ?? null,
      })),
    }))
  const placed: WantedTable[] = []
  while (placed.length < wanted.length) {
    const next =
      wanted.find(
        w =>
          !placed.includes(w) &&
          w.columns.every(c => c.of === null || placed.some(p => p.entity === c.of) || c.of === w.entity),
      ) ?? wanted.find(w => !placed.includes(w))!
    placed.push(next)
  }
  return placed
}
