import type { Db } from '../database/types.js'
import { settingsRead } from './settings_read.js'

/** A function without arguments that policies call. */
export interface AskingFunction {
  /** Its call, as SQL with the schema, and as the server may print it in a policy. */
  call: string
  printed: string
  /** The type of what it returns. */
  type: string
  /** A policy that calls it. */
  policy: string
  table: string
  /** The settings that its text reads, as `settingsRead` names them. */
  settings: string[]
}

/** The functions that policies of these tables call to know who asks, by name. */
export async function askingFunctions(sql: Db, tables: string[]): Promise<AskingFunction[]> {
  const rows = await sql<(AskingFunction & { source: string })[]>`
    select distinct on (p.oid) quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '()' as call,
      p.oid::regproc::text || '()' as printed, format_type(p.prorettype, null) as type,
      o.polname::text as policy, t.name as table, pg_get_functiondef(p.oid) as source
    from unnest(${tables}::text[]) as t (name)
    join pg_catalog.pg_policy o on o.polrelid = to_regclass(t.name)
    join pg_catalog.pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = o.oid and d.refclassid = 'pg_proc'::regclass
    join pg_catalog.pg_proc p on p.oid = d.refobjid and p.prokind = 'f'
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.pronargs = p.pronargdefaults and not p.proretset and n.nspname <> 'pg_catalog'
    order by p.oid, t.name, o.polname`
  return rows
    .map(({ source, ...f }) => ({ ...f, settings: settingsRead(source) }))
    .sort((a, b) => (a.call < b.call ? -1 : 1))
}
