import { type Planted, plantedSql, trustedSql } from './planted.sql.js'
import { type Db, literal } from './types.js'

/** The purpose of a session. Only probes see data as the application does. */
export type Purpose = 'writer' | 'monitor' | 'worker' | 'reader' | 'probe'

/** Settings that change the meaning of SQL or of an error, or the format of values and names. */
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
  // some questions are answered by an error
  ['exit_on_error', 'off'],
] as const

/** Lock timeout of a session that only reads, in milliseconds. */
const readerLockMs = 30_000

/**
 * The search_path of a new session until it is known who owns the other schemas: pg_catalog only. Objects of
 * others in `public` or the temporary schema are not called by accident (CVE-2018-1058).
 */
const ownPath = 'pg_catalog, pg_temp'

/**
 * Notes the default search_path of role and database, and sets `ownPath`. Between RESET and SET the default
 * applies, so the statement there names the schema of all that it calls. pg_settings has the default
 * too, but reading that view takes a millisecond of every new session.
 */
const noteDefaultPathSql = `reset search_path;
select pg_catalog.set_config('rethread.search_path', pg_catalog.current_setting('search_path'), false);
set search_path = ${ownPath}`

/**
 * Sets the search_path for the files of a track: the default of role and database, without schemas in which
 * another role may create functions or operators, or has created some. The temporary schema is first, as
 * files expect; only the session can fill it. pg_catalog is searched first implicitly. It is not named,
 * because new tables go to the first named schema. The query is parsed with `ownPath`, so that no
 * object of others is called; while it runs, it sets the default path to read its schemas.
 */
const trackPathSql = `
  with trusted as materialized (${trustedSql}),
  usual as materialized (
    select set_config('search_path', current_setting('rethread.search_path'), false) as path
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

/** Sets what not every release of the server has. */
const whereKnown = (name: string, value: string, isLocal = false): string =>
  `select case when pg_catalog.current_setting('${name}', true) is not null
    then pg_catalog.set_config('${name}', '${value}', ${isLocal}) end`

/** Lifts the limits of the role, which may be too short, for the session or for this message. */
const unlimitedSql = (isLocal: boolean): string =>
  `set ${isLocal ? 'local' : 'session'} statement_timeout = 0;
  ${whereKnown('transaction_timeout', '0', isLocal)}`

/**
 * The settings of a new session, sent once it is known to be ours alone. `row_security = off` turns filtered
 * data into an error instead of a smaller number. `client_connection_check_interval` ends the backend of a
 * killed client within a second, so that the next run finds the lease free. Timeouts are set, because the
 * role's may differ. `cores` is how many cores one statement may use; null for the server's setting.
 */
export function setupSql(purpose: Purpose, settings: Record<string, string>, cores: number | null): string {
  const lines = [
    noteDefaultPathSql,
    // first, because it applies to this message
    unlimitedSql(false),
    'set row_security = off',
    "set timezone = 'UTC'",
    // a role or database may have other values, but files and queries of this tool rely on these
    ...reliedOn.map(([name, value]) => `set ${name} = '${value}'`),
    // some databases forbid views and foreign tables, which tracks use
    whereKnown('restrict_nonsystem_relation_kind', ''),
    "set client_connection_check_interval = '1s'",
    // detects a client that is gone within four seconds
    'set tcp_keepalives_idle = 2',
    'set tcp_keepalives_interval = 1',
    "set tcp_user_timeout = '4s'",
    // readers give up on a table that stays locked; writers have limits for each step
    `set lock_timeout = ${purpose === 'writer' || purpose === 'worker' ? 0 : readerLockMs}`,
    'set idle_session_timeout = 0',
    // keepalive does not help if a proxy answers for the client: then the locks end with the transaction
    `set idle_in_transaction_session_timeout = '${purpose === 'writer' || purpose === 'worker' ? '5s' : '1min'}'`,
  ]
  // anti-joins over all messages and index builds should stay in memory, up to the size of shared_buffers
  if (purpose !== 'monitor')
    lines.push(memorySql('work_mem', '64MB'), memorySql('maintenance_work_mem', '256MB'))
  if (purpose === 'worker' || purpose === 'writer') lines.push(...writing)
  // reading a whole table or building an index leaves the other cores to the application
  if (cores !== null) {
    for (const parallel of ['max_parallel_workers_per_gather', 'max_parallel_maintenance_workers'])
      lines.push(`set ${parallel} = ${cores - 1}`)
    // From PostgreSQL 18 on, workers read ahead for a scan, which takes a tenth of a core. Pages are read in
    // order here, and the operating system reads ahead.
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
    // Below deadlock_timeout, so that in a deadlock the application is not the victim. Set once: in each
    // batch it would cost a round trip.
    lines.push("set lock_timeout = '60ms'", "set statement_timeout = '30s'")
  }
  for (const [name, value] of Object.entries(settings)) lines.push(`set rethread.${name} = ${literal(value)}`)
  lines.push(trackPathSql)
  // functions with an empty search_path restore this one for triggers that their DDL fires
  lines.push("select set_config('rethread.search_path', current_setting('search_path'), false)")
  return lines.map(line => line + ';').join('\n')
}

/** Sends the settings of a fresh connection. */
export async function sendSetup(sql: Db, setup: string): Promise<void> {
  await sql.unsafe(setup)
}

/**
 * The first message of a session: which backend answers, which one the start-up named and, on request, what
 * others have put into our schemas. SET LOCAL ends with the message, so that nothing stays in a connection
 * that is a pooler's.
 */
export async function greet(
  sql: Db,
  looksForPlanted: boolean,
): Promise<{ pid: number; named: number; planted: Planted[] }> {
  const planted = looksForPlanted ? `(${plantedSql})` : "'[]'::json"
  const results = await sql.unsafe<object[]>(
    `${unlimitedSql(true)}; set local search_path = ${ownPath}; select pg_catalog.pg_backend_pid() as pid, ${planted} as planted`,
  )
  const answer = results.at(-1) as unknown as { pid: number; planted: Planted[] }[] & {
    state: { pid: number }
  }
  return { ...answer[0]!, named: answer.state.pid }
}

/**
 * The state of a backend. `finished` means that it waits for its client, for a statement or to receive a
 * result.
 */
export async function backendState(sql: Db, pid: number): Promise<'working' | 'finished' | 'gone'> {
  const [row] = await sql.unsafe<{ finished: boolean }[]>(
    `select coalesce(a.state like 'idle%' or (a.wait_event_type, a.wait_event) in (('Client', 'ClientRead'), ('Client', 'ClientWrite')), false) as finished
     from pg_catalog.pg_stat_activity a where a.pid = ${pid} and a.application_name like 'rethread %'`,
  )
  return row === undefined ? 'gone' : row.finished ? 'finished' : 'working'
}

/** Terminates a backend of ours whose client is gone. Returns false if it is not ours. */
export async function endBackend(sql: Db, pid: number): Promise<boolean> {
  const [row] = await sql.unsafe<{ ended: boolean }[]>(
    `select pg_catalog.pg_terminate_backend(a.pid) as ended
     from pg_catalog.pg_stat_activity a where a.pid = ${pid} and a.application_name like 'rethread %'`,
  )
  return row?.ended ?? false
}

/** How much of evicted pages is flushed at once. */
const flushSizes = { small: '64kB', large: '512kB' } as const
/** `small` beside an application, `large` if nobody else waits for the disk. */
export type FlushSize = keyof typeof flushSizes

/** Sets the flush size of evicted pages for this session. Small ones make inserts a tenth slower. */
export async function setFlushSize(sql: Db, size: FlushSize): Promise<void> {
  await sql`select set_config('backend_flush_after', ${flushSizes[size]}, false)`
}

/**
 * How a session with many writes leaves the disk to the application, whose commits wait for it. All figures
 * are beside one with 100 statements per second.
 * Evicted pages are flushed continuously, not all at the next checkpoint, whose fsync every commit would wait
 * for. Without this, the longest wait was 140 ms for updates and 450 for inserts; with it, 80. Portions are
 * small, because they are in front of a commit's flush: p99 was 5.7 ms with 512 kB, 4.7 with 128 kB, 4.3 with
 * 32 kB, in turns of 4 s in one run. A worker without an application beside it uses large ones:
 * `setFlushSize`.
 * A new WAL file is not filled with zeros. This would write 16 MB and an fsync under the lock of every
 * commit. A quiet server recycles five files; each further one stalled all commits for 20 to 60 ms. p99 was
 * 36 ms beside 3.9 when idle, and 14 to 17 with this setting (9 when the application's sessions, which create
 * half of the files, had it too). It needs a superuser or a grant on the parameter. Other roles get no
 * message, because nothing is wrong.
 */
const writing = [
  `set backend_flush_after = '${flushSizes.small}'`,
  'do $$ begin set wal_init_zero = off; exception when insufficient_privilege then null; end $$',
]

/** Raises a memory setting for this session to the smaller of `most` and shared_buffers. Never lowers it. */
const memorySql = (name: string, most: string): string =>
  `select set_config('${name}', greatest(pg_size_bytes(current_setting('${name}')), least(pg_size_bytes('${most}'), pg_size_bytes(current_setting('shared_buffers')))) / 1024 || 'kB', false)`

/** The current role. No parameters, because Parse and Describe would cost another round trip. */
export async function currentRole(sql: Db): Promise<string> {
  const [row] = await sql.unsafe<{ role: string }[]>('select current_user::text as role')
  return row!.role
}

/** Settings that this session has changed, to compare before and after a file. Not inside its transaction. */
export async function sessionSettings(sql: Db): Promise<Record<string, string>> {
  const [row] = await sql.unsafe<{ settings: Record<string, string> }[]>(settingsSql)
  return row!.settings
}

const settingsSql = `
  select coalesce(jsonb_object_agg(name, setting), '{}') as settings
  from pg_catalog.pg_settings
  where source = 'session'`

/**
 * Settings for one transaction, with parameters that SQL files read by current_setting(). Milliseconds; 0
 * means none. One text without parameters: it precedes every check, and Parse and Describe would cost another
 * round trip.
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

/** Begins a transaction with timeouts, in one message. The connection must not be shared. */
export async function begin(sql: Db, lockTimeoutMs: number, statementTimeoutMs: number): Promise<void> {
  await sql.unsafe(
    `begin; set local lock_timeout = ${lockTimeoutMs}; set local statement_timeout = ${statementTimeoutMs}`,
  )
}

/** Commits a transaction of `begin`. */
export async function commit(sql: Db): Promise<null> {
  await sql.unsafe('commit')
  return null
}

/** Commits, and reads the session's settings afterwards in the same message. */
export async function commitAndLook(sql: Db): Promise<Record<string, string>> {
  const results = await sql.unsafe<{ settings: Record<string, string> }[]>(`commit; ${settingsSql}`)
  return (results as unknown as { settings: Record<string, string> }[][]).at(-1)![0]!.settings
}

/** Rolls back a transaction of `begin`. */
export async function rollBack(sql: Db): Promise<void> {
  await sql.unsafe('rollback')
}

/** Sets a parameter of a check for one transaction. SQL files read it by current_setting(). */
export async function setParameter(sql: Db, name: string, value: string): Promise<void> {
  await sql`select set_config(${name}, ${value}, true)`
}

/** The current day by the server's clock (UTC), such as 2026-12-31. */
export async function today(sql: Db): Promise<string> {
  const [row] = await sql<{ day: string }[]>`select to_char(now() at time zone 'UTC', 'YYYY-MM-DD') as day`
  return row!.day
}

/** Sets the session's lock timeout in milliseconds, for statements outside of a transaction. */
export async function setLockTimeout(sql: Db, ms: number): Promise<void> {
  await sql`select set_config('lock_timeout', ${String(ms)}, false)`
}
