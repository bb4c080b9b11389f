import { type Db, ident as q } from '../database/types.js'
import type { TrackInfo } from '../model/project.js'
import type { Cells } from '../model/report.js'

/**
 * Sessions idle for more than so many days; those that are archived already count only
 * where they are to be deleted.
 */
const idle = (info: TrackInfo, remove: boolean): string => {
  const { sessions: s } = info
  const open =
    !remove && s.status && s.archivedStatus
      ? ` and s.${q(s.status)} is distinct from '${s.archivedStatus}'`
      : ''
  return `s.${q(s.active)} < now() - make_interval(days => $1)${open}`
}

/** How many sessions that are. */
export async function countIdle(sql: Db, info: TrackInfo, days: number, remove: boolean): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::float8 as n from ${info.sessions.table} s where ${idle(info, remove)}`,
    [days],
  )
  return row!.n
}

/** The same by state, with the last activity of the newest and the oldest. */
export async function idleByState(sql: Db, info: TrackInfo, days: number, remove: boolean): Promise<Cells[]> {
  const { sessions: s } = info
  return sql.unsafe<Cells[]>(
    `select ${s.status ? `s.${q(s.status)}::text` : "'session'"} as state, count(*)::float8 as sessions,
       to_char(min(s.${q(s.active)}) at time zone 'UTC', 'YYYY-MM-DD') as "idle since, oldest",
       to_char(max(s.${q(s.active)}) at time zone 'UTC', 'YYYY-MM-DD') as "newest"
     from ${s.table} s where ${idle(info, remove)} group by 1 order by 1`,
    [days],
  )
}

/** Archives or deletes some of them, the longest idle first; how many. */
export async function pruneSome(
  sql: Db,
  info: TrackInfo,
  days: number,
  remove: boolean,
  limit: number,
): Promise<number> {
  const { sessions: s } = info
  const some = `(select s.${q(s.id)} from ${s.table} s where ${idle(info, remove)} order by s.${q(s.active)} limit ${limit} for update)`
  const ended = s.ended ? `, ${q(s.ended)} = coalesce(${q(s.ended)}, now())` : ''
  const result = await sql.unsafe(
    remove
      ? `delete from ${s.table} where ${q(s.id)} in ${some}`
      : `update ${s.table} set ${q(s.status!)} = '${s.archivedStatus}'${ended} where ${q(s.id)} in ${some}`,
    [days],
  )
  return result.count
}
