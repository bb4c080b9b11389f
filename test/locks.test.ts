import { describe, expect, test } from 'vitest'
import { locksOf } from '../src/engine/locks.js'
import { allForeignKeys, heldLocks, indexTables, places } from '../src/sql/trace.js'
import { parseStatements } from '../src/workspace/statements.js'
import { database, servers } from './support/database.js'

/**
 * Statements of every kind that a migration may hold; what they say statically must be what the server takes.
 */
const statements = [
  'alter table a add column x int',
  'alter table a add column x int default 5',
  'alter table a add column x uuid default gen_random_uuid()',
  'alter table a add column x int references b (id)',
  'alter table a add column x int generated always as (n + 1) stored',
  'alter table a drop column n cascade',
  'alter table a drop column b_id',
  'alter table a alter column n type bigint',
  'alter table a alter column t type varchar(200)',
  'alter table a alter column n set default 3',
  'alter table a alter column n drop default',
  'alter table a alter column n set not null',
  'alter table a alter column must drop not null',
  'alter table a alter column n set statistics 500',
  'alter table a alter column n set (n_distinct = 5)',
  'alter table a alter column t set storage external',
  'alter table a alter column t set compression pglz',
  'alter table a add constraint c check (n > 0)',
  'alter table a add constraint c check (n > 0) not valid',
  'alter table a validate constraint a_n_small',
  'alter table a add constraint c unique (n)',
  'alter table a add constraint c unique using index a_n_unique',
  'alter table a add constraint c foreign key (n) references b (id)',
  'alter table a add constraint c foreign key (n) references b (id) not valid',
  'alter table a validate constraint a_late_fkey',
  'alter table a drop constraint a_n_small',
  'alter table a drop constraint a_b_id_fkey',
  'alter table a rename column n to m',
  'alter table a rename to a2',
  'alter table a rename constraint a_n_small to other',
  'alter table a set schema other',
  'alter table a enable row level security',
  'alter table a force row level security',
  'alter table a disable row level security',
  'alter table a enable trigger touch',
  'alter table a disable trigger user',
  'alter table a set (fillfactor = 80)',
  'alter table a set (autovacuum_enabled = off)',
  'alter table a reset (fillfactor)',
  'alter table a set unlogged',
  'alter table a cluster on a_n',
  'alter table a replica identity full',
  'alter table a owner to current_user',
  'alter table a inherit base',
  'alter table parts attach partition loose for values from (100) to (200)',
  'alter table parts detach partition part_one',
  'create table fresh (id int primary key, b_id int references b (id))',
  'create table fresh (like a including all)',
  'create table fresh () inherits (base)',
  'create table part_three partition of parts for values from (200) to (300)',
  'create table fresh as select * from a',
  'create index fresh on a (t)',
  'create unique index fresh on a (id, n)',
  'drop index a_n',
  'alter index a_n rename to other',
  'reindex table a',
  'reindex index a_n',
  'create trigger fresh before insert on a for each row execute function touch()',
  'drop trigger touch on a',
  'alter trigger touch on a rename to other',
  'create policy fresh on a for select using (true)',
  'alter policy mine on a using (n > 0)',
  'drop policy mine on a',
  'alter policy mine on a rename to other',
  'create rule fresh as on insert to a do also notify a',
  'drop table child',
  'drop table plain',
  'truncate plain',
  'truncate b cascade',
  'drop view seen',
  'create or replace view seen as select id, must from a',
  'create view fresh as select * from a',
  'create materialized view fresh as select * from a',
  'refresh materialized view kept',
  'refresh materialized view concurrently kept',
  'comment on table a is $$x$$',
  'comment on column a.n is $$x$$',
  'comment on policy mine on a is $$x$$',
  'comment on trigger touch on a is $$x$$',
  'comment on constraint a_n_small on a is $$x$$',
  'create statistics fresh on id, n from a',
  'create publication fresh for table a',
  'grant select on a to public',
  'revoke select on a from public',
  'lock table a in share mode',
  'analyze a',
  'cluster a using a_n',
  'insert into plain values (1)',
  'update plain set n = 1',
  'delete from plain',
  'with gone as (delete from plain returning n) insert into a (n, must) select n, 1 from gone',
  'select * from a for update',
  'create function fresh() returns int language sql as $$ select 1 $$',
  'create type mood as enum ($$a$$)',
  'create schema fresh',
  'create sequence fresh',
]

const scene = `
  create schema other;
  create table b (id int primary key);
  create table base (id int not null, n int, b_id int, t text, must int not null, late int);
  create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
  create table a (id int primary key, n int, b_id int references b (id), t text, must int not null default 1, late int,
    constraint a_n_small check (n < 1000) not valid);
  alter table a add constraint a_late_fkey foreign key (late) references b (id) not valid;
  create index a_n on a (n);
  create unique index a_n_unique on a (n);
  create trigger touch before update on a for each row execute function touch();
  create policy mine on a for select using (true);
  create table plain (n int);
  create table child (id int references b (id));
  create view seen as select id, must from a;
  create materialized view kept as select id from b;
  create unique index kept_id on kept (id);
  create table parts (id int not null) partition by range (id);
  create table part_one partition of parts for values from (0) to (100);
  create table loose (id int not null);`

class Rollback extends Error {}

describe.each(servers())('locks on PostgreSQL $major', server => {
  test(`${statements.length} kinds of statements say what they take`, async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(scene)
    const known = { foreignKeys: await allForeignKeys(db.sql), indexes: await indexTables(db.sql) }
    const standing = new Set([...(await places(db.sql)).values()].map(p => p.name))
    const differing: unknown[] = []
    for (const text of statements) {
      const [statement] = await parseStatements(text)
      const said = locksOf(statement!, {
        foreignKeys: known.foreignKeys,
        tableOf: i => known.indexes.get(i) ?? null,
        exists: n => standing.has(n),
      })
      await db.sql
        .begin(async tx => {
          const before = await places(tx)
          await tx.unsafe(text)
          const held = await heldLocks(tx, before)
          const taken = held
            .filter(l => !['ACCESS SHARE', 'ROW SHARE'].includes(l.mode))
            .map(l => `${l.table} ${l.mode}`)
          const strongest = said!.filter(l => l.mode !== 'ROW SHARE').map(l => `${l.table} ${l.mode}`)
          // of several modes on one table the strongest counts
          const missing = strongest.filter(l => !taken.includes(l))
          const tables = new Set(taken.map(l => l.split(' ')[0]))
          const unsaid = [...tables].filter(t => !strongest.some(l => l.startsWith(`${t} `)))
          const weaker = taken.filter(l => {
            const mine = strongest.find(s => s.split(' ')[0] === l.split(' ')[0])
            return mine !== undefined && rank(l) > rank(mine)
          })
          if (missing.length + unsaid.length + weaker.length > 0)
            differing.push({ text, said: strongest, taken })
          throw new Rollback()
        })
        .catch(error => {
          if (!(error instanceof Rollback)) differing.push({ text, error: error.message })
        })
    }
    expect(differing).toEqual([])
    const nothing = { foreignKeys: [], tableOf: () => null, exists: () => false }
    for (const text of [
      'do $$ begin end $$',
      'call f()',
      'drop function touch() cascade',
      'drop table a cascade',
    ])
      expect(locksOf((await parseStatements(text))[0]!, nothing), text).toBeNull()
    expect(statements.length).toBeGreaterThan(60)
  })
})

const order = [
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
]
const rank = (lock: string): number => order.indexOf(lock.slice(lock.indexOf(' ') + 1))
