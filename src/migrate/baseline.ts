import { countPending } from '../backfill/pending.sql.js'
import { pendingSpecOf, rowKeyOf } from '../backfill/pending_spec.js'
import { relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { isRefused } from '../database/faults.js'
import { missingObjects } from '../database/requirements.sql.js'
import { inspect } from '../database/server.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { type Node, parseStatements, relationName, type Statement, strings } from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import { historyChange } from '../histories/read_history.js'
import type { Elsewhere } from '../model/other_tool.js'
import { bareStep } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { partText } from '../model/table_name.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions, brokenElsewhere, findMigration, placeIn } from '../plan/make_plan.js'
import { inRun } from '../run/in_run.js'
import { keepCatalog } from '../run/ledger.sql.js'
import { record } from '../run/ledger_rows.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { storeFingerprint } from '../run/schema_snapshot.js'
import { catalogOf, type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { stepResult } from '../run/step_result.js'
import { runCheck, sharedFactsOf } from '../verify/run_check.js'
import { compareAt, isPartOfMissing, madeByFiles, nameOfObject } from './adopt_differences.js'
import { functionBodies } from './function_bodies.sql.js'
import { functionsInside, type TrackStates, trackStates } from './track_states.js'

/** Shared checks that an adopted database must pass, because access depends on them. */
const guards = ['functions', 'grants', 'policies', 'row_security', 'triggers']

/**
 * Adopts an existing database: everything up to a migration is written to the ledger as applied, after the
 * catalog has shown that each object which the files make, and have not taken away again, is there, word by
 * word as they make it, and each backfill's pending rows are none. Nothing is taken on trust: a file that is
 * only said to be applied would never run. `known` is what the caller has compared already.
 */
export async function baseline(
  ctx: Context,
  track: Track,
  upTo: string,
  leaseWaitMs: number,
  known?: TrackStates,
): Promise<Report> {
  const report = emptyReport('migrate')
  const { target, findings, adopted, made, elsewhere } = await judgeBaseline(ctx, track, upTo, known)
  report.target = target
  report.findings.push(...findings)
  report.steps = adopted.map(m => stepResult(bareStep(m, 'up'), 'not-run', 'refused'))
  report.verdict = verdictOf(report)
  if (report.verdict !== 'clean' || adopted.length === 0) return report
  const run = await openRun(ctx, 'baseline', leaseWaitMs)
  return inRun(run, report, async () => {
    report.steps = report.steps.map(s => ({ ...s, reason: 'it was not recorded' }))
    for (const [i, m] of adopted.entries()) {
      await recordAdopted(run, track, m, elsewhere.get(m.name) ?? null)
      Object.assign(report.steps[i]!, { outcome: 'done', reason: 'adopted: the catalog shows it' })
    }
    // nobody has kept how the schema was before: what no file makes is as it was
    if (made && adopted[0] === track.migrations[0])
      await keepCatalog(
        run.writer.sql,
        track.name,
        adopted[0]!.name,
        catalogOf((await objects(run.writer.sql)).filter(o => !made(o))),
      )
    await storeFingerprint(run)
    if (adopted.some(m => elsewhere.has(m.name))) report.tables.push(adoptionTable(adopted, elsewhere))
  })
}

/** What may be adopted, and what speaks against it. */
interface JudgedBaseline {
  target: Report['target']
  findings: Finding[]
  adopted: Migration[]
  /** Whether the files make an object; null where nothing is adopted. */
  made: ((o: ObjectRow) => boolean) | null
  elsewhere: ReadonlyMap<string, Elsewhere>
}

/** Compares the database with what the files make up to a migration. Reads only. */
async function judgeBaseline(
  ctx: Context,
  track: Track,
  upTo: string,
  known: TrackStates | undefined,
): Promise<JudgedBaseline> {
  const last = findMigration(track, upTo)
  await using connection = await connect(ctx, 'reader')
  const target = (await inspect(ctx, connection)).info
  const { history } = await readHistory(connection, track, barePlanOptions)
  const adopted = track.migrations.filter(
    m => placeIn(track, m) <= placeIn(track, last) && !history.applied.has(m.name),
  )
  const elsewhere: JudgedBaseline['elsewhere'] = history.elsewhere ?? new Map()
  const findings: Finding[] = []
  for (const m of adopted) {
    const left = await rowsLeft(connection, m)
    const missing = [`${left ?? 'unknown'} rows of ${m.backfill?.table} where ${m.backfill?.pending}`]
    if (left !== 0) findings.push(finding('BASELINE_UNPROVEN', m.name, { missing }))
  }
  findings.push(...brokenElsewhere({ ...track, migrations: adopted }, history))
  if (adopted.length === 0) {
    findings.push(finding('NOTHING_TO_DO', track.name, { applied: track.migrations.length }))
    return { target, findings, adopted, made: null, elsewhere }
  }
  const states = known ?? (await trackStates(ctx, track))
  const applied = new Set([...history.applied.keys(), ...adopted.map(m => m.name)])
  const missing = [
    ...(await unguarded(ctx, connection, track, adopted, applied)),
    ...(await unequal(connection, states, track.migrations.indexOf(last) + 1)),
  ]
  if (missing.length > 0) findings.push(finding('BASELINE_UNPROVEN', last.name, { missing }))
  return { target, findings, adopted, made: madeByFiles(states), elsewhere }
}

/** Records an adopted migration with what speaks for it, in another tool's history too where that is kept. */
async function recordAdopted(
  run: Run,
  track: Track,
  m: Migration,
  elsewhere: Elsewhere | null,
): Promise<void> {
  const alongside =
    elsewhere?.state === 'applied' ? null : await historyChange(run.writer.sql, track, m, 'up')
  const evidence = { by: 'adoption', catalog: 'as the files make it', pendingRows: 0, elsewhere }
  await record(run, m, 'baseline', 'done', { evidence, alongside })
}

/** The reason for each adopted migration, as the ledger stores it. */
const adoptionTable = (adopted: Migration[], elsewhere: ReadonlyMap<string, Elsewhere>): Table => ({
  title: 'Evidence',
  columns: ['migration', 'history of', 'rows', 'at', 'catalog'],
  rows: adopted.map(({ name }) => {
    const found = elsewhere.get(name)
    return [
      name,
      found?.tool ?? null,
      found?.rows.join(', ') ?? null,
      found?.at?.slice(0, 19) ?? null,
      'as the files make it',
    ]
  }),
})

/** Objects that have the names of the files' objects but differ from them. */
async function unguarded(
  ctx: Context,
  connection: Connection,
  track: Track,
  adopted: Migration[],
  applied: ReadonlySet<string>,
): Promise<string[]> {
  const { tables, policies } = await objectsOf({ ...track, migrations: adopted })
  // other objects of the database are its own, and no evidence against the files
  const named = [...new Set([...tables, ...policies.map(p => p.table)])]
  const around = { ...(await sharedFactsOf(track)), named, track, deep: false, scope: null }
  const missing: string[] = []
  // other tools' files decide themselves about access to their tables
  const asked = track.layout ? [] : track.checks.filter(c => c.shared && guards.includes(c.name))
  for (const check of asked) {
    const { result } = await runCheck(ctx, connection, check, applied, around)
    if (result.outcome === 'failed') missing.push(`${check.name}: ${result.reason}`)
    missing.push(...result.found.map(f => `${f.object}: ${f.detail}`))
  }
  // the last file that creates a function decides its body; a DO block may create another one from settings
  const wanted = new Map<string, string>()
  for (const m of adopted)
    for (const s of await parseStatements(m.file.text)) {
      const { kind, node } = s
      if (kind === 'DoStmt') for (const f of functionsInside(s)) wanted.delete(`${f.schema}.${f.name}`)
      if (kind !== 'CreateFunctionStmt') continue
      const body = node.options.find((o: Node) => o.DefElem.defname === 'as')?.DefElem.arg?.List?.items[0]
      if (body) wanted.set(['public', ...strings(node.funcname)].slice(-2).join('.'), body.String.sval)
    }
  const found = await functionBodies(connection.sql, [...wanted.keys()])
  for (const [name, body] of wanted)
    if (!found.some(f => f.name === name && f.body === body))
      missing.push(`function ${name} with the body that its file gives it`)
  return missing
}

/** Differences between the database and what the files create on empty copies. */
async function unequal(connection: Connection, states: TrackStates, at: number): Promise<string[]> {
  const missing = compareAt(states, at)
    .differences.filter(d => d.what !== 'early' && !isPartOfMissing(d, states.actual))
    .map(({ what, want, has }) => {
      const name = nameOfObject((want ?? has)!)
      if (what === 'missing') return name
      return what === 'surplus'
        ? `${name}: the files do not leave it like that`
        : `${name} as the files make it`
    })
  const files = new Set(states.states.slice(0, at).map(s => s.migration))
  const unplayed = states.notPlayed.filter(s => files.has(s.migration)).map(s => s.statement)
  for (const s of unplayed) {
    // a table that a later file moved into the archive is no longer here
    const table = s.node.relation ?? s.node.table
    if (table && (await relationFacts(connection.sql, [relationName(table)])).length === 0) continue
    missing.push(...(await missingObjects(connection.sql, objectsMadeBy(s))))
  }
  return missing
}

/**
 * How many rows a backfill would still process. 0 if its table is gone, or for a migration without a
 * backfill. Null if something that its condition names is missing.
 */
export async function rowsLeft({ sql }: Connection, m: Migration): Promise<number | null> {
  if (!m.backfill || (await relationFacts(sql, [m.backfill.table])).length === 0) return 0
  const { alias } = await readBackfillStatement(m.file.text, m.file.path, m.backfill)
  const key = await rowKeyOf(sql, m.backfill)
  const spec = {
    ...pendingSpecOf(undefined, m, { alias, key, run: 0, references: [] }),
    // rows that cannot be processed are no evidence against it
    pending: `(${m.backfill.pending}) and (${m.backfill.reason ?? 'null'}) is null`,
    removes: true,
    restEvery: null,
  }
  return sql
    .begin(tx => countPending(tx, spec))
    .catch(error => {
      // something that it names is missing
      if (!isRefused(error)) throw error
      return null
    })
}

/** The objects that a statement creates, as `missingObjects` names them. */
export function objectsMadeBy({ kind, node }: Statement): string[] {
  switch (kind) {
    case 'CreateStmt':
      return [`table ${relationName(node.relation)}`]
    case 'CreatePolicyStmt':
      return [`policy ${partText(node.policy_name)} on ${relationName(node.table)}`]
    case 'CreateTrigStmt':
      return [`trigger ${partText(node.trigname)} on ${relationName(node.relation)}`]
    case 'CreateSchemaStmt':
      return [`schema ${partText(node.schemaname)}`]
    case 'AlterTableStmt':
      return node.cmds.flatMap(({ AlterTableCmd: c }: Node) =>
        c.subtype === 'AT_AddColumn'
          ? [`column ${relationName(node.relation)}.${partText(c.def.ColumnDef.colname)}`]
          : [],
      )
    default:
      return []
  }
}
