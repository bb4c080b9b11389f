import { type Db, ident, literal } from '../database/types.js'
import type { Persona } from '../model/project.js'

/**
 * The settings that the API gives a request: role and claims, in the two spellings that auth.uid() reads, and
 * row security on. For this transaction only.
 */
export async function become(sql: Db, persona: Persona): Promise<void> {
  await sql.unsafe(becoming(persona))
}

/** The text that makes a transaction somebody's. */
export const becoming = (persona: Persona): string => {
  const sub = typeof persona.claims.sub === 'string' ? persona.claims.sub : ''
  const settings = ['request.jwt.claim.sub', ...(persona.settings ?? ['app.user_id'])]
  const said = settings.map(name => `set_config(${literal(name)}, ${literal(sub)}, true)`).join(', ')
  return `select set_config('request.jwt.claims', ${literal(JSON.stringify(persona.claims))}, true), ${said},
      set_config('row_security', 'on', true);
    set local role ${ident(persona.role)}`
}

/** Back to the connecting role, with full sight. */
export async function becomeUs(sql: Db): Promise<void> {
  await sql.unsafe(becomingUs)
}

/** The text that takes that back. */
export const becomingUs = "reset role; select set_config('row_security', 'off', true)"

/** Runs the statements of a file; the rows of the last one. */
export async function seedRows(sql: Db, text: string): Promise<Record<string, unknown>[]> {
  const results = (await sql.unsafe(text)) as unknown as
    | Record<string, unknown>[]
    | Record<string, unknown>[][]
  return (Array.isArray(results[0]) ? results.at(-1) : results) as Record<string, unknown>[]
}

/** The seeding statements of an access file; the value of its last row. */
export async function seed(sql: Db, text: string): Promise<unknown> {
  const [row] = await seedRows(sql, text)
  return row ? Object.values(row)[0] : null
}

/** The person that the predicates of an access file speak of. */
export async function setPerson(sql: Db, person: string): Promise<void> {
  await sql`select set_config('rethread.persona', ${person}, true)`
}

/** Rows of a table as the planner believes. */
export async function rowEstimate(sql: Db, table: string): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select coalesce((select reltuples::float8 from pg_catalog.pg_class where oid = to_regclass(${table})), 0) as rows`
  return row!.rows
}

/** Roles that this session's own role can't become: a member of them may (`SET` since 16). */
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
 * Triggers that a change of rows would fire and whose functions reach outside of the database;
 * names of no table do no harm.
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
