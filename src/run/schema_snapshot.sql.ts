import { createHash } from 'node:crypto'
import { readAgainOn } from '../database/faults.js'
import { type Db, ident } from '../database/types.js'
import { backfillSetting, settingsBefore } from './table_settings.sql.js'

/** One object of the schema with its definition. */
export interface ObjectRow {
  kind: string
  object: string
  definition: string
}

/** A row as it is read: the server has no definition of an object that was dropped during the query. */
type ReadRow = Omit<ObjectRow, 'definition'> & { definition: string | null }

/**
 * All objects of the application's schemas, with the server's definitions. Columns are numbered by order, so
 * a column that was added and dropped leaves no trace. The tool's schemas are left out, and so are settings
 * that a backfill has put on its table temporarily. Definitions are written with the default search_path of
 * role and database, whatever the session's is, so that they can be compared with stored ones.
 */
export async function objects(sql: Db): Promise<ObjectRow[]> {
  const rows = await readAgainOn({ states: [droppedMeanwhile], most: mostAttempts }, () => askForObjects(sql))
  const isOurs = (row: ObjectRow) => row.kind === 'table' && row.definition.includes(backfillSetting)
  if (!rows.some(isOurs)) return rows
  const before = await settingsBefore(sql)
  return rows.map(row => (isOurs(row) ? withSettings(row, before.get(row.object)) : row))
}

/** SQLSTATE if a query is about to open a relation that somebody has dropped since it began. */
const droppedMeanwhile = 'XX000'
/** Where objects come and go all the time, a look may need some attempts. */
const mostAttempts = 10

async function askForObjects(sql: Db): Promise<ObjectRow[]> {
  // one message, so that the session's search_path is restored for the next statement
  const answers = await sql.unsafe<ReadRow[]>(`
    with usual as materialized (
      select set_config('rethread.path', current_setting('search_path'), true) as kept, s.reset_val
      from pg_catalog.pg_settings s where s.name = 'search_path'
    ),
    path as materialized (select set_config('search_path', reset_val, true) as path from usual where kept is not null),
    ns as materialized (
      select oid, nspname from path, pg_catalog.pg_namespace
      where nspname !~ '^pg_' and nspname not in ('information_schema', 'rethread', 'rethread_archive')
    ),
    rel as materialized (
      select c.*, format('%I.%I', ns.nspname, c.relname) as name
      from pg_catalog.pg_class c join ns on ns.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
        and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e')
    )
    select 'table' as kind, r.name as object,
      concat_ws(' ', r.relkind, 'rls=' || r.relrowsecurity, 'force=' || r.relforcerowsecurity,
        'owner=' || pg_get_userbyid(r.relowner), coalesce(r.reloptions::text, '')) as definition
    from rel r
    union all
    select 'grants', r.name, coalesce((
      select string_agg(x, ' ' order by x)
      from (select a.grantee::regrole::text || ':' || a.privilege_type || case when a.is_grantable then '*' else '' end as x
            from aclexplode(coalesce(r.relacl, acldefault('r', r.relowner))) a) g), '')
    from rel r
    union all
    select 'column', r.name || '.' || a.attname,
      concat_ws(' ', row_number() over (partition by a.attrelid order by a.attnum),
        format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
        'default ' || pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
        (select string_agg(x, ' ' order by x)
         from (select g.grantee::regrole::text || ':' || g.privilege_type || case when g.is_grantable then '*' else '' end as x
               from aclexplode(a.attacl) g) x))
    from rel r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    union all
    select 'constraint', r.name || '.' || c.conname,
      pg_get_constraintdef(c.oid) || case when c.convalidated then '' else ' (not validated)' end
    from rel r join pg_catalog.pg_constraint c on c.conrelid = r.oid
    where c.contype <> 'n'
    union all
    select 'index', r.name || '.' || (select x.relname from pg_catalog.pg_class x where x.oid = i.indexrelid),
      pg_get_indexdef(i.indexrelid) || case when i.indisvalid and i.indisready then '' else ' (invalid)' end
    from rel r join pg_catalog.pg_index i on i.indrelid = r.oid
    union all
    select 'trigger', r.name || '.' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
    from rel r join pg_catalog.pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
    -- the trigger that captures values for the archive is temporary
    where t.tgfoid not in (
      select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = 'rethread_archive')
    union all
    select 'policy', r.name || '.' || p.polname,
      concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd,
        (select string_agg(x.role, ',' order by x.role) from unnest(p.polroles) o
         cross join lateral (select case when o = 0 then 'public' else pg_get_userbyid(o)::text end as role) x),
        'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    from rel r join pg_catalog.pg_policy p on p.polrelid = r.oid
    union all
    select 'view', r.name, pg_get_viewdef(r.oid) from rel r where r.relkind in ('v', 'm')
    union all
    select 'function', format('%I.%I(%s)', ns.nspname, f.proname, oidvectortypes(f.proargtypes)),
      case when f.prokind in ('f', 'p') then pg_get_functiondef(f.oid) else f.prokind::text end || coalesce(f.proacl::text, '')
    from pg_catalog.pg_proc f join ns on ns.oid = f.pronamespace
    where not exists (select from pg_catalog.pg_depend d where d.objid = f.oid and d.deptype = 'e')
    union all
    select 'publication', p.pubname, string_agg(format('%I.%I', pn.nspname, pc.relname), ',' order by pn.nspname, pc.relname)
    from pg_catalog.pg_publication p join pg_catalog.pg_publication_rel pr on pr.prpubid = p.oid
    join pg_catalog.pg_class pc on pc.oid = pr.prrelid join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace
    group by p.pubname
    union all
    select 'type', format('%I.%I', ns.nspname, t.typname), coalesce(
      (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid), t.typtype::text)
    from pg_catalog.pg_type t join ns on ns.oid = t.typnamespace
    where t.typtype in ('e', 'd')
      and not exists (select from pg_catalog.pg_depend d where d.objid = t.oid and d.deptype = 'e')
    order by 1, 2, 3;
    select set_config('search_path', current_setting('rethread.path'), true)`)
  return (answers as unknown as ReadRow[][])[0]!.flatMap(row =>
    row.definition === null ? [] : [{ ...row, definition: asFirstMade(row.definition) }],
  )
}

/**
 * A definition as the server prints it before a dump. Read again by the server, a list of texts in a CHECK
 * has its casts inside the list: `ARRAY[('user'::character varying)::text]`.
 */
const asFirstMade = (definition: string): string =>
  definition.replace(castInList, (_, list: string, to: string) => {
    const items = list.replaceAll(castOfItem, '$1')
    return `(ARRAY[${items}])::${to}[]`
  })

/** A text constant with its type, a cast of one in a list, and the list. */
const typedText = `'(?:[^']|'')*'::[a-z ]+`
const castOfItem = new RegExp(String.raw`\((${typedText})\)::[a-z ]+`, 'g')
const castInList = new RegExp(
  String.raw`ARRAY\[((?:\(${typedText}\)::[a-z ]+, )*\(${typedText}\)::([a-z ]+))\]`,
  'g',
)

/** A table with other settings at the end of its definition. Unchanged if they are unknown. */
const withSettings = (row: ObjectRow, settings: string | undefined): ObjectRow =>
  settings === undefined ? row : { ...row, definition: row.definition.replace(/\{[^{}]*\}$/, settings) }

/** A hash of all objects. It is only comparable within one major version of the server. */
export function fingerprintOf(rows: ObjectRow[]): string {
  const hash = createHash('sha256')
  for (const row of rows) hash.update(`${row.kind}\0${row.object}\0${row.definition}\n`)
  return hash.digest('hex')
}

/**
 * By kind and name, a short hash of each object's definition: small to store, and sufficient to name changes.
 */
export const catalogOf = (rows: ObjectRow[]): Record<string, string> =>
  Object.fromEntries(
    rows.map(r => [
      `${r.kind} ${r.object}`,
      createHash('sha256').update(r.definition).digest('hex').slice(0, 12),
    ]),
  )

/**
 * The number of rows of a table, and a hash of their content that does not depend on order. Identifiers must
 * come from the catalog.
 */
export async function contentHash(
  sql: Db,
  table: string,
  columns: string[],
  alias = 't',
  where = 'true',
): Promise<{ rows: number; hash: string }> {
  const list = columns.map(c => `${alias}.${ident(c)}`).join(', ')
  const [row] = await sql.unsafe<{ rows: number; hash: string }[]>(
    `select count(*)::float8 as rows, coalesce(sum(hashtextextended(row(${list})::text, 0)::numeric), 0)::text as hash
     from ${table} ${alias} where ${where}`,
  )
  return row!
}
