import { ofPointedRow, type ReferencingKey } from '../database/catalog.sql.js'
import { type Db, literal, ident as q } from '../database/types.js'
import { messageValue } from '../model/message_value.js'
import type { TrackInfo } from '../model/project.js'
import type { Cells } from '../model/report.js'

/** What happens to unused sessions. */
export type PruneHow = 'archived' | 'marked' | 'deleted'

/** Which sessions are pruned: those that were last used before `days` days ago, by the server's clock. */
export interface Retention {
  info: TrackInfo
  days: number
  how: PruneHow
  /** Foreign keys that would refuse the deletion of a session. */
  keepers: ReferencingKey[]
}

const cut = 'now() - make_interval(days => $1)'

/**
 * SQL that is true for an unused session: neither its own time nor one of its messages is newer than the
 * limit.
 */
const unused = ({ info }: Retention): string => {
  const { sessions: s, messages: m } = info
  const own = `s.${q(s.active)}`
  if (!m || s.history) return `${own} < ${cut}`
  const mine = `m.${q(m.session)} = s.${q(m.to ?? s.id)}`
  // uses the index on a session's messages and their time; a session without a time has that of its messages
  return `(${own} < ${cut} or ${own} is null and exists (select from ${m.table} m where ${mine}))
    and not exists (select from ${m.table} m where ${mine} and ${messageValue(info, 'created', 'm')} >= ${cut})`
}

/** SQL that is true for sessions that are already archived or marked as deleted. */
const isSettled = ({ info: { sessions: s }, how }: Retention): string =>
  how === 'archived' && s.status && s.archivedStatus
    ? `s.${q(s.status)} is not distinct from ${literal(s.archivedStatus)}`
    : how === 'marked' && s.deleted
      ? `s.${q(s.deleted)} is not null`
      : 'false'

const isKept = ({ keepers }: Retention): string =>
  keepers
    .map(k =>
      ofPointedRow(
        's',
        k,
        row =>
          `exists (select from ${k.table} k where ${k.columns.map((c, i) => `k.${q(c)} = ${row}.${q(k.parentColumns[i]!)}`).join(' and ')})`,
      ),
    )
    .join(' or ') || 'false'

const idle = (r: Retention): string => `${unused(r)} and not (${isSettled(r)}) and not (${isKept(r)})`

/** The number of sessions, of those to prune, and of those that stay, by reason. */
export interface PruneCount {
  all: number
  idle: number
  /** Old by their own time, but with a newer message. */
  inUse: number
  settled: number
  kept: number
}

/** Counts the sessions. */
export async function countIdle(sql: Db, r: Retention): Promise<PruneCount> {
  const own = `s.${q(r.info.sessions.active)} < ${cut}`
  const [row] = await sql.unsafe<PruneCount[]>(
    `select count(*)::float8 as all,
       (count(*) filter (where unused and not settled and not kept))::float8 as idle,
       (count(*) filter (where old and not unused))::float8 as "inUse",
       (count(*) filter (where unused and settled))::float8 as settled,
       (count(*) filter (where unused and not settled and kept))::float8 as kept
     from (
       select coalesce(${own}, false) as old, coalesce(${unused(r)}, false) as unused, coalesce(${isSettled(r)}, false) as settled,
         case when ${own} then ${isKept(r)} else false end as kept
       from ${r.info.sessions.table} s
     ) x`,
    [r.days],
  )
  return row!
}

/**
 * The sessions to prune by status, with the last activity of the oldest and the newest, by their own time.
 */
export async function idleByState(sql: Db, r: Retention): Promise<Cells[]> {
  const { sessions: s } = r.info
  return sql.unsafe<Cells[]>(
    `select ${s.status ? `s.${q(s.status)}::text` : "'session'"} as state, count(*)::float8 as sessions,
       to_char(min(s.${q(s.active)}) at time zone 'UTC', 'YYYY-MM-DD') as "idle since, oldest",
       to_char(max(s.${q(s.active)}) at time zone 'UTC', 'YYYY-MM-DD') as "newest"
     from ${s.table} s where ${idle(r)} group by 1 order by 1`,
    [r.days],
  )
}

/**
 * Locks some of these sessions, the longest unused first. Returns their ids. Sessions that others have locked
 * are in use and are skipped. They are checked again after the lock, when nobody can add a message.
 */
export async function lockIdle(
  sql: Db,
  r: Retention,
  limit: number,
  { only, except }: { only: string[] | null; except: string[] },
): Promise<string[]> {
  const { sessions: s } = r.info
  const id = `s.${q(s.id)}::text`
  const listed = only ?? except
  const chosen =
    listed.length === 0
      ? ''
      : `and ${id} ${only ? '' : 'not '}in (select jsonb_array_elements_text(${literal(JSON.stringify(listed))}))`
  const rows = await sql.unsafe<{ id: string }[]>(
    `select ${id} as id from ${s.table} s where ${idle(r)} ${chosen}
     order by s.${q(s.active)} limit ${limit} for update skip locked`,
    [r.days],
  )
  return rows.map(row => row.id)
}

/** Of the locked sessions: those that are still unused. A message may have been added before the lock. */
export async function stillIdle(sql: Db, r: Retention, ids: string[]): Promise<string[]> {
  const { sessions: s } = r.info
  const rows = await sql.unsafe<{ id: string }[]>(
    `select s.${q(s.id)}::text as id from ${s.table} s
     where s.${q(s.id)}::text in (select jsonb_array_elements_text($2::text::jsonb)) and ${idle(r)}`,
    [r.days, JSON.stringify(ids)] as never[],
  )
  return rows.map(row => row.id)
}

/** A predicate over `alias` for the rows of sessions. Its first parameter is their ids. */
export const ofSessions = (info: TrackInfo, alias: string): string =>
  `${alias}.${q(info.sessions.id)}::text in (select jsonb_array_elements_text($1::text::jsonb))`

/** Sets the status of sessions to archived, or marks them as deleted. Returns their number. */
export async function settle(sql: Db, { info, how }: Retention, ids: string[]): Promise<number> {
  const { sessions: s } = info
  const ended = s.ended ? `, ${q(s.ended)} = coalesce(${q(s.ended)}, now())` : ''
  const set =
    how === 'marked' ? `${q(s.deleted!)} = now()` : `${q(s.status!)} = ${literal(s.archivedStatus!)}${ended}`
  const result = await sql.unsafe(`update ${s.table} s set ${set} where ${ofSessions(info, 's')}`, [
    JSON.stringify(ids),
  ])
  return result.count
}

/** The DELETE of rows that satisfy a predicate over `t`. */
export const deletionOf = (table: string, where: string): { text: string; table: string; alias: string } => ({
  text: `delete from ${table} t where ${where}`,
  table,
  alias: 't',
})

/** How many rows of a table satisfy a predicate over `t`, for sessions with these ids. */
export async function countOfSessions(sql: Db, table: string, where: string, ids: string[]): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::float8 as n from ${table} t where ${where}`,
    [JSON.stringify(ids)],
  )
  return row!.n
}

/** Creates the table for values of a column that a deletion will remove elsewhere. */
export async function makeValueStore(
  sql: Db,
  { table, key, column, storedAs }: { table: string; key: string[]; column: string; storedAs: string },
): Promise<void> {
  await sql.unsafe(
    `create table ${storedAs} as select ${[...key, column].map(q).join(', ')} from ${table} with no data;
     alter table ${storedAs} add primary key (${key.map(q).join(', ')})`,
  )
}

/** Copies values of a column that a deletion will remove. */
export async function copyValuesInto(
  sql: Db,
  from: { table: string; key: string[]; column: string; where: string; storedAs: string },
  ids: string[],
): Promise<void> {
  const columns = [...from.key, from.column].map(q).join(', ')
  await sql.unsafe(
    `insert into ${from.storedAs} (${columns}) select ${columns} from ${from.table} t where ${from.where} on conflict do nothing`,
    [JSON.stringify(ids)],
  )
}
