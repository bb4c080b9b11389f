import { expect } from 'vitest'
import { migrate } from '../../src/migrate/migrate.js'
import { bareMigrateOptions } from '../../src/migrate/migrate_options.js'
import type { Consent } from '../../src/model/plan.js'
import type { Finding, Report } from '../../src/model/report.js'
import { rollback } from '../../src/rollback/rollback.js'
import { consentTo, contextOf, trackIn } from './context.js'
import type { Database } from './database.js'
import { folder } from './folder.js'

/** A track of one migration, with its way back. */
export const track = (up: string, down: string): string =>
  folder({
    'migrations/mine/1_first.sql': up,
    'rollbacks/mine/1_first.sql': down,
    'verify/mine/nothing.sql': `select 'x' as object, 'y' as detail where false`,
  })

/** A small application; every row has a word of its own that can be looked for. */
export const application = `
create table public.a (id int primary key, body text, note text);
create table public.b (id int primary key, a_id int references public.a on delete cascade, body text);
create table public.c (id int primary key, body text);
create table public.bare (body text);
create schema "My.App";
create table "My.App"."The ""Table""" (id int primary key, "Col.umn" text, "say ""x""" text);
create table public."A" (id int primary key, body text);
create table public.events (id int, kind int, body text, primary key (id, kind)) partition by list (kind);
create table public.events_1 partition of public.events for values in (1);
create table public.events_2 partition of public.events for values in (2);
create table public.parent (id int primary key, body text);
create table public.child (primary key (id)) inherits (public.parent);
create type public.mood as enum ('good', 'bad');
create domain public.words as text;
create table public.feelings (id int primary key, mood public.mood, body public.words);
create schema side;
create table side.notes (id int primary key, body text);
create table public.inbox (id int primary key, body text);
create function public.clean() returns int language plpgsql as $$ begin delete from public.c; return 1; end $$;
create function public.spill() returns trigger language plpgsql as $$ begin delete from public.c where id = 1; return new; end $$;
create trigger spill before insert on public.inbox for each row execute function public.spill();
create function public.late() returns trigger language plpgsql as $$ begin delete from public.c where id = 2; return null; end $$;
create constraint trigger late after update on public.inbox deferrable initially deferred for each row execute function public.late();
create procedure public.clear() language plpgsql as $$ begin drop table public.c; end $$;
create view public.seen as select * from public.c;
create view public.cleaning as select public.clean() as n;
insert into public.a select n, 'a_body_' || n, 'a_note_' || n from generate_series(1, 3) n;
insert into public.b select n, n, 'b_body_' || n from generate_series(1, 3) n;
insert into public.c select n, 'c_body_' || n from generate_series(1, 3) n;
insert into public.bare select 'bare_body_' || n from generate_series(1, 3) n;
insert into "My.App"."The ""Table""" select n, 'app_col_' || n, 'app_say_' || n from generate_series(1, 3) n;
insert into public."A" select n, 'upper_body_' || n from generate_series(1, 3) n;
insert into public.events select n, 1 + n % 2, 'event_body_' || n from generate_series(1, 4) n;
insert into public.parent select n, 'parent_body_' || n from generate_series(1, 2) n;
insert into public.child select n, 'child_body_' || n from generate_series(3, 4) n;
insert into public.feelings select n, case when n = 1 then 'good' else 'bad' end::public.mood, 'feeling_body_' || n from generate_series(1, 3) n;
insert into side.notes select n, 'side_body_' || n from generate_series(1, 3) n;
`

/** An empty database again. */
export const reset = `
drop schema if exists public, "My.App", side, rethread, rethread_archive, chat_private cascade;
create schema public;`

const word = /\b[a-z]+_[a-z]+_\d+\b|\bgood\b/g

/** Every word of every row of every table, with the table; the tool's ledger left out. */
export async function words(db: Database): Promise<Map<string, string[]>> {
  const tables = await db.sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema|rethread$)' and c.relname <> 'archives'`
  const found = new Map<string, string[]>()
  for (const { name } of tables) {
    const rows = await db.sql.unsafe<{ text: string }[]>(`select t::text as text from only ${name} t`)
    for (const { text } of rows)
      for (const [w] of text.matchAll(word)) found.set(w, [...(found.get(w) ?? []), name])
  }
  return found
}

/**
 * Where the application has each word, to compare. A refused rollback may have copied columns to the archive.
 */
export const placesOf = (found: Map<string, string[]>): string[] =>
  [...found]
    .map(([w, tables]) => [w, tables.filter(t => !t.startsWith('rethread_archive.'))] as const)
    .filter(([, tables]) => tables.length > 0)
    .map(([w, tables]) => `${w} in ${[...new Set(tables)].sort().join(', ')}`)
    .sort()

/** What stopped a run. */
export const errors = (report: Report): Finding[] =>
  report.findings.filter(f => f.level === 'error' || f.level === 'refused')

/** A report, and what words there were before and after. */
export interface Came {
  report: Report
  before: Map<string, string[]>
  after: Map<string, string[]>
}

/** Puts the application back, applies a migration and rolls it back, with everything allowed. */
export async function rolledBack(db: Database, down: string, up = 'select 1;'): Promise<Came> {
  await db.sql.unsafe(reset)
  await db.sql.unsafe(application)
  const mine = trackIn(track(up, down))
  const ctx = contextOf(db.url, [mine])
  const consent = consentTo(db.name)
  const applied = await migrate(ctx, mine, { ...bareMigrateOptions, consent, leaseWaitMs: 0 })
  expect([applied.verdict, errors(applied)]).toEqual(['clean', []])
  const before = await words(db)
  const report = await rollback(ctx, mine, { to: null, steps: null, all: true, consent, leaseWaitMs: 0 })
  return { report, before, after: await words(db) }
}

/** Puts the application back and applies a migration with a consent. */
export async function migrated(db: Database, up: string, consent: Consent): Promise<Came> {
  await db.sql.unsafe(reset)
  await db.sql.unsafe(application)
  const before = await words(db)
  const mine = trackIn(track(up, 'select 1;'))
  const report = await migrate(contextOf(db.url, [mine]), mine, {
    ...bareMigrateOptions,
    consent,
    leaseWaitMs: 0,
  })
  return { report, before, after: await words(db) }
}

/** The facts of a finding of whatever code. */
export const factsOf = (f: Finding) => f.facts as Record<string, unknown>
