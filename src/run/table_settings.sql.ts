import { relationExists } from '../database/catalog.sql.js'
import type { Db, Root } from '../database/types.js'

/** What keeps ANALYZE from starting by itself; VACUUM is left alone and may keep up. */
const autoAnalyzeOff = {
  autovacuum_analyze_threshold: '2147483647',
  autovacuum_analyze_scale_factor: '100',
} as const

/** How a table shows that a backfill has put its settings on it. */
export const backfillSetting = `autovacuum_analyze_threshold=${autoAnalyzeOff.autovacuum_analyze_threshold}`

/**
 * Keeps autovacuum's ANALYZE from a table for the time of a backfill, and remembers what was set before in
 * the same transaction. Its snapshot lasts for seconds, and while it does no page can be pruned: every update
 * leaves its page (measured on 2M rows: 26% of the updates instead of 20%). Takes SHARE UPDATE EXCLUSIVE,
 * which no reader or writer waits for.
 */
export async function disableAutoAnalyze(sql: Root, relation: string): Promise<void> {
  await sql.begin(async tx => {
    await tx`select set_config('lock_timeout', '50ms', true)`
    await tx`
      insert into rethread.table_settings (relation, options)
      select ${relation}, coalesce(reloptions, '{}') from pg_catalog.pg_class where oid = ${relation}::regclass
      on conflict (relation) do nothing`
    const settings = Object.entries(autoAnalyzeOff).map(([name, value]) => `${name} = ${value}`)
    await tx.unsafe(`alter table ${relation} set (${settings.join(', ')})`)
  })
}

/**
 * Tables whose settings a backfill has changed and nobody has put back: of this run,
 * or of one that was killed.
 */
export async function tablesWithChangedSettings(sql: Db): Promise<string[]> {
  const rows = await sql<
    { relation: string }[]
  >`select relation from rethread.table_settings order by relation`
  return rows.map(r => r.relation)
}

/**
 * Of the tables whose settings nobody has put back, those that they had before, as the text of an array and
 * empty without any; none where the ledger keeps no such list.
 */
export async function settingsBefore(sql: Db): Promise<Map<string, string>> {
  if (!(await relationExists(sql, 'rethread.table_settings'))) return new Map()
  const rows = await sql<{ relation: string; options: string }[]>`
    select relation, case when cardinality(options) > 0 then options::text else '' end as options from rethread.table_settings`
  return new Map(rows.map(r => [r.relation, r.options]))
}

/**
 * Puts a table's settings back as they were before `disableAutoAnalyze`. A table that is gone needs nothing.
 */
export async function restoreAutoAnalyze(sql: Root, relation: string, lockTimeoutMs: number): Promise<void> {
  await sql.begin(async tx => {
    await tx`select set_config('lock_timeout', ${String(lockTimeoutMs)}, true)`
    const [row] = await tx<{ options: string[]; there: boolean }[]>`
      delete from rethread.table_settings where relation = ${relation}
      returning options, to_regclass(relation) is not null as there`
    if (!row?.there) return
    const before = row.options.filter(o => Object.keys(autoAnalyzeOff).includes(o.split('=')[0]!))
    await tx.unsafe(`alter table ${relation} reset (${Object.keys(autoAnalyzeOff).join(', ')})`)
    if (before.length > 0) await tx.unsafe(`alter table ${relation} set (${before.join(', ')})`)
  })
}

/**
 * Tables of this role that carry the settings of a backfill although nothing remembers them: renamed since,
 * or the tool's schema was dropped.
 */
export async function forgottenTables(sql: Db): Promise<string[]> {
  const wanted = Object.entries(autoAnalyzeOff).map(([name, value]) => `${name}=${value}`)
  const rows = await sql<{ relation: string }[]>`
    select c.oid::regclass::text as relation from pg_catalog.pg_class c
    where c.relkind = 'r' and c.reloptions @> ${wanted as never}::text[] and pg_catalog.pg_has_role(c.relowner, 'usage')
      and not exists (select from rethread.table_settings s where to_regclass(s.relation) = c.oid)
    order by 1`
  return rows.map(r => r.relation)
}

/** What the only table that is gone from its name had before; null where there is none, or more than one. */
export async function settingsOfGone(sql: Db): Promise<string | null> {
  const rows = await sql<{ relation: string }[]>`
    select relation from rethread.table_settings where to_regclass(relation) is null`
  return rows.length === 1 ? rows[0]!.relation : null
}

/** Remembers a table under the name that it has now. */
export async function renameSettings(sql: Db, from: string, to: string): Promise<void> {
  await sql`update rethread.table_settings set relation = ${to} where relation = ${from}`
}

/** Remembers a table whose former settings nobody knows: it gets the server's. */
export async function rememberNone(sql: Db, relation: string): Promise<void> {
  await sql`insert into rethread.table_settings (relation, options) values (${relation}, '{}') on conflict do nothing`
}
