import { Failure } from '../model/failure.js'
import { dottedText, nameAt } from '../model/table_name.js'
import type { Db } from './types.js'

/** The type in `column t.c any`: a file reads the column as text, which is possible for every type. */
export const anyType = 'any'

/** A required object: its kind, table and name, and its types if some are required. */
interface Wanted {
  object: string
  kind: string
  /** Name of the table, as SQL; for a table, schema, role or function, its own name. */
  relation: string
  name: string
  types: string[] | null
}

/** Reads `column public.chats."My id" uuid|text`, `policy "Own rows" on public.chats` and the like. */
function wantedOf(object: string): Wanted {
  const space = object.indexOf(' ')
  const kind = object.slice(0, Math.max(0, space))
  const text = object.slice(space + 1)
  const found = nameAt(text)
  const wanted = { object, kind, relation: text, name: text, types: null }
  if (!found) return wanted
  const { parts, rest } = found
  const name = parts.at(-1)!
  if (kind === 'column')
    return {
      ...wanted,
      relation: dottedText(parts.slice(0, -1)),
      name,
      types: ['', anyType].includes(rest.trim()) ? null : rest.trim().split('|'),
    }
  const on = / on (.+)$/.exec(rest)?.[1]
  if (on !== undefined) return { ...wanted, relation: on, name }
  return kind === 'table' ? { ...wanted, relation: dottedText(parts) } : { ...wanted, name }
}

/** The schema that an object is looked for in; null where none is named. */
function schemaLookedIn({ kind, relation }: Wanted): string | null {
  if (['schema', 'extension', 'role'].includes(kind)) return null
  const { parts = [] } = nameAt(relation) ?? {}
  return parts.length > 1 ? parts[0]! : null
}

/** Pure: the schema in which a required object is looked for; null where none is named. */
export const schemaOfRequired = (object: string): string | null => schemaLookedIn(wantedOf(object))

/**
 * Names among `objects` that are not there. Each is `table x`, `column t.c`, `column t.c type` (several
 * types with `|`), `function f(args)`, `schema s`, `extension e`, `role r`, `policy p on t`, `trigger g on
 * t`; names are SQL. Throws MISSING_PRIVILEGE where this role may not look into a schema.
 */
export async function missingObjects(sql: Db, objects: string[]): Promise<string[]> {
  const wanted = objects.map(wantedOf).map(w => ({ ...w, space: schemaLookedIn(w) }))
  const rows = await sql<{ object: string; space: string; owner: string | null; role: string }[]>`
    select o.object, o.space, closed.owner, current_user::text as role
    from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb)
      as o (object text, kind text, relation text, name text, types text[], space text)
    left join lateral (
      select pg_get_userbyid(n.nspowner)::text as owner from pg_catalog.pg_namespace n
      where n.nspname = o.space and not has_schema_privilege(n.oid, 'USAGE')
    ) closed on true
    -- the server raises an error for a name in a schema that is closed to us
    where case when closed.owner is not null then true else not case o.kind
      when 'table' then exists (
        select from pg_catalog.pg_class c where c.oid = to_regclass(o.relation) and c.relkind in ('r', 'p', 'v', 'm', 'f'))
      when 'function' then to_regprocedure(o.relation) is not null
      when 'schema' then exists (select from pg_catalog.pg_namespace n where n.nspname = o.name)
      when 'role' then exists (select from pg_catalog.pg_roles r where r.rolname = o.name)
      when 'extension' then exists (select from pg_catalog.pg_extension e where e.extname = o.name)
      when 'column' then exists (
        select from pg_catalog.pg_attribute a join pg_catalog.pg_type y on y.oid = a.atttypid
        where a.attrelid = to_regclass(o.relation) and a.attname = o.name and not a.attisdropped
          -- one of the named types, such as jsonb|json; a domain counts as its base type
          and (o.types is null or coalesce(nullif(y.typbasetype, 0), a.atttypid) in (select to_regtype(t) from unnest(o.types) t)
            -- such a collation takes different texts for equal ones, and refuses regular expressions
            and not exists (select from pg_catalog.pg_collation l where l.oid = a.attcollation and not l.collisdeterministic)))
      when 'policy' then exists (
        select from pg_catalog.pg_policy p where p.polrelid = to_regclass(o.relation) and p.polname = o.name)
      when 'trigger' then exists (
        select from pg_catalog.pg_trigger t where t.tgrelid = to_regclass(o.relation) and t.tgname = o.name)
      else false
    end end`
  for (const { space, owner, role } of rows)
    if (owner !== null)
      throw new Failure('MISSING_PRIVILEGE', `schema ${space}`, { wants: 'USAGE', owner, role })
  return rows.map(r => r.object)
}

/** A column with another type than the required one. */
export interface WrongType {
  /** The requirement: `column t.c type`. */
  required: string
  /** The actual type, with the collation if that is the reason. */
  type: string
}

/** Of the required columns that are missing: those that exist with another type. */
export async function columnsOfOtherType(sql: Db, missing: string[]): Promise<WrongType[]> {
  const typed = missing.map(wantedOf).filter(w => w.kind === 'column' && w.types !== null)
  if (typed.length === 0) return []
  return sql<WrongType[]>`
    select w.object as required, format_type(a.atttypid, a.atttypmod) || coalesce((
        select format(' with the nondeterministic collation %I.%I', n.nspname, l.collname)
        from pg_catalog.pg_collation l join pg_catalog.pg_namespace n on n.oid = l.collnamespace
        where l.oid = a.attcollation and not l.collisdeterministic), '') as type
    from jsonb_to_recordset(${JSON.stringify(typed)}::text::jsonb) as w (object text, relation text, name text)
    join pg_catalog.pg_attribute a
      on a.attrelid = to_regclass(w.relation) and a.attname = w.name and not a.attisdropped and a.attnum > 0`
}
