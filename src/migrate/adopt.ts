import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { missingObjects } from '../database/requirements.sql.js'
import { inspect } from '../database/server.js'
import { shortSql } from '../files/lint.js'
import { pairsIn } from '../files/moved_names.js'
import { type Node, parseStatements, type Statement } from '../files/statements.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { partText, tableText } from '../model/table_name.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions, brokenElsewhere, findMigration } from '../plan/make_plan.js'
import { type History, onlyElsewhere } from '../run/ledger_history.js'
import {
  type Comparison,
  compareAt,
  type Difference,
  isPartOfMissing,
  lastStanding,
  nameOfObject,
} from './adopt_differences.js'
import { baseline, rowsLeft } from './baseline.js'
import { fixUpOf, type Lacking } from './fix_up.js'
import { lostTables } from './lost_tables.js'
import { lackingUsage, type MadeObject } from './made_objects.sql.js'
import { functionsInside, nameOnly, type TrackStates, trackStates } from './track_states.js'

/** Options of `migrate --adopt`. */
export interface AdoptOptions {
  /** Version or name of the last migration to adopt. Null for all whose work is done. */
  to: string | null
  leaseWaitMs: number
}

/**
 * Takes over a database in which other SQL has done the work of the files, completely or in part. It compares
 * everything that each file creates with the database. What is equal is recorded, with the proofs of
 * `baseline`. What differs is refused with a list of differences, and the report has SQL that resolves them.
 * It only writes the ledger.
 */
export async function adopt(ctx: Context, track: Track, options: AdoptOptions): Promise<Report> {
  const report = emptyReport('migrate')
  const last = options.to === null ? null : findMigration(track, options.to)
  const found = await lookAt(ctx, track, last, report)
  report.verdict = verdictOf(report)
  if (found === null) return report
  const recorded = await baseline(ctx, track, found.migration, options.leaseWaitMs, found.states)
  recorded.tables.unshift(...report.tables)
  recorded.findings.unshift(...report.findings)
  return recorded
}

/** The migration up to which everything is as the files make it; null where the report says what is not. */
async function lookAt(
  ctx: Context,
  track: Track,
  last: Migration | null,
  report: Report,
): Promise<{ migration: string; states: TrackStates } | null> {
  await using connection = await connect(ctx, 'reader')
  report.target = (await inspect(ctx, connection)).info
  const { history } = await readHistory(connection, track, barePlanOptions)
  const applied = track.migrations.filter(m => history.applied.has(m.name)).length
  if (await isNothingToCompare(connection, track, history, report)) return null
  const states = await trackStates(ctx, track)
  const used = await namesUsed(track)
  // what another tool says is applied is adopted whole, or not at all
  const asked = last ?? track.migrations.filter(m => onlyElsewhere(history, m.name)).at(-1) ?? null
  const until =
    asked === null ? await workDone(connection, track, states) : track.migrations.indexOf(asked) + 1
  const isWhole = async (at: number): Promise<Comparison | null> => {
    const comparison = compareAt(states, at)
    if (comparison.differences.length > 0) return null
    const { schemas, blocks } = await lackingAt(connection, track, states, used, at)
    return schemas.length + blocks.length === 0 ? comparison : null
  }
  for (let at = until; at > applied && (asked === null || at === until); at--) {
    const whole = await isWhole(at)
    if (!whole) continue
    noteBeside(report, track.name, states, whole)
    return { migration: track.migrations[at - 1]!.name, states }
  }
  const at = asked === null ? lastStanding(states, until) : until
  if (at <= applied) {
    report.findings.push(finding('ADOPT_NOTHING', track.name))
    return null
  }
  const lacking = await lackingAt(connection, track, states, used, at)
  await reportDifferences(connection, track, report, { states, at, lacking, to: last?.name ?? null })
  return null
}

/** Whether there is nothing to compare: the report says that all is applied, or what is in the way. */
async function isNothingToCompare(
  { sql }: Connection,
  track: Track,
  history: History,
  report: Report,
): Promise<boolean> {
  const applied = track.migrations.length
  if (track.migrations.every(m => history.applied.has(m.name))) {
    report.findings.push(finding('NOTHING_TO_DO', track.name, { applied }))
    return true
  }
  const broken = brokenElsewhere(track, history)
  report.findings.push(...broken)
  if (broken.length > 0) return true
  const lost = await lostTables(sql, track)
  if (lost?.finding) report.findings.push(lost.finding)
  if (lost?.fixUp) report.fixUp = lost.fixUp
  return lost !== null
}

/** What is not as the first files make it. */
interface NotAsMade {
  states: TrackStates
  /** How many of the files are compared. */
  at: number
  lacking: Lacking
  /** The last migration that somebody asked for. */
  to: string | null
}

/** Says what is not as the first files make it, with SQL that settles it. */
async function reportDifferences(
  { sql }: Connection,
  track: Track,
  report: Report,
  { states, at, lacking, to }: NotAsMade,
): Promise<void> {
  const comparison = compareAt(states, at)
  const { name } = track.migrations[at - 1]!
  const { text, choices } = await fixUpOf(sql, states, comparison, lacking)
  report.fixUp = text
  const shown = comparison.differences.filter(d => !isPartOfMissing(d, states.actual))
  report.tables.push(differencesTable(name, shown))
  noteBeside(report, track.name, states, comparison)
  for (const { object, reason, choice } of choices)
    report.findings.push(finding('ADOPT_CHOICE', object, { reason, choice }))
  report.findings.push(
    finding('ADOPT_DIFFERS', name, {
      differences: shown.length + lacking.schemas.length + lacking.blocks.length,
      choices: choices.length,
      track: track.name,
      to,
    }),
  )
}

/**
 * Number of migrations before the first backfill with pending rows. If a backfill cannot be checked because
 * something that it names is missing, its work counts as done if most objects of later files exist.
 */
async function workDone(connection: Connection, track: Track, states: TrackStates): Promise<number> {
  const total = track.migrations.length
  const furthest = lastStanding(states, total)
  const known = furthest > 0 ? compareAt(states, furthest) : null
  const expected = known ? states.states[furthest - 1]!.objects.size - states.base.size : 0
  const isMostlyThere = known !== null && known.differences.length * 2 < expected
  for (const [i, m] of track.migrations.entries()) {
    const left = await rowsLeft(connection, m)
    if (left === null ? !isMostlyThere : left > 0) return i
  }
  return total
}

/**
 * What the first files do that no comparison shows: statements for schemas that are missing or lack USAGE
 * grants, and blocks whose functions are missing.
 */
async function lackingAt(
  connection: Connection,
  track: Track,
  { notPlayed, actual }: TrackStates,
  used: ReadonlySet<string>,
  at: number,
): Promise<Lacking> {
  const first = track.migrations.slice(0, at)
  const there = new Set([...actual.values()].map(nameOnly))
  const blocks = notPlayed.flatMap(({ migration, statement }) => {
    const made = first.includes(migration) ? functionsInside(statement).map(tableText) : []
    return made.some(f => used.has(f) && !there.has(f)) ? [statement] : []
  })
  const about: Statement[] = []
  const schemas: string[] = []
  const wanted: { schema: string; role: string }[] = []
  for (const m of first)
    for (const s of await parseStatements(m.file.text)) {
      const isGrant = s.kind === 'GrantStmt' && s.node.objtype === 'OBJECT_SCHEMA'
      if (s.kind !== 'CreateSchemaStmt' && !isGrant) continue
      about.push(s)
      if (!isGrant) schemas.push(`schema ${partText(s.node.schemaname)}`)
      else if (s.node.is_grant)
        for (const { String: schema } of s.node.objects as Node[])
          for (const { RoleSpec: role } of s.node.grantees as Node[])
            if (role.rolename) wanted.push({ schema: schema.sval, role: role.rolename })
    }
  const isMissing = (await missingObjects(connection.sql, schemas)).length > 0
  const isClosed = isMissing || (await lackingUsage(connection.sql, wanted)).length > 0
  return { schemas: isClosed ? about : [], blocks }
}

/** All names with a schema in the statements and checks of a track, except in DO blocks. */
async function namesUsed(track: Track): Promise<ReadonlySet<string>> {
  const texts = track.checks.map(c => c.file.text)
  for (const m of track.migrations)
    for (const s of await parseStatements(m.file.text)) if (s.kind !== 'DoStmt') texts.push(s.text)
  return new Set((await Promise.all(texts.map(pairsIn))).flat().map(tableText))
}

/** Most characters of a definition in a table of the report. */
const briefCharacters = 160

function brief(o: MadeObject | null): string {
  if (o === null) return 'nothing'
  if (o.kind === 'function') return o.signature ?? ''
  const text = o.definition.replace(/\s+/g, ' ') || (o.kind === 'privilege' ? 'none' : 'there')
  return text.length > briefCharacters ? `${text.slice(0, briefCharacters)}...` : text
}

/** A table of the actual and the expected definitions. */
const differencesTable = (migration: string, differences: Difference[]): Table => ({
  title: `Differences from what the files up to ${migration} create`,
  columns: ['object', 'is', 'should be'],
  rows: differences.map(({ what, want, has }) => {
    const o = (want ?? has)!
    const bodies = o.kind === 'function' && what === 'differs' && want!.signature === has!.signature
    const should = what === 'early' ? 'not there yet' : what === 'surplus' ? surplus(has!) : brief(want)
    return [nameOfObject(o), bodies ? 'another body' : brief(has), bodies ? 'the body in the file' : should]
  }),
})

const surplus = (o: MadeObject): string => (o.kind === 'column' ? 'free to be left out' : 'gone')

/** Most objects that a finding names. */
const mostBeside = 20

/** Findings for other objects on the track's tables, and for what could not be compared. */
function noteBeside(report: Report, track: string, { notPlayed, states }: TrackStates, c: Comparison): void {
  if (c.beside.length > 0)
    report.findings.push(
      finding('ADOPT_BESIDE', track, { objects: c.beside.slice(0, mostBeside).map(nameOfObject) }),
    )
  const within = new Set(states.slice(0, c.at).map(s => s.migration))
  const statements = notPlayed.filter(s => within.has(s.migration)).map(s => shortSql(s.statement.text))
  if (statements.length > 0)
    report.findings.push(
      finding('ADOPT_NOT_COMPARED', track, { statements: statements.slice(0, mostBeside) }),
    )
}
