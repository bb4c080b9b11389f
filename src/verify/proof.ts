import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { readAside } from '../database/scopes.js'
import type { Target } from '../database/server.js'
import { readTrackInfo } from '../files/track_info.js'
import { tablesOf } from '../files/track_objects.js'
import { agreeing, plural } from '../model/plural.js'
import type { Track } from '../model/project.js'
import type { KeptProof } from '../model/proof.js'
import { type Finding, finding, type Report, type Table } from '../model/report.js'
import { compareDatabases, compareSteps, identityOf } from '../plan/pinned_plan.js'
import type { History } from '../run/ledger_history.js'
import { changedObjects } from '../run/schema_snapshot.js'
import { catalogOf, contentHash, objects } from '../run/schema_snapshot.sql.js'
import { serverTime, tableColumns } from './proof.sql.js'
import { bornBefore } from './visibility.js'

/** Time limit for counting one table, in milliseconds. */
const countTimeoutMs = 3_600_000

/** Settings under which values are hashed, because the role and the database may have other formats. */
const oneSpelling = {
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'iso_8601',
  extra_float_digits: '3',
  bytea_output: 'hex',
}

/** What a proof is made from beside the report. */
export interface ProofSources {
  tool: string
  track: Track
  target: Target
  history: History
  accounts: KeptProof['accounts']
}

/** The proof of the current state, without the content of tables. */
export async function provenNow(
  connection: Connection,
  report: Report,
  from: ProofSources,
): Promise<Omit<KeptProof, 'tables'>> {
  const { sql } = connection
  const { track, target, history } = from
  return {
    format: 1,
    tool: from.tool,
    at: await serverTime(sql),
    track: track.name,
    database: await identityOf(sql, target),
    server: target.info.server,
    major: target.major,
    verdict: report.verdict,
    applied: track.migrations
      .filter(m => history.applied.has(m.name))
      .map(m => ({ migration: m.name, checksum: history.applied.get(m.name)!.checksum })),
    checks: track.checks.map(c => ({
      check: c.name,
      checksum: c.file.checksum,
      outcome: report.checks.find(r => r.check === c.name)?.outcome ?? 'not run',
    })),
    accounts: from.accounts,
    backfills: report.backfill.flatMap(b => (b.counted ? [{ migration: b.migration, ...b.counted }] : [])),
    catalog: catalogOf(await objects(sql)),
  }
}

/**
 * The number and the hash of the rows of the track's tables. If rows have a time, only those up to `at`
 * count. Reads each table once.
 */
export async function tablesNow(
  connection: Connection,
  track: Track,
  at: string,
): Promise<KeptProof['tables']> {
  const { info } = await readTrackInfo(track)
  const found: KeptProof['tables'] = []
  for (const { table, columns } of await tableColumns(connection.sql, await tablesOf(track))) {
    const where = info ? bornBefore(info, table, at) : 'true'
    const { rows, hash } = await readAside(connection.sql, async tx => {
      await setLocal(tx, 1000, countTimeoutMs, oneSpelling)
      return contentHash(tx, table, columns, 't', where)
    })
    found.push({ table, dated: where !== 'true', rows, hash })
  }
  return found
}

/**
 * Compares a proof with the current state. Findings are missing rows, and differences in objects, files, the
 * database and outcomes of checks. New rows are ignored. Edited rows are shown in the table only.
 */
export async function compareProof(
  connection: Connection,
  track: Track,
  then: KeptProof,
  now: Omit<KeptProof, 'tables'>,
): Promise<{ tables: Table[]; findings: Finding[] }> {
  const changes = [
    ...(then.track === now.track ? [] : [`the track was ${then.track}, and is ${now.track}`]),
    ...compareDatabases(then.database, now.database),
    ...(then.tool === now.tool ? [] : [`rethread was ${then.tool}, and is ${now.tool}`]),
    ...(then.verdict === now.verdict ? [] : [`the verdict was ${then.verdict}, and is ${now.verdict}`]),
    ...compareSteps('applied', then.applied, now.applied),
    ...compareChecks(then.checks, now.checks),
    ...(then.major === now.major
      ? changedObjects(then.catalog, now.catalog).map(o => `schema: ${o}`)
      : [
          `the server was PostgreSQL ${then.major}, and is ${now.major}: schema and content are not compared`,
        ]),
  ]
  const content = then.major === now.major ? await tablesNow(connection, track, then.at) : []
  const rows: Table['rows'] = []
  for (const old of then.tables) {
    const fresh = content.find(t => t.table === old.table)
    if (!fresh) {
      if (then.major === now.major) changes.push(`table ${old.table} is gone`)
      continue
    }
    if (fresh.rows < old.rows)
      changes.push(
        `${plural(old.rows - fresh.rows, 'row')} of ${old.table} ${agreeing(old.rows - fresh.rows, 'are')} gone`,
      )
    rows.push([old.table, old.rows, fresh.rows, old.rows === fresh.rows && old.hash === fresh.hash])
  }
  return {
    tables: [
      { title: 'Since the proof', columns: ['table', 'rows then', 'rows now', 'the same content'], rows },
    ],
    findings: [
      changes.length === 0
        ? finding('PROOF_HOLDS', then.track, { at: then.at })
        : finding('PROOF_DIFFERS', then.track, { at: then.at, changes: changes.slice(0, 30) }),
    ],
  }
}

/** Pure: which checks are new, missing or changed, or have another outcome. */
function compareChecks(then: KeptProof['checks'], now: KeptProof['checks']): string[] {
  const named = (list: KeptProof['checks'], name: string) => list.find(c => c.check === name)
  return [
    ...then.filter(c => !named(now, c.check)).map(c => `check ${c.check} is gone`),
    ...now.flatMap(c => {
      const old = named(then, c.check)
      if (!old) return [`check ${c.check} is new`]
      return [
        ...(old.checksum === c.checksum ? [] : [`the file of check ${c.check} has changed`]),
        ...(old.outcome === c.outcome ? [] : [`check ${c.check} was: ${old.outcome}, and is: ${c.outcome}`]),
      ]
    }),
  ]
}
