import { relationFacts } from '../database/catalog.sql.js'
import { functionsNamed, type Known, knownOf } from '../database/known.js'
import { scopeOf } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import {
  type Node,
  parseStatements,
  relationName,
  type Statement,
  statementsOrNone,
} from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import { needsConsent } from '../model/codes.js'
import { Failure } from '../model/failure.js'
import type { Consent, Hazard } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import type { Run } from '../run/run.js'
import {
  holdTriggersSql,
  mayHoldTriggers,
  rulesFiredBy,
  type Trigger,
  type TriggerEvent,
  triggersFiredBy,
} from './firing_triggers.sql.js'
import { learnStatement } from './learn_changes.js'
import { isNoteFunction } from './note_functions.js'
import { triggersAfter } from './triggers_after.js'
import { type Bound, emptied, emptyBefore, isRuledOut, openTables } from './when_conditions.js'

/** The application's triggers and rules that the writes of a backfill fire. */
export interface FiringTriggers {
  /** The table that the backfill writes. */
  table: string
  /** Estimated number of rows of the table; null if it was never analyzed. */
  rows: number | null
  /** Each with its function: `chats_updated_at (public.update_updated_at)`. */
  triggers: string[]
  /** The same with their definitions. */
  fired: Trigger[]
  /** Why the backfill's sessions cannot hold them off; null if they can. */
  whyNotHeld: string | null
}

/**
 * The triggers of the application that each backfill among these files would fire: the event and the columns
 * match, and WHEN does not rule it out. A file that fires none is left out. The track's own triggers are part
 * of the migration and do not count. The catalog is read once; each file then meets what those before it
 * will have changed.
 */
export async function firedByEach(
  sql: Db,
  track: Track,
  migrations: Migration[],
): Promise<Map<Migration, FiringTriggers>> {
  const found = new Map<Migration, FiringTriggers>()
  if (!migrations.some(m => m.backfill)) return found
  const statements = []
  for (const m of migrations) statements.push(await statementsOrNone(m.file.text))
  const known = await knownOf(sql, statements.flat())
  const earlier: Statement[] = []
  for (const [i, m] of migrations.entries()) {
    const firing = await firedAfter(sql, track, m, known, earlier)
    if (firing) found.set(m, firing)
    for (const s of statements[i]!) learnStatement(known, s)
    earlier.push(...statements[i]!)
  }
  return found
}

/** The triggers of the application that a backfill would fire now; null if it fires none. */
export const firingTriggers = async (
  sql: Db,
  track: Track,
  migration: Migration,
): Promise<FiringTriggers | null> => (await firedByEach(sql, track, [migration])).get(migration) ?? null

/** The triggers that one file fires after these statements, which are learned already. */
async function firedAfter(
  sql: Db,
  track: Track,
  migration: Migration,
  known: Known,
  earlier: Statement[],
): Promise<FiringTriggers | null> {
  const [statement] = await parseStatements(migration.file.text)
  if (!migration.backfill || !statement?.node.relation) return null
  const table = relationName(statement.node.relation)
  const { events, columns } = firedBy(statement)
  const { triggers: made } = await objectsOf(track)
  const own: Trigger[] = []
  const theirs: Trigger[] = []
  const bound = {
    columns,
    emptyBefore: emptyBefore(statement),
    emptied: emptied(statement),
    opened: openTables(known, earlier),
  }
  const fired = await triggersFiredBy(sql, table, events, columns)
  for (const t of triggersAfter(earlier, fired, { tables: known.family(table), events, columns })) {
    if (await isRuledOut(sql, t, events, bound)) continue
    const ours =
      /^(chat_private|rethread_archive|rethread)\./.test(t.function) ||
      made.some(m => m.table === t.table && m.name === t.name)
    ;(ours ? own : theirs).push(t)
  }
  theirs.push(...(await rulesFiredBy(sql, table, events)))
  const firing = theirs.filter(t => t.enabled !== 'R')
  if (firing.length === 0) return null
  const [facts] = await relationFacts(sql, [table])
  const whyNotHeld =
    whyNotByKind(statement) ??
    whyNotByTriggers(own, theirs) ??
    whyNotByKeys(known, table, bound) ??
    (await whyNotByFunctions(track, known, statement)) ??
    ((await mayHoldTriggers(scopeOf(sql)))
      ? null
      : `this role may not: grant set on parameter session_replication_role to ${facts!.role};   as an administrator (PostgreSQL 15 or later)`)
  return {
    table,
    rows: facts && facts.rows >= 0 ? facts.rows : null,
    triggers: firing.map(t => `${t.name} (${t.function})`),
    fired: firing,
    whyNotHeld,
  }
}

/** The events and columns of a statement for which triggers fire. */
function firedBy({ kind, node }: Statement): { events: TriggerEvent[]; columns: string[] } {
  const columnsOf = (target: Node) => (target.targetList ?? []).map((t: Node) => t.ResTarget?.name ?? '')
  if (kind === 'UpdateStmt') return { events: ['UPDATE'], columns: columnsOf(node) }
  if (kind === 'DeleteStmt') return { events: ['DELETE'], columns: [] }
  const conflict = node.onConflictClause
  return conflict?.action === 'ONCONFLICT_UPDATE'
    ? { events: ['INSERT', 'UPDATE'], columns: columnsOf(conflict) }
    : { events: ['INSERT'], columns: [] }
}

/**
 * With session_replication_role = replica, foreign keys are not checked and do not cascade. Only an UPDATE
 * that sets no key column is safe without them.
 */
const whyNotByKind = ({ kind, node }: Statement): string | null =>
  kind !== 'UpdateStmt'
    ? 'it adds or removes rows, and foreign keys would not be looked after'
    : node.withClause
      ? 'it writes more than one table, and foreign keys would not be looked after'
      : null

function whyNotByTriggers(own: Trigger[], theirs: Trigger[]): string | null {
  const mine = own.find(t => t.enabled === 'O')
  if (mine) return `${mine.name} of the track has to fire`
  const anyway = theirs.find(t => t.enabled !== 'O')
  return anyway
    ? `${anyway.name} is enabled ${anyway.enabled === 'A' ? 'always' : 'for replicas'}: it fires there too`
    : null
}

function whyNotByKeys(known: Known, table: string, { columns, emptied }: Bound): string | null {
  const key = known.foreignKeys.find(k => {
    // a foreign key of one column does not check a null
    const checked = k.columns.length === 1 ? columns.filter(c => !emptied.includes(c)) : columns
    return (
      (k.table === table && k.columns.some(c => checked.includes(c))) ||
      (k.references === table && k.referenced.some(c => columns.includes(c)))
    )
  })
  return key ? `it sets a column of the foreign key ${key.name}, which would not be looked after` : null
}

async function whyNotByFunctions(track: Track, known: Known, statement: Statement): Promise<string | null> {
  const named = functionsNamed([statement])
  for (const [asked, { acts }] of known.functions)
    if (acts && named.has(asked) && !(await isNoteFunction(track, asked)))
      return `its function ${asked} may write other tables`
  return null
}

/** The hazard of the triggers that a step's backfill fires. Empty if they are held off. */
export const triggerHazards = (firing: FiringTriggers | null, hold: boolean): Hazard[] =>
  firing === null || (hold && firing.whyNotHeld === null)
    ? []
    : [
        {
          code: 'FIRES_TRIGGERS',
          subject: firing.table,
          detail:
            `for each of ${firing.rows === null ? 'its' : `about ${firing.rows}`} rows: ${firing.triggers.join(', ')}` +
            (hold ? `; they cannot be held off: ${firing.whyNotHeld}` : ''),
        },
      ]

/**
 * The SQL that the writing sessions of a backfill start with: empty, or one that holds off triggers of users.
 * Throws CONSENT_NEEDED if triggers of the application would fire and nobody has allowed it.
 */
export async function backfillSettings(
  { ctx, writer }: Run,
  migration: Migration,
  consent: Consent,
): Promise<string> {
  const track = ctx.tracks().find(t => t.name === migration.track)
  const firing = track ? await firingTriggers(writer.sql, track, migration) : null
  const hazards = triggerHazards(firing, ctx.holdTriggers)
  const asked = hazards.length > 0 && needsConsent('FIRES_TRIGGERS', consent.from ?? 'outage')
  if (asked && !consent.allow.has('FIRES_TRIGGERS'))
    throw new Failure('CONSENT_NEEDED', migration.name, {
      allow: [...consent.allow, 'FIRES_TRIGGERS'],
      missing: ['FIRES_TRIGGERS'],
      confirm: null,
      because: hazards.map(h => `FIRES_TRIGGERS: ${migration.name}: ${h.detail}`),
    })
  return firing !== null && hazards.length === 0 ? holdTriggersSql : ''
}
