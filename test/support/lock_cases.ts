/** A statement that test/locks.test.ts runs for real on test/support/locks.sql. */
export interface LockCase {
  sql: string
  /** First major that knows it. */
  from?: number
  /** First major that takes all that is said; older ones take less. */
  newer?: number
  /**
   * Hazards that are said although they do not come about here: the answer depends on more than the
   * catalog.
   */
  may?: string[]
  /** Hazards that follow from what was seen and are rightly not said. */
  besides?: string[]
}

const plain = `
alter table a add column x int
alter table a add column x int default 5
alter table a add column x timestamptz default now()
alter table a add column x timestamptz not null default clock_timestamp()
alter table a add column x uuid default gen_random_uuid()
alter table a add column x int default fixed()
alter table a add column x int default chance()
alter table a add column x int default public.chance() + 1
alter table a add column x text default current_user
alter table a add column x jsonb not null default '{}'::jsonb
alter table a add column x int references b (id)
alter table a add column x int references shards (id)
alter table a add column x int unique
alter table a add column x int check (x > 0)
alter table a add column x int not null default 1
alter table a add column x positive
alter table a add column x positive default 1
alter table a add column x plain_text
alter table a add column x short_text
alter table a add column x mood
alter table a add column x int[]
alter table a add column x int generated always as (n + 1) stored
alter table a add column x int generated always as identity
alter table a add column x serial
alter table a add column x bigserial not null
alter table a add column if not exists n int
alter table a add column if not exists n uuid default gen_random_uuid()
alter table a add column x int, add column y int, alter column n set not null
alter table measured add column x int generated always as identity primary key
alter table plain add column x int, add column y uuid default gen_random_uuid(), add check (x > 0)
alter table merged drop column n cascade
alter table a drop column b_id
alter table a drop column n
alter table a drop column if exists nowhere
alter table numbered drop column id
alter table a alter column n type bigint
alter table a alter column t type varchar(200)
alter table a alter column t type varchar
alter table a alter column v type varchar(20)
alter table a alter column v type varchar(10)
alter table a alter column v type varchar(5)
alter table a alter column v type varchar
alter table a alter column v type text
alter table a alter column v type char(10)
alter table a alter column v type short_text
alter table a alter column c type char(8)
alter table a alter column c type text
alter table a alter column d type numeric(10, 2)
alter table a alter column d type numeric
alter table a alter column d type numeric(10, 3)
alter table a alter column d type numeric(10)
alter table a alter column d type numeric(6, 2)
alter table a alter column w type timestamp(6)
alter table a alter column w type timestamp
alter table a alter column w type timestamp(1)
alter table a alter column ip type inet
alter table a alter column ip type text
alter table a alter column bits type varbit(8)
alter table a alter column bits type varbit
alter table a alter column arr type varchar[]
alter table a alter column arr type varchar(20)[]
alter table a alter column arr type varchar(20)[] using arr::varchar(20)[]
alter table a alter column n type int using n + 1
alter table a alter column v type varchar(20) using v
alter table a alter column v type varchar(20) using v::varchar(20)
alter table a alter column v type varchar(20) using lower(v)
alter table a alter column v type varchar(20) using v::text
alter table a alter column t type text collate "C"
alter table a alter column v type text collate "C"
alter table a alter column t type text
alter table a alter column t type plain_text
alter table a alter column checked type int
alter table a alter column checked type positive
alter table a alter column kind type text
alter table measured alter column p type int
alter table measured alter column q type text
alter table measured alter column q type varchar
alter table measured alter column s type bigint
alter table b alter column note type varchar
alter table uses alter column w type varchar(20)
alter table uses alter column w type text
alter table uses alter column w type varchar(5)
alter table uses alter column u type varchar(20)
alter table words alter column w type varchar(20)
alter table words alter column w type text
alter table a alter column n set default 3
alter table a alter column n drop default
alter table a alter column n set not null
alter table a alter column checked set not null
alter table a alter column must set not null
alter table a alter column must drop not null
alter table a alter column n set statistics 500
alter table a alter column n set (n_distinct = 5)
alter table a alter column n reset (n_distinct)
alter table a alter column t set storage external
alter table a alter column t set compression pglz
alter table a alter column must drop identity if exists
alter table a alter column must drop default, alter column must add generated always as identity
alter table numbered alter column g drop identity
alter table numbered alter column g set generated by default
alter table numbered alter column g restart with 50
alter table measured alter column s drop expression
alter table a add constraint x check (n > 0)
alter table a add constraint x check (n > 0) not valid
alter table a add check (n > 0)
alter table a add constraint x unique (n)
alter table a add constraint x unique using index a_n_unique
alter table plain add primary key (n)
alter table plain add constraint plain_pk primary key (n)
alter table keyless add primary key using index keyless_n
alter table a add constraint x exclude using btree (n with =)
alter table a add constraint x foreign key (n) references b (id)
alter table a add constraint x foreign key (n) references b (id) not valid
alter table a add foreign key (n) references a (id)
alter table plain add constraint x foreign key (n) references shards (id) not valid
alter table a validate constraint a_late_fkey
alter table a validate constraint a_n_small
alter table a alter constraint a_b_id_fkey deferrable initially deferred
alter table shards alter constraint shards_b_id_fkey deferrable
alter table a drop constraint a_n_small
alter table a drop constraint a_b_id_fkey
alter table a drop constraint a_pkey
alter table a drop constraint if exists nowhere
alter table numbered drop constraint numbered_pkey
alter table leaf drop constraint leaf_shard_fkey
alter table a rename column n to m
alter table a rename to a2
alter table a rename constraint a_n_small to other
alter table a set schema other
alter table numbered rename to other
alter table numbered set schema other
alter table a enable row level security
alter table a force row level security
alter table a no force row level security
alter table a disable row level security
alter table a force row level security, no force row level security
alter table a enable trigger touch
alter table a enable always trigger touch
alter table a enable replica trigger touch
alter table a disable trigger touch
alter table a disable trigger user
alter table a disable trigger all
alter table a enable trigger user
alter table a enable trigger all
alter table a set (fillfactor = 80)
alter table a set (autovacuum_enabled = off)
alter table a set (user_catalog_table = true)
alter table a set (toast_tuple_target = 200)
alter table a set (parallel_workers = 2)
alter table a reset (fillfactor)
alter table a reset (user_catalog_table)
alter table a alter column n set (n_distinct = 5), set (fillfactor = 50)
alter table plain set unlogged
alter table plain set logged
alter table quick set logged
alter table quick set unlogged
alter table numbered set unlogged
alter table a set access method heap
alter table a cluster on a_n
alter table a set without cluster
alter table a replica identity full
alter table plain replica identity nothing
alter table a replica identity using index a_must_unique
alter table a owner to reader
alter table numbered owner to reader
alter table a owner to current_user
alter table a inherit base
alter table branch no inherit trunk
alter table paired of pair
alter table typed not of
alter table plain enable rule shout
alter table plain disable rule shout
alter table plain enable always rule shout
alter table plain enable replica rule shout
alter table parts attach partition loose for values from (100) to (200)
alter table parts detach partition part_one
alter table shards attach partition shard_loose for values from (100) to (200)
alter table shards detach partition shard_one
alter table if exists nowhere add column x int
alter table shards add column x int
alter table shards add column x uuid default gen_random_uuid()
alter table shards add column if not exists k int
alter table shards alter column k type bigint
alter table shards drop column k
alter table shards drop column b_id
alter table shards alter column k set default 3
alter table shards alter column k set not null
alter table shards alter column k set statistics 10
alter table shards alter column k set (n_distinct = 5)
alter table shards alter column k set storage plain
alter table shards add constraint x check (k > 0) not valid
alter table shards add constraint x check (k > 0)
alter table shards validate constraint shards_k_small
alter table shards drop constraint shards_b_id_fkey
alter table shards drop constraint shards_k_small
alter table shards rename column k to kk
alter table shards rename to shards2
alter table shards enable row level security
alter table shards enable trigger touch
alter table shards disable trigger touch
alter table shards enable always trigger touch
alter table shards enable replica trigger touch
alter table shards disable trigger user
alter table shards disable trigger all
alter table shards enable trigger user
alter table shards enable trigger all
alter table shards owner to reader
alter table shards set schema other
alter table shards replica identity full
alter table shards force row level security
alter table shards no force row level security
alter table shards disable row level security
alter table shards alter column k reset (n_distinct)
alter table pieces alter column t set compression pglz
alter table pieces set tablespace pg_default
alter table pieces enable rule shout
alter table pieces disable rule shout
alter table pieces enable always rule shout
alter table pieces enable replica rule shout
alter table pieces detach partition piece_one
alter table grown alter column s drop expression
alter foreign table ft_parent options (add a 'b')
alter foreign table ft_parent alter column id options (add a 'b')
alter table shard_one add constraint x check (k > 0)
alter table shard_one rename to other
alter table only trunk alter column n set default 4
alter table trunk add column x int
alter table trunk add column x uuid default gen_random_uuid()
alter table trunk drop column t
alter table only trunk drop column t
alter table trunk alter column n type bigint
alter table trunk alter column n set default 3
alter table trunk alter column n set not null
alter table trunk alter column id drop not null
alter table trunk alter column n set statistics 10
alter table trunk alter column t set storage external
alter table trunk alter column t set compression pglz
alter table trunk alter column n set (n_distinct = 5)
alter table trunk alter column n reset (n_distinct)
alter table trunk add constraint x check (n > 0) not valid
alter table trunk add constraint x check (n > 0)
alter table trunk validate constraint trunk_n
alter table trunk drop constraint trunk_n
alter table trunk rename column n to m
alter table trunk rename constraint trunk_n to other
alter table trunk rename to trunk2
alter table trunk enable row level security
alter table trunk disable row level security
alter table trunk force row level security
alter table trunk no force row level security
alter table trunk owner to reader
alter table trunk set (fillfactor = 80)
alter table trunk reset (fillfactor)
alter table trunk replica identity full
alter table trunk set unlogged
alter table trunk set access method heap
alter table trunk enable trigger touch
alter table trunk disable trigger touch
alter table trunk enable always trigger touch
alter table trunk enable replica trigger touch
alter table trunk disable trigger user
alter table trunk disable trigger all
alter table trunk enable trigger user
alter table trunk enable trigger all
alter table trunk enable rule shout
alter table trunk disable rule shout
alter table trunk enable always rule shout
alter table trunk enable replica rule shout
alter table trunk cluster on trunk_id
alter table trunk set without cluster
alter table trunk alter constraint trunk_fkey deferrable
alter table trunk alter column i set generated by default
alter table trunk alter column i drop identity
alter table trunk alter column id add generated always as identity
alter table trunk inherit root
alter table trunk no inherit seed
alter table trunk set schema other
create index fresh on trunk (n)
create trigger fresh before insert on trunk for each row execute function touch()
create policy fresh on trunk using (true)
truncate trunk
truncate only trunk
update trunk set n = 1
update only trunk set n = 1
delete from trunk
lock table trunk in exclusive mode
lock table only trunk in access exclusive mode
drop table twig
create table fresh (id int primary key, b_id int references b (id))
create table fresh (id int references shards (id))
create table fresh (id int, foreign key (id) references b (id))
create table fresh (id int primary key, up int references fresh (id))
create table fresh (like a including all)
create table fresh () inherits (base)
create table fresh () inherits (trunk)
create table part_three partition of parts for values from (200) to (300)
create table shard_two partition of shards for values from (200) to (300)
create table fresh as select * from a
create table if not exists a (id int references b (id))
create table if not exists fresh (id int references b (id))
create unlogged table fresh (id int)
create foreign table fresh (id int) server far
create schema fresh create table x (id int references public.b (id))
select * into fresh from a
create index fresh on a (late)
create unique index fresh on a (id, n)
create index on a (late)
create index if not exists a_n on a (n)
create index if not exists fresh on a (n)
create index fresh on shards (b_id, k)
create index fresh on only shards (b_id)
create index fresh on parts (k)
drop index a_n
drop index if exists nowhere
drop index shards_k
alter index a_n rename to other
alter index a_n set (fillfactor = 50)
alter index a_n reset (fillfactor)
alter index a_n set tablespace pg_default
alter index a_lower alter column 1 set statistics 10
alter table a_n rename to other
alter table a_n set (fillfactor = 50)
alter index shards_b attach partition shard_one_b
reindex table a
reindex table b
reindex table merged
reindex index a_n
create trigger fresh before insert on a for each row execute function touch()
create trigger fresh before insert on shards for each row execute function touch()
create trigger fresh before insert on shards for each statement execute function touch()
create constraint trigger fresh after insert on a from b for each row execute function touch()
create or replace trigger touch before update on a for each row execute function touch()
drop trigger touch on a
drop trigger touch on shards
alter trigger touch on a rename to other
alter trigger touch on shards rename to other
create policy fresh on a for select using (true)
create policy fresh on a for select using (id in (select id from b))
create policy fresh on shards using (true)
alter policy mine on a using (n > 0)
drop policy mine on a
drop policy if exists nowhere on a
alter policy mine on a rename to other
create rule fresh as on insert to a do also notify a
create or replace rule shout as on insert to plain do also notify plain
alter rule shout on plain rename to other
drop rule shout on plain
drop table child
drop table plain
drop table numbered
drop table leaf
drop table parts
drop table part_one
drop table if exists nowhere, plain
truncate plain
truncate a, plain
truncate numbered restart identity
truncate parts
truncate part_one
truncate b cascade
drop view renamed
drop view if exists nowhere
create or replace view seen as select id, must from a
create or replace view fresh as select * from a
create view fresh as select * from seen
alter view seen rename to other
alter view seen rename column must to m
alter view seen set (security_barrier = true)
alter view seen set (security_invoker = true)
alter view seen reset (security_barrier)
alter view seen alter column must set default 4
alter view seen alter column must drop default
alter view seen owner to reader
alter view seen set schema other
create materialized view fresh as select * from a
refresh materialized view kept
refresh materialized view kept with no data
refresh materialized view concurrently kept
alter materialized view kept rename to other
alter materialized view kept set (fillfactor = 80)
alter materialized view kept set schema other
alter materialized view kept owner to reader
alter materialized view kept cluster on kept_id
alter materialized view kept set without cluster
alter materialized view kept alter column id set statistics 10
drop materialized view kept
comment on table a is 'x'
comment on column a.n is 'x'
comment on view seen is 'x'
comment on materialized view kept is 'x'
comment on index a_n is 'x'
comment on sequence counter is 'x'
comment on policy mine on a is 'x'
comment on trigger touch on a is 'x'
comment on rule shout on plain is 'x'
comment on constraint a_n_small on a is 'x'
comment on statistics a_stats is 'x'
comment on type pair is 'x'
comment on column pair.x is 'x'
comment on foreign table ft is 'x'
create statistics fresh on id, n from a
alter statistics a_stats set statistics 10
alter statistics a_stats rename to other
drop statistics a_stats
create publication fresh for table a
create publication fresh for table trunk
create publication fresh for table only trunk
create publication fresh for table shards
create publication fresh for all tables
create publication fresh for tables in schema public
alter publication news add table b
alter publication news drop table a
alter publication news set (publish = 'insert')
alter publication news rename to other
drop publication news
grant select on a to public
grant select (n) on a to public
revoke select on a from public
grant select on all tables in schema public to reader
grant usage on schema other to reader
grant pg_read_all_data to reader
alter default privileges grant select on tables to reader
lock table a in share mode
lock table a
lock table a in access share mode
lock table shards in share mode
lock table only shards in share mode
analyze a
analyze shards
cluster a using a_n
insert into plain values (1)
insert into child select 1
update merged set n = 1
update a set b_id = 2
update merged set n = a.n from a where a.id = merged.n
update shards set k = 1
delete from merged
delete from shards
merge into merged using a on a.id = merged.n when matched then delete
with gone as (delete from merged returning n) insert into plain select n from gone
with gone as (delete from merged returning n) select * from gone
copy merged from program 'echo 1'
copy merged to program 'cat > /dev/null'
select * from a for update
select * from (select * from a) x for update
select * from a where id in (select id from b for share)
select count(*), fixed() from a
select now(), set_config('a.b', 'c', true)
explain update merged set n = 1
explain analyze update merged set n = 1
prepare fresh as update merged set n = 1
declare x cursor for select * from a for update
close all
create function fresh() returns int language sql as $$ select 1 $$
create or replace function touch() returns trigger language plpgsql as $$ begin return new; end $$
create procedure fresh() language sql as $$ select 1 $$
alter function chance() owner to reader
alter function chance() stable
alter function chance() rename to other
alter function chance() set schema other
drop function chance()
create type fresh as enum ('a')
create type fresh as (x int)
create type fresh as range (subtype = int)
alter type mood rename to temper
alter type mood rename value 'low' to 'lower'
alter type mood add value 'mid'
alter type mood owner to reader
alter type mood set schema other
alter type loner add attribute z int
alter type loner rename attribute x to xx
alter type loner rename to other
alter type blob set (storage = external)
create domain fresh as int
alter domain positive add constraint x check (value < 100)
alter domain positive add constraint x check (value < 100) not valid
alter domain positive validate constraint positive_small
alter domain positive drop constraint positive_check
alter domain positive set not null
alter domain positive drop not null
alter domain positive set default 3
alter domain positive rename to pos
alter domain positive rename constraint positive_check to other
alter domain positive owner to reader
alter domain positive set schema other
create schema fresh
alter schema third rename to another
drop schema third
create sequence fresh
create sequence fresh owned by a.n
alter sequence counter restart with 5
alter sequence counter increment by 2
alter sequence counter cache 5
alter sequence counter rename to other
alter sequence counter set schema other
alter sequence counter owner to reader
alter sequence counter owned by a.n
alter sequence counter set unlogged
alter sequence numbered_id_seq owned by none
alter sequence numbered_id_seq restart
drop sequence counter
alter foreign table ft add column x int
alter foreign table ft rename to other
alter foreign table ft options (add a 'b')
alter foreign table ft alter column id options (add a 'b')
drop foreign table ft
create foreign data wrapper fresh
alter foreign data wrapper dummy options (add a 'b')
create server fresh foreign data wrapper dummy
alter server far options (add a 'b')
create user mapping for reader server far
alter user mapping for public server far options (add a 'b')
drop user mapping for public server far
alter database template1 set a.b = 'c'
alter database template1 connection limit 50
create extension pgcrypto
create event trigger fresh on ddl_command_start execute function alarm()
alter event trigger bell disable
create cast (mood as int) with inout
create aggregate fresh (int) (sfunc = int4pl, stype = int)
create operator ### (leftarg = int, rightarg = int, function = int4pl)
create collation fresh from "C"
create conversion fresh for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8
create operator family fresh using btree
create operator class fresh for type int using btree as operator 1 <
create access method fresh type index handler bthandler
create text search dictionary fresh (template = simple)
alter text search dictionary plain_words (stopwords = '')
create text search configuration fresh (parser = "default")
alter text search configuration plain_search add mapping for word with simple
alter operator @@@ (int, int) owner to reader
alter operator @@@ (int, int) set (restrict = none)
alter operator family spare using btree rename to other
alter operator family spare using btree drop operator 1 (int, int)
alter collation spare refresh version
create role fresh
alter role reader nologin
alter role reader set a.b = 'c'
drop role reader
set local statement_timeout = 1000
show statement_timeout
set constraints all immediate
notify plain
listen plain
unlisten plain
discard plans
savepoint x
checkpoint
`

const others: LockCase[] = [
  // PostgreSQL 18 knows them, 15 does not
  { sql: 'alter table a add constraint x not null n', from: 18 },
  { sql: 'alter table a add constraint x not null n not valid', from: 18 },
  { sql: 'alter table a add constraint x not null checked', from: 18 },
  { sql: 'alter table a add constraint x check (n > 0) not enforced', from: 18 },
  { sql: 'alter table a add column x int generated always as (n) virtual', from: 18 },
  { sql: 'alter table trunk add constraint x not null n', from: 18 },
  { sql: 'alter table measured alter column s set expression as (id + 2)', from: 18 },
  { sql: 'alter table shards add constraint x foreign key (k) references b (id) not valid', from: 18 },
  { sql: 'alter table grown alter column s set expression as (id + 2)', from: 18 },
  { sql: 'alter table pieces set access method heap', from: 18 },
  // 15 locks no children for them
  { sql: 'alter table pieces alter column id add generated always as identity', newer: 18 },
  { sql: 'alter table pieces alter column g set generated by default', newer: 18 },
  { sql: 'alter table pieces alter column g drop identity', newer: 18 },
  { sql: 'alter table shards add constraint x unique (id, k)', newer: 18 },
  { sql: 'alter table parts add primary key (id)', newer: 18 },
  { sql: 'alter table trunk add constraint x unique (id)', newer: 18 },
  {
    sql: 'alter table trunk add foreign key (n) references b (id)',
    newer: 18,
    besides: ['SCANS_TABLE public.b'],
  },
  {
    sql: 'alter table shards add constraint x foreign key (k) references b (id)',
    besides: ['SCANS_TABLE public.b'],
  },
  { sql: 'alter table keyless add primary key using index keyless_id', may: ['SCANS_TABLE public.keyless'] },
  { sql: 'alter table trunk add constraint x check (n > 0) no inherit', newer: 18 },
  { sql: 'analyze trunk', newer: 18 },
  // depends on the session's time zone, on where the tables are, on what the function does
  { sql: 'alter table a alter column w type timestamptz', may: ['REWRITES_TABLE public.a'] },
  { sql: 'alter table a set tablespace pg_default', may: ['REWRITES_TABLE public.a'] },
  { sql: 'alter table trunk set tablespace pg_default', may: ['REWRITES_TABLE public.trunk'] },
  { sql: 'alter materialized view kept set tablespace pg_default', may: ['REWRITES_TABLE public.kept'] },
  { sql: 'alter table measured alter column p type positive', may: ['REWRITES_TABLE public.measured'] },
  { sql: 'alter table a add column x int default simple()', may: ['REWRITES_TABLE public.a'] },
  { sql: 'alter table a validate constraint a_checked', may: ['SCANS_TABLE public.a'] },
  {
    sql: 'alter table parts attach partition proved for values from (100) to (200)',
    may: ['SCANS_TABLE public.proved'],
  },
  // the server reads the other side of a foreign key in the way that it finds best; its lock is said
  { sql: 'alter table a add column x int default 1 references b (id)', besides: ['SCANS_TABLE public.b'] },
  {
    sql: 'alter table plain add constraint x foreign key (n) references shards (id)',
    besides: ['SCANS_TABLE public.shard_one', 'SCANS_TABLE public.shard_rest'],
  },
  { sql: 'alter table child alter column id type bigint', besides: ['SCANS_TABLE public.b'] },
  { sql: 'alter table b alter column id type bigint' },
]

/** What runs in a transaction that is taken back. */
export const inside: LockCase[] = [
  ...plain
    .trim()
    .split('\n')
    .map(sql => ({ sql })),
  ...others,
]

/** What the server runs outside of a transaction only; somebody stands in its way on each of the tables. */
export const outside: { sql: string; tables: string[]; before?: string }[] = [
  { sql: 'create index concurrently fresh on a (late)', tables: ['a'] },
  { sql: 'drop index concurrently a_n', tables: ['a'] },
  { sql: 'reindex table concurrently b', tables: ['b'] },
  { sql: 'reindex index concurrently a_v', tables: ['a'] },
  { sql: 'vacuum a', tables: ['a'] },
  { sql: 'vacuum (full) a', tables: ['a'] },
  { sql: 'vacuum (full false) a', tables: ['a'] },
  { sql: 'vacuum full parts', tables: ['only parts', 'part_one'] },
  {
    sql: 'cluster parts using parts_k',
    tables: ['only parts', 'part_one'],
    before: 'create index parts_k on parts (k)',
  },
  {
    sql: 'reindex table parts',
    tables: ['only parts', 'part_one'],
    before: 'create index parts_k on parts (k)',
  },
  {
    sql: 'reindex table concurrently parts',
    tables: ['only parts', 'part_one'],
    before: 'create index parts_k on parts (k)',
  },
  {
    sql: 'reindex index parts_k',
    tables: ['only parts', 'part_one'],
    before: 'create index parts_k on parts (k)',
  },
  { sql: 'alter table parts detach partition part_one concurrently', tables: ['only parts', 'part_one'] },
]
