import { withFullNames } from '../database/full_names.sql.js'
import { type Db, ident } from '../database/types.js'
import { namesIn, partText } from '../model/table_name.js'

/**
 * An object that depends on a table, as the server describes it. `drop` detaches it; `again` attaches it to
 * the table with its original name.
 */
export interface Attachment {
  kind: string
  name: string
  definition: string
  drop: string | null
  again: string | null
}

/** A table and all of its partitions. */
const withPartitions = `
  select $1::regclass as oid
  union
  select p.relid from pg_catalog.pg_partition_tree($1::regclass) p`

/**
 * Detaches a table from the tables that it is a partition of or inherits from, because they would still show
 * its rows. It comes before `attachments`: what a partition has from its parent becomes its own.
 */
export async function leaveParents(sql: Db, table: string): Promise<Attachment[]> {
  const left = await withFullNames(
    sql,
    () => sql<Attachment[]>`
    select 'parent' as kind, i.inhparent::regclass::text as name, coalesce(pg_get_expr(c.relpartbound, c.oid), 'inherits') as definition,
      format(case when c.relispartition then 'alter table %s detach partition %s' else 'alter table %2$s no inherit %1$s' end,
        i.inhparent::regclass, c.oid::regclass) as drop,
      format(case when c.relispartition then 'alter table %s attach partition %s %s' else 'alter table %2$s inherit %1$s' end,
        i.inhparent::regclass, c.oid::regclass, pg_get_expr(c.relpartbound, c.oid)) as again
    from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhrelid = ${table}::regclass`,
  )
  for (const { drop } of left) await sql.unsafe(drop!)
  return left
}

/** All objects attached to a table and its partitions, for the manifest of an archive. */
export async function attachments(sql: Db, table: string): Promise<Attachment[]> {
  return withFullNames(sql, () =>
    sql.unsafe<Attachment[]>(
      `with t as (${withPartitions})
    select 'foreign key' as kind, c.conname::text as name, pg_get_constraintdef(c.oid) as definition,
      format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) as drop,
      format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) as again
    from pg_catalog.pg_constraint c
    where c.contype = 'f' and c.conparentid = 0
      and (c.conrelid in (select oid from t) or c.confrelid in (select oid from t))
    union all
    select 'trigger', g.tgname, pg_get_triggerdef(g.oid), format('drop trigger %I on %s', g.tgname, t.oid),
      concat_ws('; ', pg_get_triggerdef(g.oid), case g.tgenabled
        when 'D' then format('alter table %s disable trigger %I', t.oid, g.tgname)
        when 'A' then format('alter table %s enable always trigger %I', t.oid, g.tgname)
        when 'R' then format('alter table %s enable replica trigger %I', t.oid, g.tgname) end)
    from t join pg_catalog.pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0
    union all
    select 'policy', p.polname, concat_ws(' ', p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
      format('drop policy %I on %s', p.polname, t.oid),
      format('create policy %I on %s as %s for %s to %s%s%s', p.polname, t.oid,
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
        (select string_agg(case r when 0 then 'public' else r::regrole::text end, ', ') from unnest(p.polroles) r),
        ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    from t join pg_catalog.pg_policy p on p.polrelid = t.oid
    union all
    select 'publication', p.pubname, p.pubname, format('alter publication %I drop table %s', p.pubname, t.oid),
      format('alter publication %I add table %s', p.pubname, t.oid)
    from t join pg_catalog.pg_publication_rel r on r.prrelid = t.oid join pg_catalog.pg_publication p on p.oid = r.prpubid
    union all
    select 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), null, null
    from t join pg_catalog.pg_index i on i.indrelid = t.oid
    union all
    select 'grants', coalesce(c.relname, ''), coalesce(c.relacl::text, ''), format('revoke all on %s from public', t.oid),
      (select string_agg(format('grant %s on %s to public', g.privilege_type, t.oid), '; ') from aclexplode(c.relacl) g where g.grantee = 0)
    from t join pg_catalog.pg_class c on c.oid = t.oid
    union all
    select 'row security', c.relname, concat_ws(' ', 'enabled', case when c.relforcerowsecurity then 'forced' end), null,
      concat_ws('; ', format('alter table %s enable row level security', t.oid),
        case when c.relforcerowsecurity then format('alter table %s force row level security', t.oid) end)
    from t join pg_catalog.pg_class c on c.oid = t.oid where c.relrowsecurity
    union all
    select 'grant', g.grantee::regrole::text, g.privilege_type, format('revoke all on %s from %s cascade', t.oid, g.grantee::regrole),
      format('grant %s on %s to %s%s', g.privilege_type, t.oid, g.grantee::regrole, case when g.is_grantable then ' with grant option' end)
    from t
    join pg_catalog.pg_class c on c.oid = t.oid
    cross join aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
    where g.grantee <> 0 and g.grantee <> c.relowner
    union all
    select 'grant', g.role, g.privilege, format('revoke %s on %s from %s cascade', g.privilege, t.oid, g.role),
      format('grant %s on %s to %s%s', g.privilege, t.oid, g.role, case when g.is_grantable then ' with grant option' end)
    from t
    join pg_catalog.pg_class c on c.oid = t.oid
    join pg_catalog.pg_attribute k on k.attrelid = c.oid and not k.attisdropped
    cross join lateral (
      select a.grantee, a.is_grantable, format('%s (%I)', a.privilege_type, k.attname) as privilege,
        case a.grantee when 0 then 'public' else a.grantee::regrole::text end as role
      from aclexplode(k.attacl) a) g
    where g.grantee <> c.relowner`,
      [table],
    ),
  )
}

/**
 * Detaches all objects and moves a table with its partitions to the archive's schema. The time does not
 * depend on its size. Partitions, indexes and sequences move too. They are renamed with the run's number and
 * their oid, because the next archive of the table would need the same names. Returns the statements that
 * move everything back, in order.
 */
export async function moveTable(
  sql: Db,
  table: string,
  storedAs: string,
  run: number,
  drops: string[],
): Promise<string[]> {
  const back: string[] = []
  const [archive, stored] = namesIn(storedAs)!.map(partText) as [string, string]
  for (const drop of new Set(drops)) await sql.unsafe(drop)
  const members = await sql.unsafe<
    { name: string; schema: string; plain: string; oid: number; root: boolean }[]
  >(
    `with t as (${withPartitions})
    select format('%I.%I', n.nspname, c.relname) as name, quote_ident(n.nspname) as schema, quote_ident(c.relname) as plain,
      c.oid::int8 as oid, c.oid = $1::regclass as root
    from t join pg_catalog.pg_class c on c.oid = t.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by root desc, c.oid`,
    [table],
  )
  const followers = await sql.unsafe<
    { name: string; schema: string; plain: string; kind: string; oid: number }[]
  >(
    `with t as (${withPartitions})
    select format('%I.%I', n.nspname, c.relname) as name, quote_ident(n.nspname) as schema, quote_ident(c.relname) as plain,
      case c.relkind when 'S' then 'sequence' else 'index' end as kind, c.oid::int8 as oid
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid in (select i.indexrelid from pg_catalog.pg_index i join t on i.indrelid = t.oid)
       or c.relkind = 'S' and c.oid in (
         select d.objid from pg_catalog.pg_depend d join t on d.refobjid = t.oid
         where d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i'))`,
    [table],
  )
  for (const f of followers) {
    await sql.unsafe(`alter ${f.kind} ${f.name} rename to r${run}_${f.oid}`)
    back.push(`alter ${f.kind} ${f.schema}.r${run}_${f.oid} rename to ${f.plain}`)
  }
  await sql.unsafe(`alter table ${table} disable row level security`)
  for (const m of members) {
    // rename before moving: the archive's schema may have a table with the same name
    const name = m.root ? stored : `r${run}_${m.oid}`
    await sql.unsafe(`alter table ${m.name} rename to ${ident(name)}`)
    await sql.unsafe(`alter table ${m.schema}.${ident(name)} set schema ${archive}`)
    back.unshift(
      `alter table ${archive}.${ident(name)} set schema ${m.schema}`,
      `alter table ${m.schema}.${ident(name)} rename to ${m.plain}`,
    )
  }
  return back
}

/** A DROP of tables; the names are SQL. */
export const dropTables = (
  names: string,
  { ifExists, cascade }: { ifExists: boolean; cascade: boolean },
): string => `drop table ${ifExists ? 'if exists ' : ''}${names}${cascade ? ' cascade' : ''}`

/** The manifest of an archive. */
export async function manifestOf(sql: Db, archive: number): Promise<Attachment[]> {
  const [row] = await sql<{ manifest: Attachment[] }[]>`
    select manifest from rethread_archive.archives where id = ${archive}`
  return row!.manifest
}

/** Whether the schema of a table exists. The name is SQL. */
export async function schemaExists(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`
    select exists (select from pg_catalog.pg_namespace where nspname = (parse_ident(${table}))[1]) as there`
  return row!.there
}

/** Sends statements one after the other. */
export async function sendAll(sql: Db, statements: string[]): Promise<void> {
  for (const s of statements) await sql.unsafe(s)
}
