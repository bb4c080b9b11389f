import type { Db } from '../database/types.js'

/** The kinds of statement that policies apply to. */
export type RowCommand = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE'

/** A policy, reduced to its roles and commands. */
export interface PolicyScope {
  name: string
  /** `ALL` or one command. */
  command: RowCommand | 'ALL'
  permissive: boolean
  /** Names of roles; `public` is everybody. */
  roles: string[]
}

/** A role with rights on the rows of a table. */
export interface TableReader {
  role: string
  commands: RowCommand[]
  /**
   * Why row security does not apply to the role; null if it does. With FORCE ROW LEVEL SECURITY it applies
   * to the owner.
   */
  exempt: 'BYPASSRLS' | 'owner' | null
  /** The role and all roles whose rights it has. */
  has: string[]
}

/** Row security of a table, and the roles that read or write its rows. */
export interface TableReaders {
  table: string
  /** Estimated number of rows; null if the table was never analyzed. */
  rows: number | null
  rowSecurity: boolean
  forced: boolean
  policies: PolicyScope[]
  readers: TableReader[]
}

/**
 * The roles that read and write these tables now: roles that may log in or have a grant on the table,
 * without superusers and PostgreSQL's own roles. Tables that do not exist are left out.
 */
export async function readersOf(sql: Db, tables: string[]): Promise<TableReaders[]> {
  const rows = await sql<
    (Omit<TableReaders, 'policies' | 'readers'> & { policies: string; readers: string })[]
  >`
    select t.name as table, case when c.reltuples >= 0 then c.reltuples::float8 end as rows,
      c.relrowsecurity as "rowSecurity", c.relforcerowsecurity as forced,
      coalesce((select jsonb_agg(jsonb_build_object('name', p.polname, 'permissive', p.polpermissive,
          'command', case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
            when 'd' then 'DELETE' else 'ALL' end,
          'roles', (select jsonb_agg(coalesce(r.rolname, 'public')) from unnest(p.polroles) m(oid)
            left join pg_catalog.pg_roles r on r.oid = m.oid))
          order by p.polname)
        from pg_catalog.pg_policy p where p.polrelid = c.oid), '[]')::text as policies,
      coalesce((select jsonb_agg(jsonb_build_object('role', r.rolname, 'commands', g.commands,
          'exempt', case when r.rolbypassrls then 'BYPASSRLS'
            when pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE') then 'owner' end,
          'has', (select jsonb_agg(h.rolname) from pg_catalog.pg_roles h where pg_catalog.pg_has_role(r.oid, h.oid, 'USAGE')))
          order by r.rolname)
        from pg_catalog.pg_roles r
        cross join lateral (
          select jsonb_agg(x.command order by x.place) as commands
          from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) with ordinality x(command, place)
          where case when x.command = 'DELETE' then pg_catalog.has_table_privilege(r.oid, c.oid, x.command)
            else pg_catalog.has_any_column_privilege(r.oid, c.oid, x.command) end
        ) g
        where g.commands is not null and not r.rolsuper and r.rolname !~ '^pg_'
          and (r.rolcanlogin or exists (select from aclexplode(c.relacl) a where a.grantee = r.oid))), '[]')::text as readers
    from unnest(${tables}::text[]) t(name)
    join pg_catalog.pg_class c on c.oid = to_regclass(t.name)
    order by t.name`
  return rows.map(r => ({
    ...r,
    policies: JSON.parse(r.policies) as PolicyScope[],
    readers: JSON.parse(r.readers) as TableReader[],
  }))
}
