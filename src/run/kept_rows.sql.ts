import { type Db, literal } from '../database/types.js'

/**
 * How a row is kept outside its table, so that it comes back with the values that it had: as JSON that
 * people can read (`original`), and beside it the text of those values that JSON does not hold exactly
 * (`exact`): JSON's null, which is SQL's in a row, the blanks and doubled keys of a `json` column, the bounds
 * of an array, a negative zero, and what the cast to JSON of a type makes of its values.
 */

/** The expressions with which a row is kept. */
export interface KeptAs {
  original: string
  exact: string
}

/** The base type of each column of `target`, with what JSON does to its values; null where nothing. */
const columnsSql = (target: string): string => `
  select a.attname, a.attnum, a.attgenerated = '' as own, a.attnotnull or y.typnotnull as filled,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type, pg_catalog.format_type(b.type, b.modifier) as base,
    case when b.type in ('json'::regtype, 'jsonb'::regtype) then b.type::regtype::text
      when b.type in ('float4'::regtype, 'float8'::regtype) then 'float'
      when t.typcategory = 'A' or t.typtype = 'c' or exists (
        select from pg_catalog.pg_cast k
        where k.castsource = b.type and k.casttarget = 'json'::regtype and k.castfunc <> 0) then 'text' end as form
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_type y on y.oid = a.atttypid
  cross join lateral (
    with recursive made as (
      select a.atttypid as type, a.atttypmod as modifier
      union all
      select d.typbasetype, d.typtypmod
      from made m join pg_catalog.pg_type d on d.oid = m.type and d.typtype = 'd'
    )
    select m.type, m.modifier from made m join pg_catalog.pg_type d on d.oid = m.type and d.typtype <> 'd'
  ) b
  join pg_catalog.pg_type t on t.oid = b.type
  where a.attrelid = ${target} and a.attnum > 0 and not a.attisdropped`

/**
 * Two expressions for the row of a table with this alias, `original` and `exact`. Both arguments are SQL.
 */
const keptAsSql = (target: string, alias: string): string => `
  select case
      -- a reader may come before the function
      when bool_or(c.form = 'json') and to_regprocedure('rethread_archive.plain(json)') is not null then format('(select to_jsonb(rethread_x) from (select %s) rethread_x)',
        string_agg(format(case c.form when 'json' then 'rethread_archive.plain(%1$s.%2$I) as %2$I' else '%1$s.%2$I' end, ${alias}, c.attname), ', ' order by c.attnum))
      else format('to_jsonb(%s.*)', ${alias}) end as original,
    coalesce('(select coalesce(jsonb_object_agg(rethread_x.k, rethread_x.v), ''{}'') from (values ' ||
      string_agg(format('(%1$L, ' || case c.form
          when 'jsonb' then 'case jsonb_typeof(%2$s.%3$I) when ''null'' then ''null'' end'
          when 'json' then 'case when %2$s.%3$I::text is distinct from nullif(rethread_archive.plain(%2$s.%3$I)::text, ''null'') then %2$s.%3$I::text end'
          when 'float' then 'case when %2$s.%3$I::text = ''-0'' then ''-0'' end'
          else 'case when %2$s.%3$I is distinct from null then format(''%%s'', %2$s.%3$I) end' end || ')',
        c.attname, ${alias}, c.attname), ', ' order by c.attnum) filter (where c.own and c.form is not null)
      || ') rethread_x (k, v) where rethread_x.v is not null)', '''{}''::jsonb') as exact
  from (${columnsSql(target)}) c`

/**
 * The columns among `names` that a kept row `q` gives back: their list, the expressions that read them and
 * the types of the record `r` that is made of `keptRecordSql`. With `base`, domains do not refuse null.
 * Null if there is none.
 */
export const readBackSql = (target: string, names: string, { base = false } = {}): string => `
  select string_agg(format('%I', c.attname), ', ' order by c.attnum) as columns,
    string_agg(case when c.form in ('json', 'jsonb')
        then format('coalesce(q.exact ->> %1$L, nullif(q.original -> %1$L, ''null'')::text%2$s)::%3$s', c.attname, ${base ? 'null' : `case when c.filled then ', ''null''' end`}, ${base ? 'c.base' : 'c.type'})
        else format('r.%I', c.attname) end, ', ' order by c.attnum) as read,
    coalesce(string_agg(format('%I %s', c.attname, ${base ? 'c.base' : 'c.type'}), ', ' order by c.attnum) filter (where c.form is null or c.form not like 'json%'),
      'rethread_none text') as typed
  from (${columnsSql(target)}) c
  where ${base ? '' : 'c.own and '}c.attname = any (${names})`

/** The JSON of a kept row `q` from which a record is made. */
export const keptRecordSql = `(q.original || coalesce(q.exact, '{}'))`

/**
 * - `plain` is a value of `json` as `jsonb`, or its text where `jsonb` cannot hold it: it has the
 *   character \\u0000, half of a pair of surrogates, or a number that is too large.
 * - `is_back` is true where the row is in its table again with all its values. Without `exact`, which
 *   copies of older versions lack, it compares what JSON holds.
 */
export const keptRowsSql = `
  create or replace function rethread_archive.plain(value json) returns jsonb
  language plpgsql immutable strict
  set search_path = pg_catalog, pg_temp
  as $plain$
  begin
    return value::jsonb;
  exception
    when data_exception or program_limit_exceeded then
      return to_jsonb(value::text);
  end
  $plain$;

  create or replace function rethread_archive.is_back(relation text, original jsonb, exact jsonb) returns boolean
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
  as $back$
  declare
    target constant regclass := pg_catalog.to_regclass(relation);
    known text[];
    keys text;
    typed text;
    kept record;
    same text;
    found boolean;
  begin
    if target is null or jsonb_typeof(original) <> 'object' then
      return false;
    end if;
    -- what the server computes is not the row's own
    known := array(
      select a.attname from pg_catalog.pg_attribute a
      where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and original ? a.attname::text);
    if exists (
      select from pg_catalog.jsonb_each(original) e
      where (jsonb_typeof(e.value) <> 'null' or coalesce(exact ? e.key, false)) and not exists (
        select from pg_catalog.pg_attribute a where a.attrelid = target and a.attname = e.key and a.attnum > 0 and not a.attisdropped)
    ) then
      return false;
    end if;
    ${keptAsSql('target', "'t'")} into kept;
    same := format(
      'cross join lateral (select %s as original, %s as exact offset 0) now
       where not exists (
         select from unnest($2) k
         where now.original -> k is distinct from $1 -> k or $3 is not null and now.exact -> k is distinct from $3 -> k)', kept.original, kept.exact);
    select string_agg(format('t.%1$I = r.%1$I', a.attname), ' and '),
      string_agg(format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ')
    into keys, typed
    from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
    where i.indrelid = target and i.indisprimary;
    -- without a primary key, a row is known by all that it holds
    if keys is null then
      execute format('select exists (select from %s t %s)', target, same)
      into found using original, known, exact;
      return found;
    end if;
    execute format(
      'select exists (select from pg_catalog.jsonb_to_record($1 || coalesce($3, ''{}'')) as r (%s) join %s t on %s %s)', typed, target, keys, same)
    into found using original, known, exact;
    return found;
  end
  $back$;

  create or replace function rethread_archive.is_back(relation text, original jsonb) returns boolean
  language sql stable
  set search_path = pg_catalog, pg_temp
  as $back$ select rethread_archive.is_back(relation, original, null) $back$;`

/** The expressions that keep the row of a table with this alias. */
export async function keptAs(sql: Db, table: string, alias: string): Promise<KeptAs> {
  const [kept] = await sql.unsafe<KeptAs[]>(keptAsSql(`to_regclass(${literal(table)})`, literal(alias)))
  return kept!
}

/** How columns of kept rows are read: the expressions, and the types of the record that they come from. */
export async function readBack(
  sql: Db,
  table: string,
  names: string[],
): Promise<{ columns: string; read: string; typed: string }> {
  const list = `array[${names.map(literal).join(', ')}]::text[]`
  const [back] = await sql.unsafe<{ columns: string; read: string; typed: string }[]>(
    readBackSql(`to_regclass(${literal(table)})`, list, { base: true }),
  )
  return back!
}
