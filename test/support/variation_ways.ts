import type { Dice, Variation } from './variation.js'

/** A table that is varied, and what of it can be. */
export interface Varied {
  table: string
  key: string
  /** A column of text that every row may have. */
  text: string
  time: string | null
}

/** Types that a column may have, with values: some have no equality, no order, no hash. */
const types: [type: string, ...values: string[]][] = [
  ['int', '1', '-7'],
  ['text', "'a'", "'it''s \\ %'"],
  ['jsonb', `'{"a": [1, null]}'`, `'null'`],
  ['json', `'{"a": 1,  "a": 2}'`, `'null'`, `'["\\u0000"]'`],
  ['jsonb[]', `array[null, 'null'::jsonb]`],
  ['int[]', "'[0:1]={1,2}'", "'{}'"],
  ['point', "'(1,2)'"],
  ['uuid[]', "array[md5('x')::uuid]", "'{}'"],
  ['int4range', "'[1,5)'", "'empty'"],
  ['tsvector', "'a:1 b:2'"],
  ['bytea', `'\\x00ff'`],
  ['inet', "'10.0.0.0/8'"],
  ['interval', "'1 mon -3 days'"],
  ['numeric(8,2)', '1.50', "'NaN'"],
  ['"char"', "'x'"],
  ['bit(3)', "b'101'"],
  ['float8', "'-Infinity'", '0.1', "'-0'"],
  ['xml', "'<a/>'"],
  ['public.sly', "'a'"],
  ['timestamptz', "'infinity'", "'2024-02-29 12:00+14'"],
  ['timetz', "'12:00+02'"],
  ['public.mood', "'calm'", "'très ''loud'''"],
  ['public.short', "'short'"],
  ['public.place', "row(1, 'y,\"')"],
  ['public.place[]', 'array[row(1, null)::public.place]'],
  ['xid8', "'12'"],
  ['pg_lsn', "'0/1'"],
  ['cidr', "'10.1.0.0/16'"],
  ['money', "'12.30'"],
  ['text collate "C"', "'Z'"],
  ['box', "'(1,1),(0,0)'"],
]

/**
 * Everything that a variation may need. An update by a trigger of ours that changes none of the columns that
 * the application knows is an effect that docs/tracks.md names: the application's own triggers leave it out
 * here, so that everything else that they see can be compared. A backfill is no trigger.
 */
export const common = `
  create function public.by_a_trigger_of_ours(before jsonb, after jsonb, known text[]) returns boolean language sql
    as $$ select pg_catalog.pg_trigger_depth() > 1 and not exists (select from unnest(known) k where before -> k is distinct from after -> k) $$;
  create function public.fails() returns text language plpgsql as $$ begin raise exception 'no default here'; end $$;
  create type public.mood as enum ('calm', 'très ''loud''');
  create type public.place as (x int, y text);
  create type public.sly as enum ('a', 'b');
  create function public.sly_json(public.sly) returns json language sql immutable as $$ select '{"sly": true}'::json $$;
  create cast (public.sly as json) with function public.sly_json(public.sly);
  create domain public.short as text check (length(value) < 400);
  create domain public.shorter as public.short check (value is distinct from 'never');
  create domain public.some_id as uuid check (value <> '00000000-0000-0000-0000-000000000001');`

/** Names of columns, some of which need quotes. */
const names = [
  'extra',
  'Extra "1"',
  'user',
  'x%s',
  'größe',
  'session',
  'rank',
  'tenant',
  'metadata_2',
  'c',
  'q',
]

/** Names that files of the tracks and the tool use for something else; those that are taken do not fit. */
const ourNames = [
  'c',
  's',
  't',
  'm',
  'q',
  'k',
  'new',
  'old',
  'key',
  'original',
  'exact',
  'reason',
  'session',
  'ctid_',
  'n',
  'x',
]

/** One way to vary a table; `n` makes its names its own. */
type Vary = (t: Varied, d: Dice, n: number, at: Where) => string | Omit<Variation, 'kind'>

/** What a variation is made for. */
interface Where {
  track: string
  major: number
}

const q = (name: string): string => `"${name.replaceAll('"', '""')}"`
/** The columns that a table of the application has at this moment, as an array in SQL. */
const known = (t: Varied): string =>
  `array(select attname::text from pg_attribute where attrelid = 'public.${t.table}'::regclass and attnum > 0 and attgenerated = '' and attname !~ '^touched')`
/** A text of SQL with the columns known now written into it, where it says KNOWN. */
const withKnown = (t: Varied, sql: string): string =>
  `do $do$ begin execute replace($sql$${sql}$sql$, 'KNOWN', quote_literal(${known(t)}::text) || '::text[]'); end $do$`
const nameOf = (d: Dice, n: number): string => q(d.chance(0.3) ? d.one(ourNames) : `${d.one(names)}${n}`)

export const ways: Record<string, Vary> = {
  column: (t, d, n) => {
    const [type, ...values] = d.one(types)
    const column = nameOf(d, n)
    return `alter table public.${t.table} add column ${column} ${type}${d.chance(0.4) ? ` default ${d.one(values)}` : ''};
      update public.${t.table} set ${column} = ${d.one(values)} where md5(${t.key}::text) > '8'`
  },
  mandatory: (t, d, n) => {
    const [type, ...values] = d.one(types)
    const column = nameOf(d, n)
    const value = d.one(values)
    const raising = type === 'text' && d.chance(0.7)
    const sql = `alter table public.${t.table} add column ${column} ${type}; update public.${t.table} set ${column} = ${value};
      alter table public.${t.table} alter column ${column} set not null${raising ? `, alter column ${column} set default public.fails()` : ''}`
    return { sql, mandatory: { table: t.table, column, value } }
  },
  generated: (t, d, n, { major }) =>
    `alter table public.${t.table} add column ${nameOf(d, n)} int generated always as (length(${t.text})) ${major >= 18 && d.chance(0.5) ? 'virtual' : 'stored'}`,
  identity: (t, d, n) =>
    d.chance(0.3)
      ? `alter table public.${t.table} add column ${nameOf(d, n)} bigserial unique`
      : `alter table public.${t.table} add column ${nameOf(d, n)} bigint generated ${d.one(['always', 'by default'])} as identity`,
  hole: (t, _d, n) =>
    `alter table public.${t.table} add column gone${n} int; alter table public.${t.table} drop column gone${n}`,
  renamed: (t, d, n) =>
    d.chance(0.5)
      ? `alter index public.${t.table}_pkey rename to "${t.table} key"`
      : `do $$ declare c record; begin
           for c in select conname from pg_constraint where conrelid = 'public.${t.table}'::regclass and contype <> 'n' loop
             execute format('alter table public.${t.table} rename constraint %I to %I', c.conname, 'c${n} of ' || c.conname);
           end loop; end $$`,
  defaults: (t, d) =>
    d.one([
      `alter table public.${t.table} alter column ${t.key} drop default`,
      `alter table public.${t.table} alter column ${t.text} set default 'by default'`,
      `alter table public.${t.table} alter column ${t.time ?? t.text} drop default`,
      ...(t.time ? [`alter table public.${t.table} alter column ${t.time} set default '2025-05-05'`] : []),
    ]),
  inherited: (t, d, n) =>
    `create table public.${t.table}_of_old${n} (${d.chance(0.5) ? 'note text' : ''}) inherits (public.${t.table});
     ${d.chance(0.5) ? `alter table public.${t.table}_of_old${n} add primary key (${t.key});` : ''}
     insert into public.${t.table}_of_old${n} select * from public.${t.table} where false`,
  inherits: (t, _d, n) =>
    `create table public.base${n} (like public.${t.table}); alter table public.${t.table} inherit public.base${n}`,
  owner: (t, d) => `alter table public.${t.table} owner to ${d.one(['service_role', 'authenticated'])}`,
  touch: (t, d, n) => ({
    moved: `${t.table}.touched${n}`,
    sql: `alter table public.${t.table} add column touched${n} int not null default 0;
      ${withKnown(
        t,
        `create function public.touch${n}() returns trigger language plpgsql as $$ begin
          if not public.by_a_trigger_of_ours(to_jsonb(old), to_jsonb(new), KNOWN) then new.touched${n} = old.touched${n} + 1; end if; return new; end $$`,
      )};
      create trigger ${d.one(['touch', '"a touch"', 'zz_touch'])}${d.chance(0.5) ? '' : '_it'} before update on public.${t.table} for each row execute function public.touch${n}()`,
  }),
  audit: (t, d, n) => {
    const events = d.one(['insert', 'update', 'insert or update', 'insert or update or delete', 'delete'])
    const deferred = d.chance(0.2)
    return {
      moved: `audit${n}`,
      deletions: events.includes('delete'),
      sql: `create table public.audit${n} (what text, row jsonb);
      ${withKnown(
        t,
        `create function public.note${n}() returns trigger language plpgsql ${d.chance(0.5) ? 'security definer' : ''} as $$ begin
          if tg_op = 'UPDATE' then
            if public.by_a_trigger_of_ours(to_jsonb(old), to_jsonb(new), KNOWN) then return null; end if;
          end if;
          insert into public.audit${n} values (tg_op, to_jsonb(coalesce(new, old)) -> '${t.key}'); return ${d.chance(0.5) ? 'null' : 'coalesce(new, old)'}; end $$`,
      )};
      create ${deferred ? 'constraint ' : ''}trigger note after ${events} on public.${t.table} ${deferred ? 'deferrable initially deferred' : ''} for each row execute function public.note${n}()`,
    }
  },
  statement_trigger: (t, d, n) => {
    const updates = d.chance(0.6)
    return {
      moved: `counted${n}`,
      deletions: !updates,
      sql: `create table public.counted${n} (n int);
      ${withKnown(
        t,
        `create function public.count${n}() returns trigger language plpgsql as $$ begin
          insert into public.counted${n} select count(*) from old_rows o ${
            updates
              ? `left join new_rows n on n.${t.key} = o.${t.key} where not public.by_a_trigger_of_ours(to_jsonb(o), to_jsonb(n), KNOWN)`
              : ''
          } having count(*) > 0; return null; end $$`,
      )};
      create trigger counted after ${updates ? 'update' : 'delete'} on public.${t.table} referencing old table as old_rows ${updates ? 'new table as new_rows' : ''} for each statement execute function public.count${n}()`,
    }
  },
  // with the empty path of a function of ours it finds neither the table nor the function
  unqualified: (t, d, n) => {
    const before = d.chance(0.5)
    const events = d.one(['insert', 'update', 'insert or update', 'insert or update or delete', 'delete'])
    return {
      moved: `seen${n}`,
      always: true,
      sql: `create table public.seen${n} (what text);
      create function public.name_of${n}(op text) returns text language sql as $$ select lower(op) $$;
      create function public.see${n}() returns trigger language plpgsql as $$ begin
        insert into seen${n} values (name_of${n}(tg_op)); return coalesce(new, old); end $$;
      create trigger ${d.one(['a_see', 'zz_see'])} ${before ? 'before' : 'after'} ${events} on public.${t.table} for each row execute function public.see${n}()`,
    }
  },
  event_trigger: (_t, _d, n) => ({
    moved: `ddl${n}`,
    always: true,
    sql: `create table public.ddl${n} (tag text);
      create function public.note_ddl${n}() returns event_trigger language plpgsql as $$ begin insert into public.ddl${n} values (tg_tag); end $$;
      create event trigger note_ddl${n} on ddl_command_end execute function public.note_ddl${n}()`,
  }),
  excluding: (t, d, n) =>
    d.one([
      `alter table public.${t.table} add constraint "no two ${n}" exclude using hash (${t.key} with =)`,
      `alter table public.${t.table} add constraint "no two ${n}" exclude using btree (${t.key} with =) where (${t.text} is not null) deferrable initially deferred`,
      `alter table public.${t.table} add constraint "no two ${n}" unique (${t.key}, ${t.text}) deferrable initially deferred`,
    ]),
  refusing: (t, d, n) =>
    `create function public.refuse${n}() returns trigger language plpgsql as $$ begin
       if new.${t.text} like '%7%' and new.${t.text} is not distinct from old.${t.text} then ${d.one(["raise exception 'no change of sevens'", 'return null', "raise sqlstate 'P0001'"])}; end if; return new; end $$;
     create trigger refuse before update on public.${t.table} for each row execute function public.refuse${n}()`,
  // a second time it changes nothing
  changing: (t, d, n) => {
    const said = `rtrim(${t.text}, '! ')`
    return `update public.${t.table} set ${t.text} = ${said} where ${t.text} <> ${said};
      create function public.change${n}() returns trigger language plpgsql as $$ begin new.${t.text} = rtrim(new.${t.text}, '! '); return new; end $$;
      create trigger ${d.one(['a_change', 'zzzz_change'])} before insert or update on public.${t.table} for each row execute function public.change${n}()`
  },
  refusing_rows: (t, d, n) => {
    const event = d.one(['insert', 'delete'])
    const row = event === 'insert' ? 'new' : 'old'
    return `create function public.refuse_rows${n}() returns trigger language plpgsql as $$ begin
         if ${row}.${t.text} like '%3%' then ${d.one(["raise exception 'no threes'", 'return null'])}; end if; return ${row}; end $$;
       create trigger refuse_rows before ${event} on public.${t.table} for each row execute function public.refuse_rows${n}()`
  },
  key: (t, d) =>
    `alter table public.${t.table} drop constraint ${t.table}_pkey cascade;
     ${d.one([
       '',
       `alter table public.${t.table} add primary key (${t.key}) deferrable initially ${d.one(['deferred', 'immediate'])}`,
       `create unique index on public.${t.table} (${t.key})`,
       `alter table public.${t.table} alter column ${t.text} set not null, add primary key (${t.text}, ${t.key})`,
     ])}`,
  index: (t, d, n) =>
    d.one([
      `create index on public.${t.table} (lower(${t.text})) where ${t.key} is not null`,
      `create index "an index${n}" on public.${t.table} using hash (${t.key})`,
      `create index brin${n} on public.${t.table} using brin (${t.key})`,
      `create unique index once${n} on public.${t.table} (${t.key}, ${t.text})`,
      `create statistics public.stats${n} on ${t.key}, ${t.text} from public.${t.table}`,
      `create index on public.${t.table} (${t.text} varchar_pattern_ops) include (${t.key}) with (fillfactor = 70)`,
    ]),
  policy: (t, d, n) =>
    `alter table public.${t.table} enable row level security;
     ${d.chance(0.4) ? `alter table public.${t.table} force row level security;` : ''}
     create policy "policy ${n}" on public.${t.table} as ${d.one(['permissive', 'restrictive'])} for ${d.one(['all', 'select'])} to ${d.one(['public', 'authenticated', 'anon'])} using (${d.one(['true', `${t.text} is not null`, 'false'])})`,
  check: (t, d, n) =>
    `alter table public.${t.table} add constraint "check ${n}" check (${d.one([
      `${t.text} is null or length(${t.text}) < 100000`,
      `${t.text} <> ''`,
      `${t.text} not like '%13%'`,
      `length(${t.text}) > 0 or ${t.key} is null`,
    ])}) not valid`,
  referred: (t, d, n) =>
    `create table public.refers${n} (id int generated always as identity primary key, of uuid references public.${t.table} (${t.key}) on delete ${d.one(['cascade', 'set null', 'no action deferrable initially deferred', 'cascade'])});
     insert into public.refers${n} (of) select ${t.key} from public.${t.table} order by md5(${t.key}::text) limit 3`,
  row_type: (t, d, n) =>
    d.one([
      `create table public.holds${n} (id int, held public.${t.table})`,
      `create function public.all${n}() returns setof public.${t.table} language sql stable as $$ select * from public.${t.table} $$`,
      `create function public.text_of(r public.${t.table}) returns text language sql immutable as $$ select r.${t.text} $$; create index on public.${t.table} (public.text_of(${t.table}))`,
    ]),
  view: (t, d, n) =>
    d.one([
      `create view public.view${n} as select * from public.${t.table}`,
      `create materialized view public.view${n} as select ${t.key}, ${t.text} from public.${t.table}`,
      `create view public.view${n} with (security_barrier, security_invoker) as select ${t.key} as id, ${t.text} as said from public.${t.table} where ${t.text} is not null with local check option`,
    ]),
  rule: (t, d, n) => {
    const event = d.one(['insert', 'update', 'delete'])
    const where = event === 'update' ? `where old.${t.text} is distinct from new.${t.text}` : ''
    if (d.chance(0.2))
      return `create rule also${n} as on ${event} to public.${t.table} do also notify ruled${n}`
    return {
      moved: `ruled${n}`,
      sql: `create table public.ruled${n} (n int); create rule also${n} as on ${event} to public.${t.table} ${where} do also insert into public.ruled${n} values (1)`,
    }
  },
  published: (t, d, n) =>
    `${d.chance(0.4) ? `alter table public.${t.table} replica identity ${d.one(['full', 'nothing'])};` : ''} create publication pub${n} for ${d.one(['all tables', `table public.${t.table}`])}`,
  storage: (t, d) =>
    d.one([
      `alter table public.${t.table} set (fillfactor = 50, autovacuum_enabled = false)`,
      `alter table public.${t.table} set unlogged`,
      `alter table public.${t.table} alter column ${t.text} set storage external`,
      `cluster public.${t.table} using ${t.table}_pkey`,
      `grant select (${t.key}), update (${t.text}) on public.${t.table} to anon`,
      `comment on table public.${t.table} is 'a ''comment'''; comment on column public.${t.table}.${t.text} is 'text'`,
      `alter table public.${t.table} alter column ${t.key} set statistics 7`,
    ]),
  taken: (t, d, n, { track }) =>
    d.one([
      `create table public.chat_messages (id int)`,
      `create schema chat_private`,
      `create table public.chat_sessions_app${n} (id int); create index idx_chat_sessions_user on public.chat_sessions_app${n} (id)`,
      `create function public.set_updated_at() returns trigger language plpgsql as $$ begin return new; end $$`,
      ...(track === 'conversation-history'
        ? [`create table public.conversations (id uuid primary key)`]
        : [`create table if not exists public.chat_sessions (id uuid primary key)`]),
      `alter table public.${t.table} add column session_id ${d.one(['uuid', 'text', 'bigint'])}`,
    ]),
  type: (t, d) =>
    d.one([
      `alter table public.${t.table} alter column ${t.text} type varchar(2000)`,
      `alter table public.${t.table} alter column ${t.text} type public.short`,
      `alter table public.${t.table} alter column ${t.text} type text collate "C"`,
      ...(t.time
        ? [
            `alter table public.${t.table} alter column ${t.time} type ${d.one(['timestamp', 'timestamptz(0)', 'date'])}`,
          ]
        : []),
      `alter table public.${t.table} alter column ${t.key} type public.some_id`,
    ]),
  nulls: (t, d) =>
    d.one([
      `alter table public.${t.table} alter column ${t.text} set not null`,
      `alter table public.${t.table} alter column ${t.text} drop not null`,
      ...(t.time ? [`alter table public.${t.table} alter column ${t.time} drop not null`] : []),
    ]),
}

/** What hardly anybody has. */
export const rarer = (t: Varied, d: Dice, n: number): string =>
  d.one([
    `alter table public.${t.table} alter column ${t.text} type public.shorter`,
    `alter table public.${t.table} add constraint "one ${n}" unique nulls not distinct (${t.key}, ${t.text})`,
    `create unique index "one ${n}" on public.${t.table} (${t.key}, ${t.text}) nulls not distinct`,
    `create rule instead${n} as on delete to public.${t.table} where old.${t.text} = 'never' do instead nothing`,
    `create rule instead${n} as on insert to public.${t.table} where new.${t.text} = 'never' do instead nothing`,
    `create sequence auth.numbers${n}; alter table public.${t.table} add column numbered${n} bigint default nextval('auth.numbers${n}')`,
    `create collation public.same${n} (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     alter table public.${t.table} alter column ${t.text} type text collate public.same${n}`,
    `create function public.size${n}(text) returns int language sql immutable as $$ select length($1) $$;
     alter table public.${t.table} add column sized${n} int generated always as (public.size${n}(${t.text})) stored`,
    `create unique index "some ${n}" on public.${t.table} (${t.text}, ${t.key}) where ${t.text} is not null`,
    `revoke all on public.${t.table} from anon, authenticated;
     grant select (${t.key}, ${t.text}), insert (${t.key}, ${t.text}), update (${t.text}) on public.${t.table} to authenticated`,
    // what refuses a row does so at the commit
    `create function public.refuse_later${n}() returns trigger language plpgsql as $$ begin
       if new.${t.text} like '%7%' and new.${t.text} is not distinct from old.${t.text} then raise exception 'no change of sevens'; end if; return null; end $$;
     create constraint trigger later${n} after update on public.${t.table} deferrable initially deferred for each row execute function public.refuse_later${n}()`,
  ])

/** Divides a table without foreign keys onto it, with all of its rows. */
export function partitioned(t: Varied, d: Dice): string {
  const time = t.time !== null
  const how = time ? d.one(['range', 'hash', 'list']) : 'hash'
  const by = { range: t.time, hash: t.key, list: t.time ? 'part' : t.key }[how]
  const parts = {
    range: `create table public.${t.table}_a partition of public.${t.table} for values from ('2025-01-01') to ('2025-02-03'); create table public.${t.table}_rest partition of public.${t.table} default;`,
    hash: `create table public.${t.table}_a partition of public.${t.table} for values with (modulus 2, remainder 0); create table public.${t.table}_b partition of public.${t.table} for values with (modulus 2, remainder 1);`,
    list: `create table public.${t.table}_a partition of public.${t.table} for values in (0); create table public.${t.table}_rest partition of public.${t.table} default partition by hash (part); create table public.${t.table}_rest_0 partition of public.${t.table}_rest for values with (modulus 1, remainder 0);`,
  }[how]
  return `alter table public.${t.table} rename to before_parts;
    ${how === 'list' ? `alter table public.before_parts add column part int not null default 1; update public.before_parts set part = 0 where ${t.text} like '%3%';` : ''}
    delete from public.before_parts where ${by} is null;
    create table public.${t.table} (like public.before_parts including defaults${d.chance(0.8) ? `, primary key (${[...new Set([t.key, by])].join(', ')})` : ''}) partition by ${how} (${by});
    ${parts} insert into public.${t.table} select * from public.before_parts; drop table public.before_parts cascade`
}
