import { type Db, ident, literal } from '../database/types.js'
import type { Persona } from '../model/project.js'

/**
 * Makes the rest of the transaction run as a persona, with the settings of an API request: role, claims in
 * both forms that auth.uid() reads, and row security on.
 */
export async function become(sql: Db, persona: Persona): Promise<void> {
  await sql.unsafe(becoming(persona))
}

/** The SQL of `become`. */
export const becoming = (persona: Persona): string => {
  const sub = typeof persona.claims.sub === 'string' ? persona.claims.sub : ''
  const settings = ['request.jwt.claim.sub', ...(persona.settings ?? ['app.user_id'])]
  const said = settings.map(setting => settingTo(setting, sub, persona)).join(', ')
  return `select set_config('request.jwt.claims', ${literal(JSON.stringify(persona.claims))}, true), ${said},
      set_config('row_security', 'on', true);
    set local role ${ident(persona.role)}`
}

/**
 * Sets a setting to the id of a persona; of `request.jwt.claims->>sub`, the key of its JSON value. Who has no
 * id has no such key.
 */
function settingTo(setting: string, id: string, { claims }: Persona): string {
  const [name, key] = setting.split('->>') as [string, string | undefined]
  const others = name === 'request.jwt.claims' ? claims : {}
  const value = key === undefined ? id : JSON.stringify(id === '' ? others : { ...others, [key]: id })
  return `set_config(${literal(name)}, ${literal(value)}, true)`
}

/** Returns to the connecting role, without row security. */
export async function becomeUs(sql: Db): Promise<void> {
  await sql.unsafe(becomingUs)
}

/** The SQL of `becomeUs`. */
export const becomingUs = "reset role; select set_config('row_security', 'off', true)"

/** Runs the statements of a file. Returns the rows of the last one. */
export async function seedRows(sql: Db, text: string): Promise<Record<string, unknown>[]> {
  const results = (await sql.unsafe(text)) as unknown as
    | Record<string, unknown>[]
    | Record<string, unknown>[][]
  return (Array.isArray(results[0]) ? results.at(-1) : results) as Record<string, unknown>[]
}

/** Runs the seeding statements of an access file. Returns the value of its last row. */
export async function seed(sql: Db, text: string): Promise<unknown> {
  const [row] = await seedRows(sql, text)
  return row ? Object.values(row)[0] : null
}

/** Sets the person for the predicates of an access file. */
export async function setPerson(sql: Db, person: string): Promise<void> {
  await sql`select set_config('rethread.persona', ${person}, true)`
}

/** The planner's estimate of the rows of a table. */
export async function rowEstimate(sql: Db, table: string): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select coalesce((select reltuples::float8 from pg_catalog.pg_class where oid = to_regclass(${table})), 0) as rows`
  return row!.rows
}

/**
 * Of these roles: those that the session's role cannot SET. It must be a member (with SET since PostgreSQL
 * 16).
 */
export async function unreachable(sql: Db, roles: string[]): Promise<{ name: string; ours: string }[]> {
  return sql<{ name: string; ours: string }[]>`
    select r.name, current_user::text as ours
    from unnest(${roles}::text[]) as r (name)
    left join pg_catalog.pg_roles p on p.rolname = r.name
    where p.oid is null
      or not pg_catalog.pg_has_role(current_user, p.oid,
        case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end)`
}

/**
 * Triggers that a change of rows would fire and that have effects outside of the database. Names that are no
 * tables are ignored.
 */
export async function reachingOut(sql: Db, names: string[]): Promise<string[]> {
  const rows = await sql<{ trigger: string }[]>`
    select distinct c.oid::regclass::text || '.' || t.tgname as trigger
    from unnest(${names}::text[]) as n (name)
    join pg_catalog.pg_class c on c.oid = to_regclass(n.name)
    join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & (4 | 8 | 16) <> 0
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_language l on l.oid = p.prolang
    where p.prosrc ~* '\\m(net\\s*\\.\\s*http|http_(get|post|put|request)|http_request|dblink|pg_background|lo_export|copy\\s.+\\sprogram)'
      or l.lanname not in ('plpgsql', 'sql', 'internal', 'c')
    order by 1`
  return rows.map(r => r.trigger)
}
