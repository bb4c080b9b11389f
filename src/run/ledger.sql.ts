import { relationExists } from '../database/catalog.sql.js'
import { serverFault } from '../database/faults.js'
import { type Db, literal } from '../database/types.js'
import type { LedgerRow } from '../model/plan.js'

/** For every migration in the ledger: its newest finished row, and its newest row if that is unfinished. */
export async function readLedger(sql: Db): Promise<LedgerRow[]> {
  return sql<LedgerRow[]>`
    select
      l.track, l.migration, l.direction, l.outcome, l.checksum, l.tokens, l.reached, l.run,
      l.started_at::text as at
    from rethread.ledger l
    where l.id in (
      select max(n.id) from rethread.ledger n group by n.track, n.migration
      union
      select max(n.id) from rethread.ledger n where n.outcome = 'done' group by n.track, n.migration
    )
    order by l.id`
}

/** The contents of a new ledger row. */
export interface NewLedgerRow {
  run: number
  track: string
  migration: string
  direction: 'up' | 'down' | 'baseline'
  outcome: LedgerRow['outcome']
  checksum: string
  tokens: string
  statements: string[]
  phase: string
  error: object | null
  fingerprint: string | null
  durationMs: number | null
  /** The evidence for a row whose file was not run here. Omitted for a file that was run. */
  evidence?: object
}

/** The columns and values of a new row, except the run, which comes first. */
const newColumns =
  'run, track, migration, direction, outcome, checksum, tokens, statements, phase, error, fingerprint, duration_ms, evidence'

function newValues(row: NewLedgerRow): string {
  const text = (value: string | null) => (value === null ? 'null' : literal(value))
  return [
    text(row.track),
    text(row.migration),
    text(row.direction),
    text(row.outcome),
    text(row.checksum),
    text(row.tokens),
    `array[${row.statements.map(literal).join(', ')}]::text[]`,
    text(row.phase),
    row.error === null ? 'null' : `${literal(JSON.stringify(row.error))}::jsonb`,
    text(row.fingerprint),
    row.durationMs ?? 'null',
    row.evidence === undefined ? 'null' : `${literal(JSON.stringify(row.evidence))}::jsonb`,
  ].join(', ')
}

const leaseWith = (token: number) => `from rethread.lease where name = 'writer' and token = ${token}`

/**
 * Adds a row if the token of the lease is still valid. Returns its id, or null if it is not. It is a text
 * without parameters: every file needs it, and Parse and Describe would cost another round trip.
 */
export async function addLedgerRow(sql: Db, token: number, row: NewLedgerRow): Promise<number | null> {
  const [added] = await sql.unsafe<{ id: number }[]>(`
    insert into rethread.ledger (${newColumns})
    select ${row.run}, ${newValues(row)} ${leaseWith(token)}
    returning id`)
  return added?.id ?? null
}

/**
 * Adds a row in a transaction whose COMMIT is sent without waiting for this answer. Returns false if the
 * token is no longer valid. The row then has no run, which is an error that aborts the transaction.
 */
export async function addLedgerRowOrAbort(tx: Db, token: number, row: NewLedgerRow): Promise<boolean> {
  try {
    await tx.unsafe(`
      insert into rethread.ledger (${newColumns})
      values ((select ${row.run} ${leaseWith(token)}), ${newValues(row)})`)
    return true
  } catch (error) {
    const fault = serverFault(error)
    if (fault?.code !== '23502' || fault.column_name !== 'run') throw error
    return false
  }
}

/**
 * Updates an unfinished row. `reached` counts finished statements. Returns false if the token is no longer
 * valid.
 */
export async function updateLedgerRow(
  sql: Db,
  token: number,
  id: number,
  change: {
    outcome: LedgerRow['outcome']
    reached: number
    error: object | null
    durationMs: number | null
    fingerprint: string | null
  },
): Promise<boolean> {
  const result = await sql`
    update rethread.ledger l
    set outcome = ${change.outcome},
        reached = ${change.reached},
        error = ${change.error === null ? null : sql.json(change.error as never)},
        duration_ms = ${change.durationMs},
        fingerprint = coalesce(${change.fingerprint}, l.fingerprint)
    from rethread.lease
    where l.id = ${id} and lease.name = 'writer' and lease.token = ${token}`
  return result.count === 1
}

/** The finished statements of an unfinished file, as they were then. */
export async function finishedStatements(sql: Db, track: string, migration: string): Promise<string[]> {
  const [row] = await sql<{ statements: string[] }[]>`
    select l.statements[1:l.reached] as statements
    from rethread.ledger l
    where l.track = ${track} and l.migration = ${migration}
    order by l.id desc
    limit 1`
  return row?.statements ?? []
}

/** Opens a run. */
export async function addRun(
  sql: Db,
  run: { command: string; host: string; who: string; reason: string | null; tool: string },
): Promise<number> {
  const [row] = await sql<{ id: number }[]>`
    insert into rethread.runs (command, host, who, reason, tool)
    values (${run.command}, ${run.host}, ${run.who}, ${run.reason}, ${run.tool})
    returning id`
  return row!.id
}

/** Closes a run. */
export async function endRun(sql: Db, id: number, outcome: string): Promise<void> {
  await sql`update rethread.runs set outcome = ${outcome}, finished_at = clock_timestamp() where id = ${id}`
}

/** The schema at some time, and the steps that were begun since. */
export interface StoredSchema {
  catalog: Record<string, string>
  /** Major version of the server that wrote the definitions. */
  major: number
  /** Rows of the ledger since then, finished or not, in order. */
  since: { outcome: LedgerRow['outcome']; statements: string[]; reached: number }[]
}

/** Where the newest complete look at the schema is stored, and how many steps are finished. */
interface NewestLook {
  /** The ledger row with the look, if `at` is null. Both are null if there is none. */
  id: number | null
  /** The time of a look at the start of a run, if that is newer than the row. */
  at: string | null
  /** Hash of all objects and the server's major version, from that row. Null if `at` is set. */
  fingerprint: string | null
  major: number | null
  steps: number
}

/**
 * The newest complete look at the schema: at the end of a run or at the start of a later one. A run that was
 * killed has only the latter.
 */
export async function newestLook(sql: Db): Promise<NewestLook> {
  // a ledger of an older version may have none
  const starts = (await relationExists(sql, 'rethread.catalogs'))
    ? sql`select max(at) as at from rethread.catalogs`
    : sql`select null::timestamptz as at`
  const [row] = await sql<NewestLook[]>`
    with newest as (
      select l.id, r.finished_at, l.fingerprint, split_part(l.server_version, '.', 1)::int as major
      from rethread.ledger l join rethread.runs r on r.id = l.run
      where l.outcome = 'done' and l.fingerprint is not null and to_jsonb(l) ? 'catalog'
      order by l.id desc limit 1
    ),
    look as (
      select n.*, b.at, n.id is null or b.at > n.finished_at as later
      from (${starts}) b left join newest n on true
    )
    select id, case when later then at::text end as at, case when later is not true then fingerprint end as fingerprint,
      case when later is not true then major end as major,
      (select count(*)::int from rethread.ledger where outcome = 'done') as steps
    from look`
  return row!
}

/** The schema of that look, and the steps begun since. Null if there was no look. */
export async function storedSchema(sql: Db, { id, at }: NewestLook): Promise<StoredSchema | null> {
  if (id === null && at === null) return null
  const look =
    at === null
      ? sql`select to_jsonb(l) -> 'catalog' as catalog, split_part(server_version, '.', 1)::int as major from rethread.ledger l where id = ${id}`
      : sql`select catalog, major from rethread.catalogs where at = ${at}::text::timestamptz`
  const later = at === null ? sql`id > ${id}` : sql`started_at >= ${at}::text::timestamptz`
  const [stored] = await sql<StoredSchema[]>`
    select look.*, (
      select coalesce(jsonb_agg(jsonb_build_object('outcome', outcome, 'statements', statements, 'reached', reached) order by id), '[]')
      from rethread.ledger where direction <> 'baseline' and ${later}) as since
    from (${look}) look`
  return stored!
}

/** Stores the schema's fingerprint in the newest finished row of a run. */
export async function setFingerprint(
  sql: Db,
  token: number,
  run: number,
  fingerprint: string,
  catalog: Record<string, string>,
): Promise<void> {
  await sql`
    update rethread.ledger l
    set fingerprint = ${fingerprint}, catalog = ${JSON.stringify(catalog)}::text::jsonb
    from rethread.lease
    where l.id = (select max(id) from rethread.ledger where run = ${run} and outcome = 'done')
      and lease.name = 'writer' and lease.token = ${token}`
}

/** Stores the schema before a migration, for a rollback to that point. */
export async function keepCatalog(
  sql: Db,
  track: string,
  before: string,
  catalog: Record<string, string>,
): Promise<void> {
  await sql`
    insert into rethread.catalogs (track, before, major, catalog)
    values (${track}, ${before}, current_setting('server_version_num')::int / 10000, ${JSON.stringify(catalog)}::text::jsonb)
    on conflict (track, before) do update set major = excluded.major, catalog = excluded.catalog, at = clock_timestamp()`
}

/** As `keptCatalog`, for a tool's schema that may be missing or of an older version. */
export const catalogBefore = async (
  sql: Db,
  track: string,
  before: string,
): Promise<Record<string, string> | null> =>
  (await relationExists(sql, 'rethread.catalogs')) ? keptCatalog(sql, track, before) : null

/** The schema before a migration. Null if no run began there, or only one on another major version. */
export async function keptCatalog(
  sql: Db,
  track: string,
  before: string,
): Promise<Record<string, string> | null> {
  const [row] = await sql<{ catalog: Record<string, string> }[]>`
    select catalog from rethread.catalogs
    where track = ${track} and before = ${before} and major = current_setting('server_version_num')::int / 10000`
  return row?.catalog ?? null
}
