import { type Planted, plantedSql, trustedSql } from './planted.sql.js'
import { type Db, literal } from './types.js'

/** What a session is for. Probes are the only ones that see as the application sees. */
export type Purpose = 'writer' | 'monitor' | 'worker' | 'reader' | 'probe'

/** Settings that change what a text of SQL means, or how the server writes values and names. */
const reliedOn = [
  ['standard_conforming_strings', 'on'],
  ['quote_all_identifiers', 'off'],
  ['default_transaction_isolation', 'read committed'],
  ['transform_null_equals', 'off'],
  ['array_nulls', 'on'],
  ['xmloption', 'content'],
  ['datestyle', 'ISO, MDY'],
  ['intervalstyle', 'postgres'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
] as const

/** How long a session that only reads waits for a lock, in milliseconds. */
const readerLockMs = 30_000

/**
 * The schemas that a fresh session looks in until it is known whose the others are: the server's own. What
 * others put into `public` or into the temporary schema is not called instead (CVE-2018-1058).
 */
const ownPath = 'pg_catalog, pg_temp'

/**
 * The schemas that the role and the database look in, for the files of a track and the statements that hold
 * parts of them, without those in which somebody else may make a function or an operator, or has made one.
 * The temporary schema stays first for tables, as files expect: only the session itself can fill it. The
 * server's own schema is looked in first unless it is named, and is not named: new tables go to the first one
 * that is.
 * Names are resolved before anything runs, by `ownPath`; which schemas the default names, while it runs.
 */
const trackPathSql = `
  with trusted as materialized (${trustedSql}),
  usual as materialized (
    select set_config('search_path', s.reset_val, false) as path from pg_catalog.pg_settings s where s.name = 'search_path'
  ),
  closed as (
    select n.nspname, w.position
    from usual u
    cross join unnest(current_schemas(u.path is null)) with ordinality as w (name, position)
    join pg_catalog.pg_namespace n on n.nspname = w.name and n.nspname !~ '^pg_'
    where n.nspowner in (select oid from trusted)
      and not exists (
        select from aclexplode(n.nspacl) a
        where a.privilege_type = 'CREATE' and a.grantee not in (select oid from trusted) and (a.grantee = 0 or exists (
          select from pg_catalog.pg_roles r
          where r.rolcanlogin and r.oid not in (select oid from trusted) and pg_has_role(r.oid, a.grantee, 'MEMBER'))))
      and not exists (
        select from pg_catalog.pg_proc p where p.pronamespace = n.oid and p.proowner not in (select oid from trusted))
      and not exists (
        select from pg_catalog.pg_operator o where o.oprnamespace = n.oid and o.oprowner not in (select oid from trusted))
  )
  select set_config('search_path',
    coalesce((select string_agg(quote_ident(nspname), ', ' order by position) from closed), ''), false)
  from usual`

/**
 * The settings of a fresh session, sent once it is known that they stay in it.
 * `row_security = off` makes a filtered view of the data an error instead of a smaller number.
 * `client_connection_check_interval` lets the backend of a killed client go within a second, so that the
 * next run finds the lease free. Time-outs are explicit: those of the role are not ours.
 * `cores` is how many of the server's one statement may use, null for as many as the server is set to.
 */
export function setupSql(purpose: Purpose, settings: Record<string, string>, cores: number | null): string {
  const lines = [
    `set search_path = ${ownPath}`,
    // these two first: they count the time of this very message; the second is there from PostgreSQL 17 on
    'set statement_timeout = 0',
    'do $$ begin set transaction_timeout = 0; exception when undefined_object then null; end $$',
    'set row_security = off',
    "set timezone = 'UTC'",
    // what a role or a database may have set otherwise, and files and questions of ours rely on
    ...reliedOn.map(([name, value]) => `set ${name} = '${value}'`),
    "set client_connection_check_interval = '1s'",
    // a client that is gone without a word: noticed within four seconds, by the system
    'set tcp_keepalives_idle = 2',
    'set tcp_keepalives_interval = 1',
    "set tcp_user_timeout = '4s'",
    // who only reads gives up on a table that somebody keeps locked; writers have limits for each step
    `set lock_timeout = ${purpose === 'writer' || purpose === 'worker' ? 0 : readerLockMs}`,
    'set idle_session_timeout = 0',
    // one that a box in the network answers for is not: its locks end with its transaction
    `set idle_in_transaction_session_timeout = '${purpose === 'writer' || purpose === 'worker' ? '5s' : '1min'}'`,
  ]
  // anti-joins over all messages and index builds stay in memory, but take no more than
  // the server gives its buffers
  if (purpose !== 'monitor')
    lines.push(memorySql('work_mem', '64MB'), memorySql('maintenance_work_mem', '256MB'))
  if (purpose === 'worker' || purpose === 'writer') lines.push(...writing)
  // what reads a whole table or builds an index beside an application leaves it the other cores
  if (cores !== null) {
    for (const parallel of ['max_parallel_workers_per_gather', 'max_parallel_maintenance_workers'])
      lines.push(`set ${parallel} = ${cores - 1}`)
    // From 18 on the server has others read for a scan, a tenth of a core. We read one page after the other,
    // which the system reads ahead.
    lines.push('set effective_io_concurrency = 0')
  }
  // JIT costs more than it gives: 0.26 s for a batch of some milliseconds, ten seconds for a query that reads
  // messages out of JSON, which takes 0.1 s without
  lines.push('set jit = off')
  if (purpose === 'reader') lines.push('set default_transaction_read_only = on')
  if (purpose === 'worker') {
    // A batch and its checkpoint are one transaction: a crash loses both or none, so
    // the flush may come later.
    lines.push('set synchronous_commit = off')
    // The victim of a deadlock before the application is: below deadlock_timeout. Here and not in each
    // batch, which would cost a round trip more.
    lines.push("set lock_timeout = '60ms'", "set statement_timeout = '30s'")
  }
  for (const [name, value] of Object.entries(settings)) lines.push(`set rethread.${name} = ${literal(value)}`)
  lines.push(trackPathSql)
  // a function of ours that looks nowhere gives it back to what its DDL fires
  lines.push("select set_config('rethread.search_path', current_setting('search_path'), false)")
  return lines.map(line => line + ';').join('\n')
}

/** Sends the settings of a fresh connection. */
export async function sendSetup(sql: Db, setup: string): Promise<void> {
  await sql.unsafe(setup)
}

/**
 * The first message of a session: which backend answers, which one the start-up named, and, where asked,
 * what others have put into our schemas. SET LOCAL lasts until the end of the message: nothing stays behind
 * in a connection that turns out to be a pooler's.
 */
export async function greet(
  sql: Db,
  looksForPlanted: boolean,
): Promise<{ pid: number; named: number; planted: Planted[] }> {
  const planted = looksForPlanted ? `(${plantedSql})` : "'[]'::json"
  const results = await sql.unsafe<object[]>(
    `set local search_path = ${ownPath}; select pg_catalog.pg_backend_pid() as pid, ${planted} as planted`,
  )
  const answer = results.at(-1) as unknown as { pid: number; planted: Planted[] }[] & {
    state: { pid: number }
  }
  return { ...answer[0]!, named: answer.state.pid }
}

/**
 * What a backend is at: `finished` when it waits for its client, be it for the next statement or to take
 * what it sends.
 */
export async function backendState(sql: Db, pid: number): Promise<'working' | 'finished' | 'gone'> {
  const [row] = await sql.unsafe<{ finished: boolean }[]>(
    `select coalesce(a.state like 'idle%' or (a.wait_event_type, a.wait_event) in (('Client', 'ClientRead'), ('Client', 'ClientWrite')), false) as finished
     from pg_catalog.pg_stat_activity a where a.pid = ${pid} and a.application_name like 'rethread %'`,
  )
  return row === undefined ? 'gone' : row.finished ? 'finished' : 'working'
}

/** Ends a backend of ours whose client is gone. False where it is none of ours. */
export async function endBackend(sql: Db, pid: number): Promise<boolean> {
  const [row] = await sql.unsafe<{ ended: boolean }[]>(
    `select pg_catalog.pg_terminate_backend(a.pid) as ended
     from pg_catalog.pg_stat_activity a where a.pid = ${pid} and a.application_name like 'rethread %'`,
  )
  return row?.ended ?? false
}

/** How much of evicted pages goes to the disk at once. */
const flushSizes = { small: '64kB', large: '512kB' } as const
/** Small beside others, large where nobody else waits for the disk. */
export type FlushSize = keyof typeof flushSizes

/**
 * Says in what pieces this session's evicted pages go to the disk. Small ones cost
 * inserts a tenth of their speed.
 */
export async function setFlushSize(sql: Db, size: FlushSize): Promise<void> {
  await sql`select set_config('backend_flush_after', ${flushSizes[size]}, false)`
}

/**
 * How a session that writes much leaves the disk to the application, whose commits wait for it. All figures
 * beside one, 100 statements a second.
 *
 * Pages that we evict go to the disk as we go, not all at the next checkpoint, whose fsync every commit would
 * wait behind: without, the longest wait was 140 ms for updates and 450 for inserts, with it 80. Few at a
 * time, for they are in front of a commit's flush all the same: p99 beside pieces of 512 kB 5.7 ms, 128 kB
 * 4.7, 32 kB 4.3, in turns of 4 s in one run. The disk writes as often with pieces of 512 kB as of 64, and
 * six times as often as with none. A worker beside whom nobody works takes large pieces: `setFlushSize`.
 *
 * A log file that has not been used before is not filled with zeros first: 16 MB and an fsync, under the lock
 * that every commit takes. A quiet server keeps five files to use again, and each one beyond held all commits
 * up for 20 to 60 ms: p99 36 ms beside an idle 3.9, with this 14 to 17, and 9 when the application's own
 * sessions, which make half of the files, did without the zeros too. Only a superuser may, or who was granted
 * the parameter; nobody else gets a message, because nothing is wrong.
 */
const writing = [
  `set backend_flush_after = '${flushSizes.small}'`,
  'do $$ begin set wal_init_zero = off; exception when insufficient_privilege then null; end $$',
]

/**
 * Raises a memory setting for this session: to `most` or to shared_buffers, whichever
 * is less; never lowers it.
 */
const memorySql = (name: string, most: string): string =>
  `select set_config('${name}', greatest(pg_size_bytes(current_setting('${name}')), least(pg_size_bytes('${most}'), pg_size_bytes(current_setting('shared_buffers')))) / 1024 || 'kB', false)`

/** Role that statements run as now. As a plain text: Parse and Describe would cost a round trip more. */
export async function currentRole(sql: Db): Promise<string> {
  const [row] = await sql.unsafe<{ role: string }[]>('select current_user::text as role')
  return row!.role
}

/** Settings that this session has changed; to compare before and after a file, outside of its transaction. */
export async function sessionSettings(sql: Db): Promise<Record<string, string>> {
  const [row] = await sql.unsafe<{ settings: Record<string, string> }[]>(settingsSql)
  return row!.settings
}

const settingsSql = `
  select coalesce(jsonb_object_agg(name, setting), '{}') as settings
  from pg_catalog.pg_settings
  where source = 'session'`

/**
 * Settings for one transaction. Milliseconds; 0 means none. With parameters that SQL files read
 * with current_setting(). As one plain text: it goes before every check, and Parse and Describe
 * would cost a round trip more.
 */
export async function setLocal(
  sql: Db,
  lockTimeoutMs: number,
  statementTimeoutMs: number,
  parameters: Record<string, string> = {},
): Promise<void> {
  const all = {
    lock_timeout: String(lockTimeoutMs),
    statement_timeout: String(statementTimeoutMs),
    ...parameters,
  }
  const each = Object.entries(all).map(([name, value]) => `set_config('${name}', ${literal(value)}, true)`)
  await sql.unsafe(`select ${each.join(', ')}`)
}

/** Begins a transaction with its time-outs, in one message. For a connection that nobody else sends on. */
export async function begin(sql: Db, lockTimeoutMs: number, statementTimeoutMs: number): Promise<void> {
  await sql.unsafe(
    `begin; set local lock_timeout = ${lockTimeoutMs}; set local statement_timeout = ${statementTimeoutMs}`,
  )
}

/** Commits what `begin` has begun. */
export async function commit(sql: Db): Promise<null> {
  await sql.unsafe('commit')
  return null
}

/** Commits, and says in the same message which settings the session has afterwards. */
export async function commitAndLook(sql: Db): Promise<Record<string, string>> {
  const results = await sql.unsafe<{ settings: Record<string, string> }[]>(`commit; ${settingsSql}`)
  return (results as unknown as { settings: Record<string, string> }[][]).at(-1)![0]!.settings
}

/** Rolls back what `begin` has begun. */
export async function rollBack(sql: Db): Promise<void> {
  await sql.unsafe('rollback')
}

/** A parameter of a check, for one transaction: SQL files read it with current_setting(). */
export async function setParameter(sql: Db, name: string, value: string): Promise<void> {
  await sql`select set_config(${name}, ${value}, true)`
}

/** The day by the server's clock (UTC), such as 2026-12-31. */
export async function today(sql: Db): Promise<string> {
  const [row] = await sql<{ day: string }[]>`select to_char(now() at time zone 'UTC', 'YYYY-MM-DD') as day`
  return row!.day
}

/** Lock time-out of the session, in milliseconds, for statements that run outside a transaction. */
export async function setLockTimeout(sql: Db, ms: number): Promise<void> {
  await sql`select set_config('lock_timeout', ${String(ms)}, false)`
}
