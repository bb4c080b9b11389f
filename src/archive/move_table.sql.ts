import { type Db, ident } from '../database/types.js'

/** Something attached to a table, as the server writes it down; `drop` is the statement that detaches it. */
export interface Attachment {
  kind: string
  name: string
  definition: string
  drop: string | null
}

/** A table and its partitions of all levels. */
const withPartitions = `
  select $1::regclass as oid
  union
  select p.relid from pg_catalog.pg_partition_tree($1::regclass) p`

/**
 * Takes a table out of the tables that it is a partition of or inherits from: they would go on showing its
 * rows. Comes before `attachments`: what a partition has from its parent becomes its own.
 */
export async function leaveParents(sql: Db, table: string): Promise<Attachment[]> {
  const left = await sql<Attachment[]>`
    select 'parent' as kind, i.inhparent::regclass::text as name, coalesce(pg_get_expr(c.relpartbound, c.oid), 'inherits') as definition,
      format(case when c.relispartition then 'alter table %s detach partition %s' else 'alter table %2$s no inherit %1$s' end,
        i.inhparent::regclass, c.oid::regclass) as drop
    from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhrelid = ${table}::regclass`
  for (const { drop } of left) await sql.unsafe(drop!)
  return left
}

/** Everything attached to a table and its partitions, for the manifest of an archive. */
export async function attachments(sql: Db, table: string): Promise<Attachment[]> {
  return sql.unsafe<Attachment[]>(
    `with t as (${withPartitions})
    select 'foreign key' as kind, c.conname::text as name, pg_get_constraintdef(c.oid) as definition,
      format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) as drop
    from pg_catalog.pg_constraint c
    where c.contype = 'f' and c.conparentid = 0
      and (c.conrelid in (select oid from t) or c.confrelid in (select oid from t))
    union all
    select 'trigger', g.tgname, pg_get_triggerdef(g.oid), format('drop trigger %I on %s', g.tgname, t.oid)
    from t join pg_catalog.pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0
    union all
    select 'policy', p.polname, concat_ws(' ', p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
      format('drop policy %I on %s', p.polname, t.oid)
    from t join pg_catalog.pg_policy p on p.polrelid = t.oid
    union all
    select 'publication', p.pubname, p.pubname, format('alter publication %I drop table %s', p.pubname, t.oid)
    from t join pg_catalog.pg_publication_rel r on r.prrelid = t.oid join pg_catalog.pg_publication p on p.oid = r.prpubid
    union all
    select 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), null
    from t join pg_catalog.pg_index i on i.indrelid = t.oid
    union all
    select 'grants', coalesce(c.relname, ''), coalesce(c.relacl::text, ''), format('revoke all on %s from public', t.oid)
    from t join pg_catalog.pg_class c on c.oid = t.oid
    union all
    select 'grant', g.grantee::regrole::text, g.privilege_type, format('revoke all on %s from %s', t.oid, g.grantee::regrole)
    from t
    join pg_catalog.pg_class c on c.oid = t.oid
    cross join aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
    where g.grantee <> 0 and g.grantee <> c.relowner`,
    [table],
  )
}

/**
 * Cuts the live wires and moves a table with its partitions to the archive's schema: takes the same time
 * whatever its size. Partitions, indexes and sequences move along and would keep their names, which the next
 * archive of the same table would want too: they are renamed after the run and their own oid.
 */
export async function moveTable(
  sql: Db,
  table: string,
  storedAs: string,
  run: number,
  drops: string[],
): Promise<void> {
  const [archive, stored] = storedAs.split('.') as [string, string]
  for (const drop of new Set(drops)) await sql.unsafe(drop)
  const members = await sql.unsafe<{ name: string; schema: string; oid: number; root: boolean }[]>(
    `with t as (${withPartitions})
    select format('%I.%I', n.nspname, c.relname) as name, quote_ident(n.nspname) as schema, c.oid::int8 as oid, c.oid = $1::regclass as root
    from t join pg_catalog.pg_class c on c.oid = t.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by root desc, c.oid`,
    [table],
  )
  const followers = await sql.unsafe<{ name: string; kind: string; oid: number }[]>(
    `with t as (${withPartitions})
    select format('%I.%I', n.nspname, c.relname) as name, case c.relkind when 'S' then 'sequence' else 'index' end as kind, c.oid::int8 as oid
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid in (select i.indexrelid from pg_catalog.pg_index i join t on i.indrelid = t.oid)
       or c.relkind = 'S' and c.oid in (
         select d.objid from pg_catalog.pg_depend d join t on d.refobjid = t.oid
         where d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i'))`,
    [table],
  )
  for (const f of followers) await sql.unsafe(`alter ${f.kind} ${f.name} rename to r${run}_${f.oid}`)
  await sql.unsafe(`alter table ${table} disable row level security`)
  for (const m of members) {
    // renamed where it is: the archive's schema may have a table of the same name
    const name = m.root ? stored : `r${run}_${m.oid}`
    await sql.unsafe(`alter table ${m.name} rename to ${ident(name)}`)
    await sql.unsafe(`alter table ${m.schema}.${ident(name)} set schema ${archive}`)
  }
}

/** A DROP of tables, their names as SQL. */
export const dropTables = (
  names: string,
  { ifExists, cascade }: { ifExists: boolean; cascade: boolean },
): string => `drop table ${ifExists ? 'if exists ' : ''}${names}${cascade ? ' cascade' : ''}`
