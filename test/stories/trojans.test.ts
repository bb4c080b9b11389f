import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { HazardCode, Report } from '../../src/index.js'
import { type Database, database, open, root, some } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

/** Every text of SQL that is sent: queries of the tool, and files of the tracks. */
const sources = ['src', 'migrations', 'rollbacks', 'verify']
  .flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(f => join(folder, f)),
  )
  .filter(f => /\.sql(\.ts)?$/.test(f))
  .map(f => readFileSync(join(root, f), 'utf8'))
  .join('\n')

/** Words that stand before a parenthesis, and everything that could be an operator. */
const calls = [...new Set([...sources.matchAll(/\b([a-z_][a-z0-9_]*)\s*\(/g)].map(m => m[1]!))]
const operators = [
  ...new Set([...sources.matchAll(/(?<=[\s)\]'"])[-+*/<>=~!@#%^&|?]{1,4}(?=[\s('"$])/g)].map(m => m[0])),
]

/** Types that values are cast to, by the names that the server's own have. */
const types = [...new Set([...sources.matchAll(/::([a-z_][a-z0-9_]*)/g)].map(m => m[1]!))]

/**
 * A role that may create in `public` makes a function for every name that is called, a type with casts for
 * every one that is cast to, and an operator for every sign that is written, for argument types that the
 * server's own ones do not match exactly: in the default search path each would be called instead.
 */
const plant = (role: string): string => `
  grant create, usage on schema public to ${role};
  set role ${role};
  do $plant$
  declare
    f record;
    o record;
  begin
    for f in
      with types (t) as (values ('text'), ('uuid'), ('name'), ('int4'), ('int8'), ('jsonb'), ('timestamptz'), ('bool'), ('regclass'), ('text[]'), ('name[]'), ('int2[]')),
      few (t) as (values ('text'), ('uuid'), ('name'), ('int8')),
      shapes (args) as (select t from types union all select a.t || ', ' || b.t from few a, few b union all values ('text, uuid, uuid'), ('text, text, uuid'))
      select distinct on (p.proname, s.args) p.proname, s.args, p.proretset, p.prorettype::regtype::text as gives
      from pg_proc p cross join shapes s
      where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = any ('{${calls.join(',')}}'::text[])
        and p.prokind = 'f' and p.prorettype not in (select oid from pg_type where typtype = 'p')
        and to_regprocedure(format('pg_catalog.%I(%s)', p.proname, s.args)) is null
    loop
      execute format('create function public.%I(%s) returns %s language plpgsql as $x$ begin return; end $x$',
        f.proname, f.args, 'setof ' || f.gives);
    end loop;
    for o in
      with few (t) as (values ('text'), ('uuid'), ('name'), ('int4'), ('int8'), ('jsonb'), ('timestamptz'), ('regclass'), ('varchar'))
      select distinct on (p.oprname, a.t, b.t) p.oprname, a.t as l, b.t as r, p.oprresult::regtype::text as gives,
        row_number() over () as n
      from pg_operator p cross join few a cross join few b
      where p.oprnamespace = 'pg_catalog'::regnamespace and p.oprname = any (array[${operators.map(o => `'${o}'`).join(',')}])
        and p.oprkind = 'b' and p.oprresult not in (select oid from pg_type where typtype = 'p')
        and to_regoperator(format('pg_catalog.%s(%s,%s)', p.oprname, a.t, b.t)) is null
    loop
      execute format('create function public.sign_%s(%s, %s) returns %s language plpgsql as $x$ begin return null; end $x$', o.n, o.l, o.r, o.gives);
      execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = public.sign_%s)', o.oprname, o.l, o.r, o.n);
    end loop;
    -- types of its own by the same names, to which everything is cast by functions of its own, unasked
    for o in
      select t.typname, row_number() over () as n from pg_type t
      where t.typnamespace = 'pg_catalog'::regnamespace and t.typname = any ('{${types.join(',')}}'::text[]) and t.typtype in ('b', 'd')
    loop
      execute pg_catalog.format('create type public.%I as enum (''trojan'')', o.typname);
      for f in select unnest('{text,name,int4,int8,uuid,jsonb,regclass}'::text[]) as args loop
        execute pg_catalog.format('create function public.cast_%s_%s(pg_catalog.%s) returns public.%I language plpgsql as $x$ begin return null; end $x$', o.n, f.args, f.args, o.typname);
        execute pg_catalog.format('create cast (pg_catalog.%s as public.%I) with function public.cast_%s_%s(pg_catalog.%s) as implicit', f.args, o.typname, o.n, f.args, f.args);
        execute pg_catalog.format('create function public.back_%s_%s(public.%I) returns pg_catalog.%s language plpgsql as $x$ begin return null; end $x$', o.n, f.args, o.typname, f.args);
        execute pg_catalog.format('create cast (public.%I as pg_catalog.%s) with function public.back_%s_%s(public.%I) as implicit', o.typname, f.args, o.n, f.args, o.typname);
      end loop;
    end loop;
  end
  $plant$;
  create function public.format(text, int4, int8) returns text language plpgsql as $$ begin return null; end $$;
  reset role`

describe.each(some('newest'))('functions and operators of others in public on PostgreSQL $major', server => {
  const mallory = `mallory_${randomBytes(4).toString('hex')}`

  afterAll(async () => {
    const sql = open(server.url, 1)
    await sql.unsafe(`drop role if exists ${mallory}`)
    await sql.end()
  })

  /** Calls of functions in `public` so far, those of transactions that were rolled back too. */
  const called = async (db: Database) =>
    (
      await db.sql<{ call: string }[]>`
        select distinct p.oid::regprocedure::text as call from pg_stat_user_functions s join pg_proc p on p.oid = s.funcid
        where p.proowner = ${mallory}::regrole and s.calls > 0 order by 1`
    ).map(r => r.call)

  test('none of them is called by any command of a superuser', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await db.sql.unsafe(
      `do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$`,
    )
    await db.sql.unsafe(`alter database ${db.name} set track_functions = 'all'`)
    await db.sql.unsafe(plant(mallory))
    const [planted] = await db.sql`
      select count(*)::int as n from pg_proc where proowner = ${mallory}::regrole`
    expect(planted!.n).toBeGreaterThan(1000)
    // the trap works: a session with the default path falls into it
    const victim = open(db.url, 1)
    await victim.unsafe("select format('%s', 1::int4, 2::int8)")
    await victim.end()
    // a session counts its calls when it ends
    await expect.poll(() => called(db), { timeout: 10_000 }).toEqual(['format(text,integer,bigint)'])
    await db.sql.unsafe('drop function public.format(text, int4, int8)')

    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const contract = {
      phase: 'contract' as const,
      consent: { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] as HazardCode[] },
    }
    const away = {
      all: true,
      consent: {
        allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[],
        confirm: db.name,
      },
    }
    const verbs: [string, () => Promise<Report>][] = [
      ['doctor', () => project.doctor()],
      ['status', () => project.status()],
      ['plan', () => project.plan()],
      ['migrate', () => project.migrate()],
      ['status', () => project.status()],
      ['migrate', () => project.migrate(contract)],
      ['verify', () => project.verify({ deep: true, sample: 2 })],
      ['prove', () => project.prove()],
      ['sessions', () => project.sessions()],
      ['stats', () => project.stats()],
      ['listQuarantine', () => project.listQuarantine()],
      ['prune', () => project.prune({ olderThanDays: 30, delete: true })],
      ['planRollback', () => project.planRollback({ all: true })],
      ['rollback', () => project.rollback(away)],
      ['restore', () => project.restore({ archive: 'latest' })],
    ]
    const wrong: unknown[] = []
    for (const [name, verb] of verbs) {
      const report = await said(verb())
      const errors = report.findings.filter(f => f.level === 'error' || f.level === 'refused')
      const failed = report.checks.filter(c => c.outcome === 'failed')
      if (errors.length + failed.length > 0) wrong.push([name, errors, failed])
    }
    expect(wrong).toEqual([])
    await db.sql`select pg_catalog.pg_sleep(0.5)`
    expect(await called(db)).toEqual([])
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })
})
